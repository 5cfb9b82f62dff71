"""trace-server on MLflow's own database: beside the MLflow server on the same file, and over many traces.

All calls are cold, each on a connection of its own. Beside MLflow they are made once one by one, where the processor has done
other things between two calls to the same server, and once some in a row, where it has not.
"""

import base64
import http.client
import itertools
import json
import os
import statistics
import subprocess
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from calls import COLD, Call, quantile
from results import Results
from sample import Sample, search
from servers import Server

IN_A_ROW = 8
SCRIPTS = Path(__file__).parent.parent / "mlflow"
SEARCH = "/api/mlflow/search-traces"
BESIDE = "on the database, beside MLflow"
MANY = "on the database, many traces"

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


@dataclass
class Store:
    """A store in MLflow's schema that nobody else uses, filled with generated traces."""

    uri: str
    experiment: str
    traces: int

    def settings(self) -> dict[str, str]:
        return {"MLFLOW_TRACKING_URI": self.uri, "MLFLOW_EXPERIMENT_ID": self.experiment}


def beside_mlflow(results: Results, own: Server, mlflow: str, sample: Sample, rounds: int) -> None:
    big = sample.heavy_traces[0]
    page = {"experiment_ids": [sample.small], "max_results": 50}
    cases = [
        ("trace, 1.1 MB, against traces/get", f"/api/3.0/mlflow/traces/get?trace_id={big}&allow_partial=true", None, 20),
        ("trace, 1.1 MB, against the artifact route", f"/ajax-api/2.0/mlflow/get-trace-artifact?request_id={big}", None, 10),
        ("search, 50 traces", *search(sample.small, 50), 8),
    ]
    for (name, path, body, bar), (turns, count) in itertools.product(
        cases, [("one by one", 1), (f"{IN_A_ROW} in a row", IN_A_ROW)]
    ):
        theirs = Call(mlflow, path, body)
        ours = Call(own.base, SEARCH, page, COLD) if body else Call(own.base, f"/api/traces/{big}", None, COLD)
        direct, cold = [], []
        for _ in range(max(rounds // count, 3)):
            direct += [theirs().took for _ in range(count)]
            cold += [ours().took for _ in range(count)]
        case = f"{name}, {turns}"
        results.calls(BESIDE, case, "MLflow", direct)
        results.calls(BESIDE, case, "trace-server, on the database", cold)
        ratio = statistics.median(direct) / statistics.median(cold)
        results.bar(f"on the database: {case}", f"≥ {bar} times faster", f"{ratio:.1f}", ratio >= bar)


def filled(folder: Path, traces: int, uri: str | None = None) -> Store:
    """A new store of so many traces in this folder, or in the empty database of this URI."""
    uri = uri or f"sqlite:///{folder}/large.db"
    made = json.loads(script("own_store.py", "make", uri, str(folder / "artifacts")))
    script("fill_store.py", uri, "traces", "--experiment", made["experiment_id"], "--count", str(traces))
    return Store(uri, made["experiment_id"], traces)


def add_huge(store: Store) -> str:
    """Puts a trace of 100 MB into it; its id."""
    return script("fill_store.py", store.uri, "big", "--experiment", store.experiment).strip()


def searches(results: Results, own: Server, store: Store) -> None:
    kind = "SQLite" if store.uri.startswith("sqlite") else "PostgreSQL"
    firsts, everything = [], []
    # As fill_store.py makes them: 20 s apart.
    late = 1_790_000_000_000 + store.traces * 9 // 10 * 20_000
    for filter_, order in MIX:
        body = {"filter": filter_.format(late=late), "order_by": order, "max_results": 50}
        times, found = [], 0
        for page, _ in itertools.product(PAGES, range(7)):
            token = {"page_token": offset(page)} if page else {}
            answer = Call(own.base, SEARCH, body | token, COLD)()
            times.append(answer.took)
            if not page:
                firsts.append(answer.took)
            found = max(found, len(json.loads(answer.body)["traces"]))
        everything += times
        results.calls(MANY, f"{kind}: {filter_ or 'all'}", "trace-server", times, note=f"{found} found")
    for name, took in [("first pages", firsts), ("pages up to 500 further on", everything)]:
        p95 = quantile(took, 95)
        results.bar(f"{store.traces:,} traces in {kind}: p95, {name}", "< 50 ms", f"{p95:.1f} ms", p95 < 50)


def first_spans(results: Results, own: Server, store: Store, trace: str) -> None:
    kind = "SQLite" if store.uri.startswith("sqlite") else "PostgreSQL"
    times = [first_span(own, trace) for _ in range(15)]
    row = results.calls(MANY, f"{kind}: first span of 100 MB", "trace-server", times)
    results.bar(f"first span of 100 MB from {kind}", "< 30 ms", f"{row.median:.1f} ms", row.median < 30)


def first_span(own: Server, trace: str) -> float:
    """Milliseconds from the request to the first line; what follows is not waited for."""
    address = urllib.parse.urlsplit(own.base)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    begun = time.perf_counter()
    connection.request("GET", f"/api/traces/{trace}/spans", headers=COLD | {"accept": "application/x-ndjson"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    assert json.loads(answer.readline())["name"] == "section_0"
    took = (time.perf_counter() - begun) * 1000
    connection.close()
    return took


def newest(own: Server, store: Store, count: int) -> list[str]:
    """The ids of its newest traces."""
    found, token = [], None
    while len(found) < count:
        body = {"max_results": min(count, 10_000)} | ({"page_token": token} if token else {})
        page = json.loads(Call(own.base, SEARCH, body)().body)
        found += [trace["info"]["trace_id"] for trace in page["traces"]]
        token = page["next_page_token"]
    return found[:count]


def offset(count: int) -> str:
    """The page token that MLflow itself gives after so many."""
    return base64.b64encode(json.dumps({"offset": count}).encode()).decode()


def script(name: str, *args: str) -> str:
    """What a script of tests/mlflow prints, run with MLflow's own Python."""
    command = [os.environ["MLFLOW_PYTHON"], SCRIPTS / name, *args]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
