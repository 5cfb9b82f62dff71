#!/usr/bin/env python3
"""Measures trace-server beside what it is compared with, all in one run, in turns: only ratios travel between machines.

    tests/mlflow/serve.py --data DIR -- tests/bench/run.py BINARY [--report FILE] [--quick] [--postgres URL]

The floor is FastAPI with MLflow's SDK (`floor.py`), the ceiling nginx with the same bytes in files, and between them stands
MLflow itself. The report is written as Markdown, with a chart beside it. With --postgres, searches are measured on that empty
database too.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import cold
import labeling
import micro
import process
import servers
import store
import users
import warm
from results import Results
from sample import sample

CACHE_OF_A_DAY_MIB = 16
TRACES_OF_A_DAY = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--report", type=Path, help="where to write it as Markdown")
    parser.add_argument("--quick", action="store_true", help="less often and less long: to see that it works")
    parser.add_argument("--postgres", metavar="URL", help="an empty database")
    args = parser.parse_args()
    servers.install()
    servers.raise_limits()
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Whatever runs is stopped on the way out.
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    results, begun = Results(machine()), time.monotonic()
    file = args.report.with_suffix(".json") if args.report else None
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            run(results, args, Path(folder))
    finally:
        results.machine["took"] = f"{(time.monotonic() - begun) / 60:.0f} minutes" + (", a quick run" if args.quick else "")
        if file:
            results.save(file)
    if file:
        # matplotlib comes with MLflow.
        subprocess.run([os.environ["MLFLOW_PYTHON"], Path(__file__).parent / "report.py", file, args.report], check=True)
        file.unlink()


def run(results: Results, args: argparse.Namespace, folder: Path) -> None:
    mlflow, quick = os.environ["MLFLOW_TRACKING_URI"], args.quick
    rounds, seconds = (6, 1) if quick else (40, 3)
    traces = sample(mlflow)
    in_front = partial(servers.own, args.binary)

    def on_database(name: str, **settings: str) -> servers.Server:
        return stack.enter_context(in_front(made(folder, name), **servers.on_database() | settings))

    with ExitStack() as stack:
        process.start(results, lambda: in_front(made(folder, "start")), args.binary, 5 if quick else 15)
        with servers.nginx(made(folder, "nginx"), apart=True) as ceiling, in_front(made(folder, "warm"), apart=True) as fresh:
            warm.compare(results, fresh, ceiling, folder / "nginx", traces, 1 if quick else 3, seconds)
        own = stack.enter_context(in_front(made(folder, "own")))
        beside = on_database("beside")
        cold.compare(results, own, beside, mlflow, traces, rounds)
        with servers.floor(made(folder, "floor")) as floor:
            cold.against_floor(results, own, beside, floor, traces, rounds)
        labeling.compare(results, own, beside, mlflow, traces, 2 if quick else 5)
        store.beside_mlflow(results, beside, mlflow, traces, rounds)
        with in_front(made(folder, "herd")) as fresh:
            users.herd(results, fresh, traces, 500)
        users.people(results, own, traces, 2 if quick else 15, 5 if quick else 60)
    with ExitStack() as stack:
        ceiling, _ = stack.enter_context(servers.nginx(made(folder, "nginx")))
        large = store.filled(folder, 20_000 if quick else 200_000)
        huge = store.add_huge(large)
        many = on_database("many", **large.settings())
        store.searches(results, many, large)
        store.first_spans(results, many, large, huge)
        with in_front(made(folder, "huge"), **servers.on_database() | large.settings()) as fresh:
            process.huge(results, fresh, ceiling, folder / "nginx", huge, 3 if quick else 10)
        wanted = store.newest(many, large, TRACES_OF_A_DAY)[1:]
        small = on_database("day", **large.settings(), TRACE_SERVER_CACHE_SIZE=f"{CACHE_OF_A_DAY_MIB}MiB")
        users.day(results, small, large.experiment, wanted, CACHE_OF_A_DAY_MIB, 12 if quick else 300)
    if args.postgres:
        with ExitStack() as stack:
            large = store.filled(folder, 20_000 if quick else 200_000, args.postgres)
            many = on_database("postgres", **large.settings())
            store.searches(results, many, large)
            store.first_spans(results, many, large, store.add_huge(large))
    micro.run(results, quick)


def made(folder: Path, name: str) -> Path:
    (folder / name).mkdir(exist_ok=True)
    return folder / name


def machine() -> dict[str, str]:
    """What the figures depend on."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), ":?")
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / (1 << 20)
    congestion = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    commit = subprocess.run(["git", "log", "-1", "--format=%h"], capture_output=True, text=True, check=False).stdout.strip()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} processors ({cpu.split(':', 1)[1].strip()}), {memory:.0f} GiB, which the servers and the load share unless it is said otherwise",
        "system": f"Linux {os.uname().release}, congestion control {congestion}, Python {sys.version.split()[0]}",
        "commit": commit or "unknown",
    }


if __name__ == "__main__":
    main()
