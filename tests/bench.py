#!/usr/bin/env python3
"""Compares trace-server with MLflow itself, call by call in one run, because machines are noisy and only ratios travel.

    tests/mlflow/serve.py -- tests/bench.py BINARY

Cold: trace-server asked past its cache, against the very upstream call it makes, in turns; the medians' ratio.
Warm: the time that trace-server itself says it took until its answer began (`server-timing`), and what one client sees.
"""

import contextlib
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator

ROUNDS = 40
SEARCH = {"max_results": 10}


def main() -> None:
    with open(os.environ["MLFLOW_SEED_FILE"], encoding="utf-8") as file:
        named = json.load(file)["named"]
    with tempfile.TemporaryDirectory() as folder:
        with started(sys.argv[1], {"DATABASE_URL": f"sqlite://{folder}/reviews.db"}) as own:
            compare(own, os.environ["MLFLOW_TRACKING_URI"], named)


@contextlib.contextmanager
def started(binary: str, settings: dict[str, str]) -> Iterator[str]:
    """A trace-server with these settings beside those of the environment; its address."""
    env = os.environ | {"PORT": "0", "TRACE_SERVER_LOG": "warn,trace_server=info"} | settings
    server = subprocess.Popen([binary], stdout=subprocess.PIPE, text=True, env=env)
    try:
        yield next(match[1] for line in server.stdout if (match := re.search(r"listening on (http://\S+)", line)))
    finally:
        server.terminate()
        server.stdout.close()
        server.wait()


def compare(own: str, mlflow: str, named: dict[str, str]) -> None:
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": os.environ["MLFLOW_EXPERIMENT_ID"]}}
    artifact = "/ajax-api/2.0/mlflow/get-trace-artifact?request_id="
    cases = [
        ("search, 10 traces", ("/api/mlflow/search-traces", SEARCH),
         ("/api/3.0/mlflow/traces/search", SEARCH | {"locations": [location]})),
        ("trace, 9 KB", (f"/api/traces/{named['rag']}", None), (artifact + named["rag"], None)),
        ("trace, 1.1 MB", (f"/api/traces/{named['big']}", None), (artifact + named["big"], None)),
    ]  # fmt: skip
    print(f"{'':20}{'bytes':>10}{'MLflow ms':>12}{'cold ms':>10}{'ratio':>8}{'warm ms':>10}{'of it server ms':>17}")
    for name, ours, theirs in cases:
        direct, cold, warm, inside, size = [], [], [], [], 0
        for _ in range(ROUNDS):
            direct.append(call(mlflow, *theirs)[0])
            cold.append(call(own, *ours, {"cache-control": "no-cache"})[0])
        for _ in range(ROUNDS * 5):
            took, answer, size, _ = call(own, *ours)
            assert answer.getheader("x-cache") == "hit"
            warm.append(took)
            inside.append(float(answer.getheader("server-timing").split("dur=")[1]))
        ms = [statistics.median(times) for times in (direct, cold, warm, inside)]
        print(f"{name:20}{size:>10}{ms[0]:>12.1f}{ms[1]:>10.1f}{ms[1] / ms[0]:>8.2f}{ms[2]:>10.2f}{ms[3]:>17.3f}")


def call(
    base: str, path: str, body: object, headers: dict[str, str] | None = None
) -> tuple[float, http.client.HTTPResponse, int, bytes]:
    """One call on a connection of its own, read to its end: milliseconds, the answer's head, its size and itself."""
    address = urllib.parse.urlsplit(base)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    begun = time.perf_counter()
    if body is None:
        connection.request("GET", path, headers=headers or {})
    else:
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"} | (headers or {}))
    answer = connection.getresponse()
    text = answer.read()
    took = (time.perf_counter() - begun) * 1000
    connection.close()
    assert answer.status == 200, (path, answer.status)
    return took, answer, len(text), text


if __name__ == "__main__":
    main()
