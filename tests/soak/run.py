#!/usr/bin/env python3
"""Loads trace-server for minutes with all that people do, while MLflow or the way to it fails every 20 s.

    tests/mlflow/serve.py -- tests/soak/run.py BINARY [--minutes 10] [--seed 1] [--report FILE]

Every answer is held against what MLflow itself said before anything went wrong. Ends with status 1 when one is wrong, when
one is a 500 or never ends, or when the server holds ever more. Minutes come from SOAK_MINUTES unless given, and may be 0.5.
"""

import argparse
import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
# aiohttp and matplotlib come with MLflow.
if Path(sys.prefix) != Path(os.environ["MLFLOW_PYTHON"]).parent.parent:
    os.execv(os.environ["MLFLOW_PYTHON"], [os.environ["MLFLOW_PYTHON"], *sys.argv])
sys.path.insert(0, str(HERE.parent / "bench"))

import aiohttp  # noqa: E402
import servers  # noqa: E402
from asking import Asker, Figures  # noqa: E402
from faults import Faults, mlflow_at  # noqa: E402
from outcome import Outcome, grown  # noqa: E402
from proxy import Proxy  # noqa: E402
from traffic import DEVELOPER, REVIEWERS, Person  # noqa: E402
from watch import Moment, Watch  # noqa: E402
from world import World, experiment, prepared, remained  # noqa: E402

PEOPLE = (*[DEVELOPER] * 16, *[REVIEWERS[0]] * 8, *[REVIEWERS[1]] * 8)
WARM_UP_S, CALM_S = 20, 10
# Connections and threads that nobody uses end after seconds.
SETTLED_S = 40
# A server waits for its upstream for 60 s by default, and some seconds more for itself.
DEADLINE_S = 70
# Less than all that is asked for, so that things are dropped.
CACHE = "8MiB"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--minutes", type=float, default=os.environ.get("SOAK_MINUTES") or 10)
    parser.add_argument("--deadline", type=float, default=DEADLINE_S, help="seconds within which every answer must have come")
    parser.add_argument("--seed", type=int, default=1, help="of the order of the faults and of all that is asked")
    parser.add_argument("--report", type=Path, help="where to write it as Markdown, with a chart beside it")
    args = parser.parse_args()
    servers.raise_limits()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        outcome = asyncio.run(soak(args, Path(folder)))
        outcome.log = (Path(folder) / "trace-server.log").read_text(errors="replace")
    outcome.tell(args.report)
    return 1 if outcome.failures() else 0


async def soak(args: argparse.Namespace, folder: Path) -> Outcome:
    mlflow, rng = os.environ["MLFLOW_TRACKING_URI"], random.Random(args.seed)
    proxy = Proxy(int(mlflow.rsplit(":", 1)[1]), random.Random(args.seed))
    await proxy.listen()
    settings = {
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{proxy.port}",
        "MLFLOW_EXPERIMENT_ID": await asyncio.to_thread(experiment, mlflow),
        "DEVELOPERS": DEVELOPER,
        "TRACE_SERVER_TRUST_PROXY": "true",
        "TRACE_SERVER_CACHE_SIZE": CACHE,
    }
    starting = servers.own(args.binary, folder, **settings)
    server = await asyncio.to_thread(starting.__enter__)
    try:
        world = await asyncio.to_thread(prepared, mlflow, server.base)
        faults = Faults(proxy, mlflow_at(mlflow), rng, args.minutes * 60)
        asker = Asker(server.base, faults, Figures(), args.deadline)
        return await Soak(asker, world, Watch(server.pid, server.base), rng).run()
    finally:
        await asyncio.to_thread(starting.__exit__, None, None, None)
        await proxy.close()


@dataclass
class Soak:
    """A server under load."""

    asker: Asker
    world: World
    watch: Watch
    rng: random.Random

    async def run(self) -> Outcome:
        """Warmed up, loaded while things go wrong, and left alone."""
        watching = asyncio.create_task(self.watch.run())
        async with self.people():
            await asyncio.sleep(min(WARM_UP_S, self.asker.faults.seconds / 4))
        await asyncio.sleep(CALM_S)
        before = await self.watch.in_full()
        async with self.people():
            await self.asker.faults.run(self.recovered)
        await asyncio.sleep(CALM_S)
        after = await self.settled(before)
        watching.cancel()
        lost = await asyncio.to_thread(remained, self.world, os.environ["MLFLOW_TRACKING_URI"], self.asker)
        return Outcome(self.asker, self.watch, before, after, self.world.labels, lost, self.world.truth.stale_without)

    async def settled(self, before: Moment) -> Moment:
        """When no more is held than before, or nobody waits for that any longer."""
        for _ in range(SETTLED_S - CALM_S):
            if not grown(before, await self.watch.in_full()):
                break
            await asyncio.sleep(1)
        return await self.watch.in_full()

    @contextlib.asynccontextmanager
    async def people(self) -> AsyncIterator[None]:
        """All of them, until what is done meanwhile is over and each has had the last answer."""
        enough, connector = asyncio.Event(), aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout()) as self.asker.http:
            async with asyncio.TaskGroup() as group:
                for user in PEOPLE:
                    group.create_task(Person(self.asker, self.world, user, random.Random(self.rng.random())).run(enough))
                try:
                    yield
                finally:
                    enough.set()

    async def recovered(self) -> None:
        """Once a trace is read from MLflow again; asked for anew all the time, as an answer may never come."""
        url, attempts = f"{self.asker.base}/api/traces/{self.world.own[DEVELOPER][-1]}", set()
        try:
            while True:
                attempts.add(asyncio.create_task(self.is_read(url)))
                await asyncio.sleep(0.1)
                done = {one for one in attempts if one.done()}
                if any(one.result() for one in done):
                    return
                attempts -= done
        finally:
            for one in attempts:
                one.cancel()

    async def is_read(self, url: str) -> bool:
        headers = {"x-forwarded-email": DEVELOPER, "cache-control": "no-cache"}
        with contextlib.suppress(aiohttp.ClientError):
            async with self.asker.http.get(url, headers=headers) as answer:
                return answer.status == 200 and answer.headers["x-cache"] == "miss" and bool(await answer.read())
        return False


if __name__ == "__main__":
    sys.exit(main())
