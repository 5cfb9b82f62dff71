"""What the server holds, second by second: memory, descriptors, threads, and what it says of itself at `/metrics`."""

import asyncio
import contextlib
import re
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

GAUGES_S = 5


@dataclass
class Moment:
    """What was held at a moment."""

    at: float
    rss_mib: float
    descriptors: int
    threads: int


@dataclass
class Watch:
    """Of this process, which answers there."""

    pid: int
    base: str
    moments: list[Moment] = field(default_factory=list)
    # Highest and last of each.
    gauges: dict[str, tuple[float, float]] = field(default_factory=dict)

    def now(self) -> Moment:
        status = Path(f"/proc/{self.pid}/status").read_text()
        rss, threads = (int(re.search(rf"{what}:\s+(\d+)", status)[1]) for what in ("VmRSS", "Threads"))
        return Moment(time.monotonic(), rss / 1024, len(list(Path(f"/proc/{self.pid}/fd").iterdir())), threads)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            self.moments.append(self.now())
            if len(self.moments) % GAUGES_S == 0:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    await self.read_gauges()
            await asyncio.sleep(1)

    async def read_gauges(self) -> None:
        """Where there is such a route."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.base}/metrics", timeout=aiohttp.ClientTimeout(5)) as answer:
            if answer.status != 200:
                return
            text = await answer.text()
        names = set(re.findall(r"^# TYPE (\S+) gauge$", text, re.MULTILINE))
        for name, labels, value in re.findall(r"^([a-zA-Z_:][\w:]*)(\{.*\})? ([-+.\w]+)$", text, re.MULTILINE):
            if name in names:
                highest, _ = self.gauges.get(name + labels, (0, 0))
                self.gauges[name + labels] = (max(highest, float(value)), float(value))

    def third(self, which: int) -> float:
        """The median of resident memory in a third of the time, 0 to 2."""
        count = max(len(self.moments) // 3, 1)
        return statistics.median(one.rss_mib for one in self.moments[which * count :][:count])
