"""What is hot, measured by itself: criterion's benchmarks in the crates' `benches`."""

import json
import os
import subprocess
import sys
from pathlib import Path

from results import Results

GROUP = "by itself"
CRATES = {"trace-server": "hits", "service": "spans", "mlflow-client": "otlp", "mlflow-store": "filters"}


def run(results: Results, quick: bool) -> None:
    """Runs them, and takes their medians from where criterion leaves them."""
    doors = ",".join(f"{crate}/doors" for crate in CRATES if crate != "trace-server")
    command = [os.environ.get("CARGO", "cargo"), "bench", "--locked", "--workspace", "--features", doors]
    command += [word for bench in CRATES.values() for word in ("--bench", bench)]
    target = Path(os.environ.get("CARGO_TARGET_DIR", "target"), "criterion")
    # What an earlier run measured is none of this one.
    before = {file: file.stat().st_mtime_ns for file in target.glob("**/new/estimates.json")}
    quickly = ["--warm-up-time", "0.5", "--measurement-time", "1"] if quick else []
    subprocess.run([*command, "--", *quickly], check=True, stdout=sys.stderr)
    for file in sorted(target.glob("**/new/estimates.json")):
        if before.get(file) == file.stat().st_mtime_ns:
            continue
        named = json.loads(file.with_name("benchmark.json").read_text())
        ns = json.loads(file.read_text())["median"]["point_estimate"]
        size = (named.get("throughput") or {}).get("Bytes")
        told = f"{size / ns * 1e9 / (1 << 20):,.0f} MiB/s" if size and named["group_id"] != "hit" else ""
        case = " ".join(filter(None, (named["group_id"], named["function_id"])))
        results.add(GROUP, case, "trace-server", median=ns / 1e6, bytes=size, note=told)
