#!/usr/bin/env python3
"""How long the labeling page waits for its session of 500 traces with all their spans: `{run_id, max_results: 500}`.

    tests/mlflow/serve.py --data DIR -- tests/bench_labeling.py BINARY

Compared in one run, in turns: MLflow alone asked as fast as its API allows (one search, then batchGet of 100 traces five
times), trace-server asked past its cache, and trace-server warm. The traces are made once for each DIR.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

from bench import call, started

TRACES = 500
ROUNDS = 5
# What batchGet takes in one URL is bounded by its length alone; more at once would gain nothing.
PAGE = 100


def main() -> None:
    mlflow = os.environ["MLFLOW_TRACKING_URI"]
    experiment, traces = sample(mlflow)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"MLFLOW_EXPERIMENT_ID": experiment, "DATABASE_URL": f"sqlite://{folder}/reviews.db"}
        with started(sys.argv[1], settings) as own:
            compare(own, mlflow, experiment, traces)


def sample(mlflow: str) -> tuple[str, list[str]]:
    """An experiment of the sample agent's traces, made anew unless the data have one."""
    name = f"labeling-bench-{TRACES}"
    path = f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}"
    try:
        experiment = json.loads(call(mlflow, path, None)[3])["experiment"]["experiment_id"]
    except AssertionError:
        experiment = json.loads(call(mlflow, "/api/2.0/mlflow/experiments/create", {"name": name})[3])["experiment_id"]
    traces = ids(search(mlflow, experiment, None)[3])
    if len(traces) < TRACES:
        script = Path(__file__).parent / "mlflow" / "converse.py"
        count = str(TRACES - len(traces))
        command = [os.environ["MLFLOW_PYTHON"], script, "--experiment", experiment, "--count", count]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        traces = ids(search(mlflow, experiment, None)[3])
    return experiment, traces


def search(mlflow: str, experiment: str, run: str | None):
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    body = {"locations": [location], "max_results": TRACES}
    if run:
        body["filter"] = f"attributes.run_id = '{run}'"
    return call(mlflow, "/api/3.0/mlflow/traces/search", body)


def ids(page: bytes) -> list[str]:
    return [trace["trace_id"] for trace in json.loads(page).get("traces", [])]


def direct(mlflow: str, experiment: str, run: str) -> tuple[float, int]:
    """Search and spans from MLflow itself: milliseconds and bytes."""
    begun = time.perf_counter()
    page = search(mlflow, experiment, run)[3]
    size, found = len(page), ids(page)
    for at in range(0, len(found), PAGE):
        query = urllib.parse.urlencode([("trace_ids", one) for one in found[at : at + PAGE]])
        size += call(mlflow, f"/api/3.0/mlflow/traces/batchGet?{query}", None)[2]
    return (time.perf_counter() - begun) * 1000, size


def compare(own: str, mlflow: str, experiment: str, traces: list[str]) -> None:
    session = json.loads(call(own, "/api/labeling-sessions", {"name": "bench"})[3])
    run, path = session["mlflow_run_id"], f"/api/labeling-sessions/{session['labeling_session_id']}"
    linked = call(own, f"{path}/link-traces", {"mlflow_run_id": run, "trace_ids": traces})
    page = {"run_id": run, "max_results": TRACES}
    alone, cold, warm, first, sizes = [], [], [], [], (0, 0)
    for _ in range(ROUNDS):
        alone.append(direct(mlflow, experiment, run))
        took, answer, size, _ = call(own, "/api/mlflow/search-traces", page, {"cache-control": "no-cache"})
        cold.append(took)
        first.append(float(answer.getheader("server-timing").split("dur=")[1]))
    for _ in range(ROUNDS * 4):
        took, answer, size, _ = call(own, "/api/mlflow/search-traces", page)
        assert answer.getheader("x-cache") == "hit", answer.getheader("x-cache")
        warm.append(took)
        packed = call(own, "/api/mlflow/search-traces", page, {"accept-encoding": "zstd"})
        sizes = (size, packed[2])
    items = [call(own, f"{path}/items", None)[0] for _ in range(ROUNDS * 4)]
    mlflow_ms, mlflow_bytes = statistics.median(one[0] for one in alone), alone[0][1]
    cold_ms, warm_ms = statistics.median(cold), statistics.median(warm)
    print(f"labeling page, {len(traces)} traces with all spans:")
    print(f"  MLflow alone    {mlflow_ms:8.0f} ms {mlflow_bytes:>12,} bytes, 6 calls")
    print(f"  cold            {cold_ms:8.0f} ms {sizes[0]:>12,} bytes, ratio {cold_ms / mlflow_ms:.2f}; begins after {statistics.median(first):.0f} ms")
    print(f"  warm            {warm_ms:8.1f} ms {sizes[0]:>12,} bytes, ratio 1/{mlflow_ms / warm_ms:.0f}; {sizes[1]:,} bytes as zstd")
    print(f"  items, warm     {statistics.median(items):8.1f} ms; linking {len(traces)} traces took {linked[0]:.0f} ms once")


if __name__ == "__main__":
    main()
