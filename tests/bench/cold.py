"""Answers past the cache, against the very call that is made upstream, and against the floor."""

import statistics
import time

from calls import Call, in_turns
from results import Results
from sample import Sample, search
from servers import Server

GROUP = "cold"
SEARCH = "/api/mlflow/search-traces"
# No route of MLflow gives info and spans at once that fast.
SPANS_ALONE = "spans alone, whole"
ARTIFACT = "/ajax-api/2.0/mlflow/get-trace-artifact?request_id="


def compare(results: Results, own: Server, on_database: Server, mlflow: str, sample: Sample, rounds: int) -> None:
    """In front of an MLflow server, and on its database, beside what MLflow itself takes."""
    small, big = sample.small_traces[0], sample.heavy_traces[0]
    cases = [(f"search, {count} traces", search(sample.small, count), (SEARCH, {"experiment_ids": [sample.small], "max_results": count}))
             for count in (10, 50, 500)]  # fmt: skip
    as_json = {"accept": "application/json"}
    info = f"/api/3.0/mlflow/traces/{small}"
    cases += [
        ("info", (info, None), ("/api/traces/batch", {"trace_ids": [small], "include_spans": False})),
        ("spans, 9 KB", (ARTIFACT + small, None), (f"/api/traces/{small}/spans", None, as_json)),
        ("spans, 1.1 MB", (ARTIFACT + big, None), (f"/api/traces/{big}/spans", None, as_json)),
        ("spans in short, 1.1 MB", (ARTIFACT + big, None), (f"/api/traces/{big}/spans?view=summary", None, as_json)),
        ("trace, 9 KB", (ARTIFACT + small, None), (f"/api/traces/{small}", None)),
        ("trace, 1.1 MB", (ARTIFACT + big, None), (f"/api/traces/{big}", None)),
    ]
    for case, theirs, ours in cases:
        direct, cold = Call(mlflow, *theirs), Call(own.base, *ours).cold()
        stored = Call(on_database.base, *ours).cold()
        times = in_turns([direct, cold, stored], rounds)
        names = ("MLflow", "trace-server", "trace-server, on the database")
        for name, took, call in zip(names, times, (direct, cold, stored), strict=True):
            note = SPANS_ALONE if name == "MLflow" and case.startswith(("trace", "spans in short")) else ""
            results.calls(GROUP, case, name, took, bytes=len(call().body), note=note)
        theirs_ms, ours_ms = (statistics.median(took) for took in times[:2])
        if case.startswith(("search", "info", "spans, ")):
            limit = theirs_ms * 1.15 + 1
            got = f"{ours_ms:.1f} ms against {theirs_ms:.1f} ms"
            results.bar(f"cold {case}: median against the upstream call", f"≤ {limit:.1f} ms", got, ours_ms <= limit)


def against_floor(results: Results, own: Server, on_database: Server, floor: Server, sample: Sample, rounds: int) -> None:
    """What the old backend took for a page of ten traces, and for a hundred traces one by one."""
    page = {"experiment_ids": [sample.heavy], "max_results": 10}
    old, new = Call(floor.base, SEARCH, page), Call(own.base, SEARCH, page)
    slow = [old() for _ in range(max(rounds // 8, 3))]
    cold, warm = in_turns([new.cold(), new], rounds)
    fast = new()
    case = "page of 10 traces of 1.1 MB"
    floor_ms = results.calls(GROUP, case, "floor", [one.took for one in slow], bytes=len(slow[0].body)).median
    cold_ms = results.calls(GROUP, case, "trace-server", cold, bytes=len(fast.body)).median
    warm_ms = results.calls(GROUP, case, "trace-server, warm", warm, bytes=len(fast.body)).median
    stored = in_turns([Call(on_database.base, SEARCH, page).cold()], rounds)[0]
    results.calls(GROUP, case, "trace-server, on the database", stored, bytes=len(fast.body))
    ratios = [("cold", floor_ms / cold_ms, 100), ("warm", floor_ms / warm_ms, 1000)]
    for name, ratio, bar in ratios:
        results.bar(f"search of 10 against the floor, {name}", f"≥ {bar} times faster", f"{ratio:,.0f}", ratio >= bar)
    fewer = len(slow[0].body) / len(fast.body)
    results.bar("search of 10 against the floor, bytes", "≥ 300 times fewer", f"{fewer:,.0f}", fewer >= 300)
    batch(results, own, on_database, floor, sample)


def batch(results: Results, own: Server, on_database: Server, floor: Server, sample: Sample) -> None:
    ids, case = sample.small_traces[:100], "100 traces of 9 KB with spans"
    body = {"trace_ids": ids, "include_spans": True}
    one_by_one, whole, stored = [], [], []
    for _ in range(3):
        begun = time.perf_counter()
        for trace in ids:
            Call(floor.base, f"/api/mlflow/traces/{trace}")()
        one_by_one.append((time.perf_counter() - begun) * 1000)
        whole.append(Call(own.base, "/api/traces/batch", body).cold()().took)
        stored.append(Call(on_database.base, "/api/traces/batch", body).cold()().took)
    floor_ms = results.calls(GROUP, case, "floor", one_by_one, note="100 requests, one after the other").median
    ours = results.calls(GROUP, case, "trace-server", whole, note="one batch").median
    direct = results.calls(GROUP, case, "trace-server, on the database", stored, note="one batch").median
    told = f"{floor_ms / ours:.0f} before an MLflow server, {floor_ms / direct:.0f} on its database"
    results.bar("batch of 100 cold against 100 single requests to the floor", "≥ 20 times faster", told, floor_ms / ours >= 20)
