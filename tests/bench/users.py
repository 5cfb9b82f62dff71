"""Many at once: people who read and think, a herd before a cold cache, writes in between, and a day in five minutes."""

import asyncio
import collections
import json
import random
import statistics
import time
import urllib.parse

from calls import COLD, Call, chunks
from load import Load, Request, load
from results import Results
from sample import Sample
from servers import Server

GROUP = "many at once"
SEARCH = "/api/mlflow/search-traces"
# How long a person looks at what they see, on average.
THINK_MS = 1000
BROWSER = {"accept-encoding": "gzip, deflate, br, zstd"}


def mix(sample: Sample, reads_of_sessions: list[str], rng: random.Random) -> list[Request]:
    """What people of the review app ask: lists, then traces (few of them often, most seldom), then spans and sessions."""
    asked = [
        Request(SEARCH, {"experiment_ids": [sample.small], "max_results": 50, "filter": filter_}, BROWSER, weight)
        for filter_, weight in [("", 20), ("status = 'OK'", 6), ("status = 'ERROR'", 4)]
    ]
    asked.append(Request(SEARCH, {"experiment_ids": [sample.heavy], "max_results": 10}, BROWSER, 5))
    traces = rng.sample(sample.small_traces, len(sample.small_traces))
    skewed = [1 / rank for rank in range(1, len(traces) + 1)]
    for trace, weight in zip(traces, skewed, strict=True):
        share = weight / sum(skewed)
        asked.append(Request(f"/api/traces/{trace}", None, BROWSER, 30 * share))
        asked.append(Request(f"/api/traces/{trace}/spans?view=summary", None, BROWSER | {"accept": "application/json"}, 15 * share))
    asked += [Request(f"/api/traces/{trace}", None, BROWSER, 0.5) for trace in sample.heavy_traces]
    asked += [Request(path, None, BROWSER, 12 / len(reads_of_sessions)) for path in reads_of_sessions]
    return asked + [Request("/api/user/me", None, BROWSER, 3)]


def session(own: Server, sample: Sample, count: int) -> tuple[str, list[str]]:
    """A labeling session of so many traces: its run, and the paths that read it."""
    made = json.loads(Call(own.base, "/api/labeling-sessions", {"name": "bench"})().body)
    path = f"/api/labeling-sessions/{made['labeling_session_id']}"
    body = {"mlflow_run_id": made["mlflow_run_id"], "trace_ids": sample.small_traces[:count]}
    Call(own.base, f"{path}/link-traces", body)()
    return made["mlflow_run_id"], [path, f"{path}/items?page_size=50"]


def warm_up(own: Server, asked: list[Request]) -> None:
    """Each once, and again to have it encoded."""
    for request in [*asked, *asked]:
        Call(own.base, request.path, request.body, request.headers)()


def people(results: Results, own: Server, sample: Sample, seconds: int, long: int) -> None:
    _, paths = session(own, sample, 50)
    asked = mix(sample, paths, random.Random(7))
    warm_up(own, asked)
    for users in (1, 10, 100, 1000):
        told = load(own, asked, users, long if users == 1000 else seconds, THINK_MS)
        results.load(GROUP, f"{users} users who think for 1 s", "trace-server", [told], note=failures(told))
    results.bar("1000 users, 60 s: errors", "0", failures(told), told.refused + told.broken == 0)
    results.bar("1000 users, 60 s: p99 of warm reads", "< 50 ms", f"{told.p99:.1f} ms", told.p99 < 50)
    told = load(own, asked, 1000, seconds)
    results.load(GROUP, "1000 connections that never pause", "trace-server", [told], note=failures(told))
    with_writes(results, own, sample, asked, seconds)


def with_writes(results: Results, own: Server, sample: Sample, asked: list[Request], seconds: int) -> None:
    """One request of twenty labels a trace, through MLflow's own API."""
    label = {"assessment": {"name": "bench", "value": "yes"}}
    traces = sample.small_traces[-50:]
    total = sum(request.weight for request in asked)
    writes = [Request(f"/api/traces/{trace}/feedback", label, {}, total / 19 / len(traces)) for trace in traces]
    told = load(own, asked + writes, 100, seconds, THINK_MS, watch=True)
    note = f"{failures(told)}; {shares(told)}"
    results.load(GROUP, "100 users, one request of 20 a label", "trace-server", [told], note=note)


def failures(told: Load) -> str:
    return f"{told.refused} refused, {told.broken} broken"


