"""The process itself: a trace of 100 MB passing through it, its start, its memory when nobody asks, its size."""

import os
import statistics
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from calls import COLD, Call
from results import Results
from servers import Server

GROUP = "process"
MIB = 1 << 20


def huge(results: Results, own: Server, nginx: Server, folder: Path, trace: str, rounds: int) -> None:
    """100 MB read by curl, which throws it away: from MLflow's database, and from a file by nginx."""
    path = f"/api/traces/{trace}/spans"
    # It has answered nothing yet: what it takes once and keeps counts as well.
    own.forget_peak()
    before, times = own.rss_mib(), {"nginx": [], "trace-server": []}
    expected = Call(own.base, path, None, COLD)().body
    (folder / "huge.json").write_bytes(expected)
    for _ in range(rounds):
        times["nginx"].append(download(f"{nginx.base}/huge.json", len(expected)))
        times["trace-server"].append(download(f"{own.base}{path}", len(expected)))
    growth = own.rss_mib("VmHWM") - before
    case = f"{len(expected) / 1e6:.0f} MB of spans"
    results.calls(GROUP, case, "nginx", times["nginx"], bytes=len(expected))
    results.calls(GROUP, case, "trace-server, on the database", times["trace-server"], bytes=len(expected), rss=own.rss_mib())
    ratio = statistics.median(times["nginx"]) / statistics.median(times["trace-server"])
    results.bar("100 MB trace streamed: growth of resident memory", "< 32 MiB", f"{growth:.1f} MiB", growth < 32)
    results.bar("100 MB trace streamed: throughput against nginx", "≥ 0.5", f"{ratio:.2f}", ratio >= 0.5)


def download(url: str, size: int) -> float:
    """Milliseconds."""
    command = ["curl", "-sS", "--fail", "-o", "/dev/null", "-H", "cache-control: no-cache", "-w", "%{size_download} %{time_total}", url]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert int(told[0]) == size, (url, told)
    return float(told[1]) * 1000


def start(results: Results, starting: Callable[[], AbstractContextManager[Server]], binary: str, rounds: int) -> None:
    """From exec to the first answer, and what it holds when it has answered once and nobody asks."""
    times, idle = [], []
    for _ in range(rounds):
        begun = time.perf_counter()
        with starting() as server:
            times.append((time.perf_counter() - begun) * 1000)
            time.sleep(1)
            idle.append(server.rss_mib())
    row = results.calls(GROUP, "start to the first answer", "trace-server", times, rss=statistics.median(idle))
    size = os.path.getsize(binary) / MIB
    results.bar("start to first answer", "< 150 ms", f"{row.median:.0f} ms", row.median < 150)
    results.bar("RSS idle", "< 30 MiB", f"{row.rss:.1f} MiB", row.rss < 30)
    results.bar("binary", "< 10 MiB", f"{size:.1f} MiB", size < 10)
