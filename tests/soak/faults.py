"""What goes wrong and when: drawn from a seed, done by the proxy and to MLflow's own processes."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from calls import is_up
from proxy import Proxy
from servers import Server

KINDS = {
    "none": "nothing",
    "refuse": "connections break and are refused",
    "silent": "nothing comes back; a quarter of the connections stays dead afterwards",
    "delay": "answers come 1 s late",
    "throttle": "50 KB/s for each connection",
    "cut": "half of the answers break off",
    "corrupt": "half of the answers have a byte that cannot be",
    "stop": "MLflow is stopped (SIGSTOP) and goes on",
    "kill": "MLflow's workers are killed and started anew",
}
PERIOD_S = 20
# How long after a fault it may still be felt: after six seconds in vain the server waits for four before it tries again.
AFTERMATH_S = 6


@dataclass
class Fault:
    """One that was, or is."""

    kind: str
    begun: float
    ended: float = float("inf")
    # Seconds until something was read from MLflow again.
    recovery: float | None = None


@dataclass
class Faults:
    """All of a run."""

    proxy: Proxy
    mlflow: Server
    rng: random.Random
    seconds: float
    past: list[Fault] = field(default_factory=list)

    def plan(self) -> list[str]:
        """One for each period, each kind as often as any other, in an order of the seed's. A short run has short periods."""
        count = max(int(self.seconds / self.period()), 1)
        drawn: list[str] = []
        while len(drawn) < count:
            drawn += self.rng.sample(list(KINDS), len(KINDS))
        return drawn[:count]

    def period(self) -> float:
        return min(max(self.seconds / len(KINDS), 4), PERIOD_S)

    async def run(self, recovered: Callable[[], Awaitable[None]]) -> None:
        """One after the other; `recovered` returns once MLflow is read through the server again."""
        period, recovering = self.period(), None
        for kind in self.plan():
            await asyncio.sleep(0.35 * period)
            if recovering:
                recovering.cancel()
            fault = Fault(kind, time.monotonic())
            self.past.append(fault)
            try:
                await self._begin(kind)
                await asyncio.sleep(0.3 * period)
            finally:
                await self._end(kind)
                fault.ended = time.monotonic()
            recovering = asyncio.create_task(self._recover(fault, recovered))
            await asyncio.sleep(0.35 * period)

    async def _recover(self, fault: Fault, recovered: Callable[[], Awaitable[None]]) -> None:
        await recovered()
        fault.recovery = time.monotonic() - fault.ended

    def met(self, begun: float, ended: float) -> str:
        """Which fault a request met that lasted so long; nothing when it was calm."""
        met = [one.kind for one in self.past if one.begun < ended and begun < one.ended + AFTERMATH_S and one.kind != "none"]
        return met[-1] if met else ""

    def since(self, moment: float) -> str:
        """How long ago the last fault was over."""
        over = [one for one in self.past if one.ended <= moment and one.kind != "none"]
        return f"{moment - over[-1].ended:.1f} s after “{over[-1].kind}”" if over else "before any fault"

    async def _begin(self, kind: str) -> None:
        if kind == "stop":
            self._signal(signal.SIGSTOP)
        elif kind == "kill":
            workers = [pid for pid in self.mlflow.processes() if b"spawn_main" in command(pid)]
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
        else:
            await self.proxy.begin(kind)

    async def _end(self, kind: str) -> None:
        if kind == "stop":
            self._signal(signal.SIGCONT)
        elif kind == "kill":
            # On a busy machine they take as long as a fault, or longer, to come up again.
            while not await asyncio.to_thread(is_up, self.mlflow.base):
                await asyncio.sleep(0.1)
        else:
            await self.proxy.end()

    def _signal(self, number: int) -> None:
        for pid in self.mlflow.processes():
            os.kill(pid, number)


def mlflow_at(base: str) -> Server:
    """The MLflow server that listens there, as a process of this machine."""
    port = base.rsplit(":", 1)[1].encode()
    pids = [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]
    ours = [pid for pid in pids if b"\0mlflow\0server\0" in command(pid) and b"\0--port\0" + port + b"\0" in command(pid)]
    return Server("MLflow", base, min(ours))


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
