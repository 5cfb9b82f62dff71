"""Answers from the cache against nginx, which serves the same bytes from files: the ceiling."""

import gzip
import statistics
from pathlib import Path

from calls import Call
from load import Load, Request, load
from results import Results
from sample import Sample
from servers import Server

GROUP = "warm"
CONNECTIONS = 32
SEARCH = "/api/mlflow/search-traces"


def requests(sample: Sample) -> dict[str, Request]:
    """What is asked warm, by the name of the case."""
    searches = {
        f"search, {count} traces": Request(SEARCH, {"experiment_ids": [sample.small], "max_results": count})
        for count in (10, 50, 500)
    }
    return searches | {
        "trace, 9 KB": Request(f"/api/traces/{sample.small_traces[0]}"),
        "trace, 1.1 MB": Request(f"/api/traces/{sample.heavy_traces[0]}"),
        "spans in short, 1.1 MB": Request(
            f"/api/traces/{sample.heavy_traces[0]}/spans?view=summary", headers={"accept": "application/json"}
        ),
        "batch, 10 traces": Request("/api/traces/batch", {"trace_ids": sample.small_traces[:10], "include_spans": True}),
        "batch, 100 traces": Request("/api/traces/batch", {"trace_ids": sample.small_traces[:100], "include_spans": True}),
        "labeling page, 500 traces": Request(
            SEARCH, {"experiment_ids": [sample.small], "max_results": 500, "include_spans": True}
        ),
    }


def compare(results: Results, own: Server, nginx: Server, folder: Path, sample: Sample, rounds: int, seconds: int) -> None:
    worst: list[tuple[float, str]] = []
    for number, (case, request) in enumerate(requests(sample).items()):
        for coding in ({}, {"accept-encoding": "gzip"}):
            asked = Request(request.path, request.body, request.headers | coding)
            file = f"{number}.json"
            text = Call(own.base, asked.path, asked.body, asked.headers)().body
            # Encoded from the second time on; nginx finds what is encoded beside the file.
            text = Call(own.base, asked.path, asked.body, asked.headers)().body
            (folder / (f"{file}.gz" if coding else file)).write_bytes(text)
            if coding:
                assert gzip.decompress(text) == (folder / file).read_bytes(), case
            loads: dict[str, list[Load]] = {"nginx": [], "trace-server": []}
            for _ in range(rounds):
                loads["nginx"].append(load(nginx, [Request(f"/{file}", headers=coding)], CONNECTIONS, seconds))
                loads["trace-server"].append(load(own, [asked], CONNECTIONS, seconds))
            name = f"{case}, gzip" if coding else case
            ceiling = results.load(GROUP, name, "nginx", loads["nginx"])
            ours = results.load(GROUP, name, "trace-server", loads["trace-server"])
            assert not any(one.refused + one.broken for of_one in loads.values() for one in of_one), name
            ratios = [own.rate / theirs.rate for own, theirs in zip(loads["trace-server"], loads["nginx"], strict=True)]
            ours.note = f"{statistics.median(ratios):.2f} of nginx"
            worst.append((ours.p99 / ceiling.p99, name))
            if case in ("search, 50 traces", "trace, 1.1 MB"):
                ratio = statistics.median(ratios)
                results.bar(f"warm {name}: requests/s against nginx", "≥ 0.7", f"{ratio:.2f}", ratio >= 0.7)
    ratio, name = max(worst)
    within = sum(one <= 2 for one, _ in worst)
    got = f"{within} of {len(worst)} cases; worst {ratio:.1f} times ({name})"
    results.bar("warm anything: p99 at 32 connections against nginx", "within 2 times", got, ratio <= 2)
