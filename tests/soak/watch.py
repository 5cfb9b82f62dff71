"""What the server holds, second by second: memory, descriptors, threads, and what it says of itself at `/metrics`."""

import asyncio
import contextlib
import re
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp

GAUGES_S = 5
# As bench/servers.py names it.
DATABASE = "reviews.db"


@dataclass
class Moment:
    """What was held at a moment."""

    at: float
    rss_mib: float
    # Those of its own database, a pool that is bounded and grows as it is needed, are apart.
    descriptors: int
    of_database: int
    threads: int
    gauges: dict[str, float] = field(default_factory=dict)


@dataclass
class Watch:
    """Of this process, which answers there."""

    pid: int
    base: str
    moments: list[Moment] = field(default_factory=list)
    def now(self) -> Moment:
        status = Path(f"/proc/{self.pid}/status").read_text()
        rss, threads = (int(re.search(rf"{what}:\s+(\d+)", status)[1]) for what in ("VmRSS", "Threads"))
        names = list(self._descriptors())
        of_database = sum(name.startswith(DATABASE) for name in names)
        return Moment(time.monotonic(), rss / 1024, len(names) - of_database, of_database, threads)

    def _descriptors(self) -> Iterator[str]:
        for one in Path(f"/proc/{self.pid}/fd").iterdir():
            # It may be closed by now.
            with contextlib.suppress(OSError):
                yield one.readlink().name

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            moment = self.now()
            self.moments.append(moment)
            if len(self.moments) % GAUGES_S == 0:
                moment.gauges = await self.gauges()
            await asyncio.sleep(1)

    async def in_full(self) -> Moment:
        """With the gauges."""
        gauges = await self.gauges()
        # The connection of that question is closed by now, or will be soon.
        return replace(self.now(), gauges=gauges)

    async def gauges(self) -> dict[str, float]:
        """What is up and down by itself; nothing where there is no such route."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as http, http.get(f"{self.base}/metrics") as answer:
                text = await answer.text() if answer.status == 200 else ""
                names = set(re.findall(r"^# TYPE (\S+) gauge$", text, re.MULTILINE))
                found = re.findall(r"^([a-zA-Z_:][\w:]*)(\{.*\})? ([-+.\w]+)$", text, re.MULTILINE)
                return {name + labels: float(value) for name, labels, value in found if name in names}
        return {}

    def third(self, which: int) -> float:
        """The median of resident memory in a third of the time, 0 to 2."""
        count = max(len(self.moments) // 3, 1)
        return statistics.median(one.rss_mib for one in self.moments[which * count :][:count])
