"""How long the labeling page waits for its session of 500 traces with all their spans: a search by its run."""

import json
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import users
from calls import Call, chunks
from results import Results
from sample import Sample, search
from servers import Server

GROUP = "labeling page"
# What batchGet takes in one URL is bounded by its length alone; more at once would gain nothing.
PAGE = 100


def compare(results: Results, own: Server, on_database: Server, mlflow: str, sample: Sample, rounds: int) -> None:
    """MLflow alone, asked as fast as its API allows; trace-server before it, and on its database; warm."""
    count = len(sample.small_traces)
    run, paths = users.session(own, sample, count)
    # The session's run is in the configured experiment, the traces are in one of their own.
    page = (users.SEARCH, {"experiment_ids": [sample.small], "run_id": run, "max_results": count})
    cold, stored, warm = Call(own.base, *page).cold(), Call(on_database.base, *page).cold(), Call(own.base, *page)
    times: dict[str, list[float]] = {"MLflow": [], "trace-server": [], "trace-server, on the database": []}
    sizes = dict.fromkeys(times, 0)
    for _ in range(rounds):
        took, sizes["MLflow"] = alone(mlflow, sample.small, run)
        times["MLflow"].append(took)
        for name, call in (("trace-server", cold), ("trace-server, on the database", stored)):
            answer = call()
            times[name].append(answer.took)
            sizes[name] = len(answer.body)
            assert len(json.loads(answer.body)["traces"]) == count, name
    case = f"session of {count} traces with all spans"
    for name, took in times.items():
        results.calls(GROUP, case, name, took, bytes=sizes[name], note="6 calls, 5 of them at once" if name == "MLflow" else "")
    packed = Call(own.base, *page, {"accept-encoding": "zstd"})
    packed()
    for name, call in (("trace-server, warm", warm), ("trace-server, warm, zstd", packed)):
        answers = [call() for _ in range(rounds * 4)]
        results.calls(GROUP, case, name, [one.took for one in answers], bytes=len(answers[-1].body))
    items = [Call(own.base, paths[1])().took for _ in range(rounds * 4)]
    results.calls(GROUP, "50 items of it", "trace-server", items)


def alone(mlflow: str, experiment: str, run: str) -> tuple[float, int]:
    """Search and spans from MLflow itself: milliseconds and bytes."""
    begun = time.perf_counter()
    page = Call(mlflow, *search(experiment, 500, f"attributes.run_id = '{run}'"))().body
    size, found = len(page), [trace["trace_id"] for trace in json.loads(page)["traces"]]
    queries = [urllib.parse.urlencode([("trace_ids", one) for one in some]) for some in chunks(found, PAGE)]
    with ThreadPoolExecutor(len(queries)) as pool:
        size += sum(pool.map(lambda query: len(Call(mlflow, f"/api/3.0/mlflow/traces/batchGet?{query}")().body), queries))
    return (time.perf_counter() - begun) * 1000, size