def shares(told: Load) -> str:
    """How the answers were come by."""
    total = sum(told.counted.values())
    return ", ".join(f"{word.split()[1]} {count / total:.1%}" for word, count in sorted(told.counted.items()))


def herd(results: Results, own: Server, sample: Sample, size: int) -> None:
    """So many at the same moment, each on a connection that is open already, before a cache that has nothing of it."""
    cases = {
        "search": (SEARCH, {"experiment_ids": [sample.small], "max_results": 73}),
        "trace of 1.1 MB": (f"/api/traces/{sample.heavy_traces[1]}", None),
    }
    for name, (path, body) in cases.items():
        alone = statistics.median(Call(own.base, path, body, COLD)().took for _ in range(5))
        # Told apart from what was just kept by asking for something new.
        fresh = (SEARCH, body | {"max_results": 74}) if body else (f"/api/traces/{sample.heavy_traces[2]}", None)
        times, words = asyncio.run(at_once(own.base, *fresh, size))
        case = f"herd of {size} before a cold cache: {name}"
        note = f"{dict(words)}; one alone takes {alone:.1f} ms"
        results.calls(GROUP, case, "trace-server", times, note=note)
        results.bar(case, "one call upstream", f"{words['miss']} by the answers' x-cache", words["miss"] == 1)


async def at_once(base: str, path: str, body: object, size: int) -> tuple[list[float], collections.Counter]:
    """Milliseconds until each has its answer whole, and how they were come by."""
    address = urllib.parse.urlsplit(base)
    text = json.dumps(body).encode() if body else b""
    method = "POST" if body else "GET"
    head = f"{method} {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\naccept-encoding: zstd\r\n"
    request = f"{head}content-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text
    open_ = [asyncio.open_connection(address.hostname, address.port) for _ in range(size)]
    connections = [one for some in chunks(open_, 100) for one in await asyncio.gather(*some)]
    words: collections.Counter = collections.Counter()

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
        writer.write(request)
        answer = await reader.read(-1)
        took = (time.perf_counter() - begun) * 1000
        head = answer.split(b"\r\n\r\n", 1)[0].decode()
        assert head.startswith("HTTP/1.1 200"), head
        words[next(line.split()[1] for line in head.splitlines() if line.startswith("x-cache"))] += 1
        writer.close()
        return took

    begun = time.perf_counter()
    times = await asyncio.gather(*(ask(*connection) for connection in connections))
    return list(times), words


def day(results: Results, own: Server, experiment: str, traces: list[str], limit_mib: int, seconds: int) -> None:
    """A day of traffic in five minutes: few at night and many by day, more traces than the cache can hold, some far more
    wanted than others, and other ones by the hour."""
    rng, hours = random.Random(24), 12
    own.forget_peak()
    order = rng.sample(traces, len(traces))
    curve = []
    for hour in range(hours):
        # Each hour a part of what is wanted is new.
        order = order[len(order) // 20 :] + order[: len(order) // 20]
        asked = [Request(f"/api/traces/{trace}", None, BROWSER, 1 / rank) for rank, trace in enumerate(order, 1)]
        total = sum(request.weight for request in asked)
        asked.append(Request(SEARCH, {"experiment_ids": [experiment], "max_results": 50}, BROWSER, total / 10))
        busy = 40 + int(360 * (1 - abs(hours / 2 - hour) / (hours / 2)))
        told = load(own, asked, busy, max(seconds // hours, 1), 200, watch=True, seed=hour)
        hits = told.counted.get("200 hit", 0) + told.counted.get("200 coalesced", 0)
        curve.append((told, hits / max(sum(told.counted.values()), 1)))
    told, total = [one for one, _ in curve], sum(one.requests for one, _ in curve)
    ratio = sum(one.requests * share for one, share in curve) / total
    steps = ", ".join(f"{share:.0%} and {one.rss_mib:.0f} MiB" for one, share in curve)
    broken = sum(one.refused + one.broken for one in told)
    note = f"{total:,} requests for {len(traces):,} traces, {broken} failed; cache {limit_mib} MiB; by the hour: {steps}"
    results.load(GROUP, "a day in five minutes", "trace-server, on the database", told, note=note)
    # The cache, the server itself, and what 400 who read at once take.
    highest, bound = own.rss_mib("VmHWM"), limit_mib + 112
    got = f"{ratio:.0%}; {highest:.0f} MiB with a cache of {limit_mib} MiB, {broken} errors"
    results.bar("a day: hits; resident memory at most", f"< {bound} MiB, no error", got, broken == 0 and highest < bound)
