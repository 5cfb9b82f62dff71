"""Answers from the cache against nginx, which serves the same bytes from files: the ceiling."""

import gzip
import statistics
from collections.abc import Callable
from pathlib import Path

from calls import Call
from load import Load, Request, load, load_h2
from results import Results
from sample import Sample
from servers import Server

GROUP = "warm"
CONNECTIONS = 32
SEARCH = "/api/mlflow/search-traces"
OF_THE_BAR = ("search, 50 traces", "trace, 1.1 MB")


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


def compare(
    results: Results, own: Server, nginx: tuple[Server, Server], folder: Path, sample: Sample, rounds: int, seconds: int
) -> None:
    """Every case over HTTP/1.1, plain and as browsers ask for it, and the two of the bar over HTTP/2."""
    over_1, over_2 = nginx
    worst: list[tuple[float, str]] = []
    for number, (case, request) in enumerate(requests(sample).items()):
        for coding in ({}, {"accept-encoding": "gzip"}):
            asked, file = Request(request.path, request.body, request.headers | coding), f"{number}.json"
            put(own, asked, folder / file)
            name, of_file = f"{case}, gzip" if coding else case, Request(f"/{file}", headers=coding)
            both = ((over_1, of_file), (own, asked))
            ratio, ratio_of_p99 = measure(results, name, rounds, both, lambda to, one: load(to, [one], CONNECTIONS, seconds))
            worst.append((ratio_of_p99, name))
            if case in OF_THE_BAR:
                results.bar(f"warm {name}: requests/s against nginx", "≥ 0.7", f"{ratio:.2f}", ratio >= 0.7)
        if case in OF_THE_BAR:
            both = ((over_2, Request(f"/{number}.json")), (own, request))
            measure(results, f"{case}, HTTP/2", rounds, both, lambda to, one: load_h2(to, one, seconds=seconds))
    ratio, name = max(worst)
    within = sum(one <= 2 for one, _ in worst)
    got = f"{within} of {len(worst)} cases; worst {ratio:.1f} times ({name})"
    results.bar("warm anything: p99 at 32 connections against nginx", "within 2 times", got, ratio <= 2)


def put(own: Server, asked: Request, file: Path) -> None:
    """Has the answer kept, and encoded from the second time on, and its bytes in a file; nginx finds what is encoded beside
    the file."""
    call = Call(own.base, asked.path, asked.body, asked.headers)
    call()
    text = call().body
    if asked.headers.get("accept-encoding"):
        assert gzip.decompress(text) == file.read_bytes(), asked.path
        file = file.with_name(f"{file.name}.gz")
    file.write_bytes(text)


def measure(
    results: Results, name: str, rounds: int, both: tuple[tuple[Server, Request], ...], send: Callable[[Server, Request], Load]
) -> tuple[float, float]:
    """Loads nginx and ours in turns. Ours in parts of nginx: requests in a second, and p99."""
    loads: dict[str, list[Load]] = {server.name: [] for server, _ in both}
    for _ in range(rounds):
        for server, request in both:
            loads[server.name].append(send(server, request))
    rows = {server: results.load(GROUP, name, server, of_one) for server, of_one in loads.items()}
    assert not any(one.refused + one.broken for of_one in loads.values() for one in of_one), name
    ratio = statistics.median(own.rate / theirs.rate for own, theirs in zip(loads["trace-server"], loads["nginx"], strict=True))
    rows["trace-server"].note = ", ".join(filter(None, (f"{ratio:.2f} of nginx", rows["trace-server"].note)))
    return ratio, rows["trace-server"].p99 / rows["nginx"].p99
