#!/usr/bin/env python3
"""Compares trace-server on MLflow's own database with the MLflow server on the same database, in one run, in turns.

    tests/mlflow/serve.py --data DIR -- tests/bench_store.py BINARY [--postgres URL]

All calls are cold: past trace-server's cache, each on a connection of its own. They are made in turns, once one by one, where
the processor has done other things between two calls to the same server, and once some in a row, where it has not. Then what MLflow is not asked for: the
first span of a trace of 100 MB, and searches over 200,000 generated traces, in stores of their own, thrown away after.
With --postgres these two are on PostgreSQL: in the database of this URL, which is empty and stays filled.
"""

import argparse
import base64
import contextlib
import http.client
import itertools
import json
import os
import sqlite3
import statistics
import subprocess
import tempfile
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

from bench import call, started

ROUNDS = 40
IN_A_ROW = 8
SCRIPTS = Path(__file__).parent / "mlflow"
COLD = {"cache-control": "no-cache"}
SEARCH = "/api/mlflow/search-traces"

# Filter and order of the searches over many traces; `{…}` is worked out from what fill_store.py makes.
MIX: list[tuple[str, list[str]]] = [
    ("", []),
    ("status = 'ERROR'", []),
    ("timestamp_ms > {late} AND status = 'OK'", []),
    ("tags.team = 'care'", []),
    ("tags.team = 'größe' AND tags.env = 'dev'", []),
    ("name LIKE 'bill%'", ["execution_time_ms DESC"]),
    ("execution_time_ms > 10000", ["timestamp_ms ASC"]),
    ("metadata.`mlflow.trace.user` = 'user-42@example.com'", []),
    ("metadata.`mlflow.trace.session` = 'session-25000'", []),
    ("feedback.quality = 'bad'", []),
    ("feedback.stars >= 4", []),
    ("span.status = 'ERROR' AND span.name = 'router'", []),
    ("client_request_id = 'request-100000'", []),
]
PAGES = [0, 50, 500]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--postgres", metavar="URL", help="an empty database for the large store")
    parser.add_argument("--traces", type=int, default=200_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-store-") as folder:
        beside_mlflow(args.binary, Path(folder))
        large(args.binary, Path(folder), args.postgres, args.traces)


def serving(binary: str, folder: Path, store: str, experiment: str) -> contextlib.AbstractContextManager[str]:
    settings = {"MLFLOW_TRACKING_URI": store, "MLFLOW_EXPERIMENT_ID": experiment}
    settings |= {"MLFLOW_ARTIFACTS_DESTINATION": os.environ["MLFLOW_ARTIFACTS"]}
    return started(binary, settings | {"DATABASE_URL": f"sqlite://{folder}/reviews.db"})


def beside_mlflow(binary: str, folder: Path) -> None:
    mlflow, experiment = os.environ["MLFLOW_TRACKING_URI"], os.environ["MLFLOW_EXPERIMENT_ID"]
    big = json.loads(Path(os.environ["MLFLOW_SEED_FILE"]).read_text())["named"]["big"]
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    search = {"max_results": 50}
    get = f"/api/3.0/mlflow/traces/get?trace_id={big}&allow_partial=true"
    with serving(binary, folder, os.environ["MLFLOW_STORE_URI"], experiment) as own:
        cases = [
            ("trace, 1.1 MB: traces/get", (mlflow, get, None), (own, f"/api/traces/{big}", None), 20),
            ("trace, 1.1 MB: artifact", (mlflow, f"/ajax-api/2.0/mlflow/get-trace-artifact?request_id={big}", None),
             (own, f"/api/traces/{big}", None), 10),
            ("search, 50 traces", (mlflow, "/api/3.0/mlflow/traces/search", search | {"locations": [location]}),
             (own, SEARCH, search), 8),
        ]  # fmt: skip
        print(f"{'':42}{'MLflow ms':>11}{'p95':>8}{'ours ms':>10}{'p95':>8}{'ratio':>8}{'bar':>7}")
        for (name, theirs, ours, bar), (turns, count) in itertools.product(
            cases, [("one by one", 1), (f"{IN_A_ROW} in a row", IN_A_ROW)]
        ):
            direct, cold = [], []
            for _ in range(ROUNDS // count):
                direct += [call(*theirs)[0] for _ in range(count)]
                cold += [call(*ours, COLD)[0] for _ in range(count)]
            ratio = statistics.median(direct) / statistics.median(cold)
            print(
                f"{f'{name}, {turns}':42}{statistics.median(direct):>11.1f}{p95(direct):>8.1f}"
                f"{statistics.median(cold):>10.2f}{p95(cold):>8.2f}{ratio:>7.1f}×{f'≥{bar}×':>7}  {verdict(ratio >= bar)}"
            )


def large(binary: str, folder: Path, postgres: str | None, traces: int) -> None:
    store = postgres or f"sqlite:///{folder}/large.db"
    made = json.loads(script("own_store.py", "make", store, str(folder / "artifacts")))
    experiment = made["experiment_id"]
    rows = ["--experiment", experiment, "--count", str(traces)]
    filled = timed(lambda: script("fill_store.py", store, "traces", *rows))
    with serving(binary, folder, store, experiment) as own:
        searches(own, store, traces, filled)
    big = fill_big(folder, postgres, experiment)
    store = postgres or f"sqlite:///{folder}/copy.db"
    with serving(binary, folder, store, experiment if postgres else os.environ["MLFLOW_EXPERIMENT_ID"]) as own:
        times = [first_span(own, big) for _ in range(15)]
    middle = statistics.median(times)
    told = f"{'first span of 100 MB':28}{'':19}{middle:>10.2f}{p95(times):>8.2f}{'':8}{'<30 ms':>7}"
    print(f"{told}  {verdict(middle < 30)}")


def fill_big(folder: Path, postgres: str | None, experiment: str) -> str:
    """A trace of 100 MB in the large store on PostgreSQL, else in a copy of the one that MLflow serves."""
    if postgres:
        return script("fill_store.py", postgres, "big", "--experiment", experiment).strip()
    file = os.environ["MLFLOW_STORE_URI"].removeprefix("sqlite:///")
    source = sqlite3.connect(f"{Path(file).as_uri()}?mode=ro", uri=True)
    with contextlib.closing(source), contextlib.closing(sqlite3.connect(folder / "copy.db")) as copy:
        source.backup(copy)
    return script(
        "fill_store.py", f"sqlite:///{folder}/copy.db", "big", "--experiment", os.environ["MLFLOW_EXPERIMENT_ID"]
    ).strip()


def searches(own: str, store: str, traces: int, filled: float) -> None:
    kind = store.split(":", 1)[0]
    print(f"\n{traces:,} traces in {kind}, filled in {filled / 1000:.0f} s; pages of 50, the first and two further on")
    print(f"{'':58}{'found':>7}{'p50 ms':>9}{'p95 ms':>9}")
    firsts, everything = [], []
    # As fill_store.py makes them: 20 s apart.
    late = 1_790_000_000_000 + traces * 9 // 10 * 20_000
    for filter_, order in MIX:
        body = {"filter": filter_.format(late=late), "order_by": order, "max_results": 50}
        times, found = [], 0
        for page, _ in itertools.product(PAGES, range(7)):
            token = {"page_token": offset(page)} if page else {}
            took, _, _, answer = call(own, SEARCH, body | token, COLD)
            times.append(took)
            if not page:
                firsts.append(took)
            found = max(found, len(json.loads(answer)["traces"]))
        everything += times
        print(f"{filter_ or 'all':58}{found:>7}{statistics.median(times):>9.1f}{p95(times):>9.1f}")
    for name, took in [("the first pages together", firsts), ("all together", everything)]:
        told = f"{name:65}{statistics.median(took):>9.1f}{p95(took):>9.1f}"
        print(f"{told}  bar <50: {verdict(p95(took) < 50)}")
    print()


def offset(count: int) -> str:
    """The page token that MLflow itself gives after so many."""
    return base64.b64encode(json.dumps({"offset": count}).encode()).decode()


def first_span(own: str, trace: str) -> float:
    """Milliseconds from the request to the first line; what follows is not waited for."""
    address = urllib.parse.urlsplit(own)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)

    def ask() -> None:
        connection.request("GET", f"/api/traces/{trace}/spans", headers=COLD | {"accept": "application/x-ndjson"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        assert json.loads(answer.readline())["name"] == "section_0"

    took = timed(ask)
    connection.close()
    return took


def script(name: str, *args: str) -> str:
    """What a script of tests/mlflow prints, run with MLflow's own Python."""
    command = [os.environ["MLFLOW_PYTHON"], SCRIPTS / name, *args]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def timed(what: Callable[[], object]) -> float:
    begun = time.perf_counter()
    what()
    return (time.perf_counter() - begun) * 1000


def p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20, method="inclusive")[-1]


def verdict(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


if __name__ == "__main__":
    main()
