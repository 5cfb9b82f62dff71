"""A TCP proxy between trace-server and MLflow that passes bytes on, and spoils what it passes as it is told.

Only answers are spoilt: a request that MLflow has carried out although nobody hears of it is the harder case.
"""

import asyncio
import random
import socket
from dataclasses import dataclass, field

CHUNK = 16 << 10
DELAY_S = 1.0
THROTTLE = 50_000
# Of connections that are silent, so many stay so until the other end gives them up.
DEAD = 0.25
# Of answers, so many are cut or corrupted: the others show that both are told apart.
SPOILT = 0.5
# No JSON text has either of them, anywhere; nor has the length of an answer or of a part of it.
NEVER_RIGHT = (0x00, 0xFF)


@dataclass(eq=False)
class Connection:
    """One of trace-server's, and the one to MLflow that belongs to it."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    is_dead: bool = False
    # Bytes of the present answer that were passed on.
    passed: int = 0
    # Where the answer is cut or corrupted, or None.
    spoilt_at: int | None = None

    def abort(self) -> None:
        for writer in (self.near, self.far):
            writer.transport.abort()


@dataclass
class Proxy:
    """Passes on to this port of this machine."""

    upstream: int
    rng: random.Random
    fault: str = "none"
    over: asyncio.Event = field(default_factory=asyncio.Event)
    connections: set[Connection] = field(default_factory=set)
    listener: socket.socket | None = None
    server: asyncio.Server | None = None
    port: int = 0

    async def listen(self) -> None:
        self.server = await asyncio.start_server(self._pass, "127.0.0.1", self.port, limit=CHUNK)
        self.port = self.server.sockets[0].getsockname()[1]

    async def begin(self, fault: str) -> None:
        self.fault = fault
        self.over.clear()
        if fault == "refuse":
            self.server.close()
            for connection in list(self.connections):
                connection.abort()
        if fault == "silent":
            for connection in self.connections:
                connection.is_dead = self.rng.random() < DEAD

    async def end(self) -> None:
        refused, self.fault = self.fault == "refuse", "none"
        self.over.set()
        if refused:
            await self.listen()

    async def close(self) -> None:
        self.server.close()
        for connection in list(self.connections):
            connection.abort()

    async def _pass(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        try:
            answers, far = await asyncio.open_connection("127.0.0.1", self.upstream, limit=CHUNK)
        except OSError:
            near.transport.abort()
            return
        connection = Connection(near, far, is_dead=self.fault == "silent" and self.rng.random() < DEAD)
        self.connections.add(connection)
        directions = [asyncio.create_task(one) for one in (self._requests(reader, connection), self._answers(answers, connection))]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
            self.connections.discard(connection)
            near.close()
            far.close()

    async def _requests(self, reader: asyncio.StreamReader, connection: Connection) -> None:
        while data := await reader.read(CHUNK):
            if connection.is_dead:
                continue
            connection.passed, connection.spoilt_at = 0, None
            if self.fault in ("cut", "corrupt") and self.rng.random() < SPOILT:
                # In the head, in a small body, or deep in a large one.
                connection.spoilt_at = self.rng.randrange(self.rng.choice((150, 3_000, 60_000, 6_000_000)))
            connection.far.write(data)
            await connection.far.drain()

    async def _answers(self, reader: asyncio.StreamReader, connection: Connection) -> None:
        while data := await reader.read(CHUNK):
            if self.fault == "silent":
                await self.over.wait()
            if connection.is_dead:
                continue
            if self.fault == "delay" and not connection.passed:
                await asyncio.sleep(DELAY_S)
            data, is_cut = self._spoilt(data, connection)
            connection.passed += len(data)
            await self._send(data, connection.near)
            if is_cut:
                # Half of them as a server does that ends, half as one that crashes.
                if self.rng.random() < 0.5:
                    connection.near.transport.abort()
                return
        if connection.is_dead:
            # Not even that MLflow has closed it is heard of.
            await asyncio.Event().wait()

    def _spoilt(self, data: bytes, connection: Connection) -> tuple[bytes, bool]:
        """What is sent of this part of an answer, and whether it ends there."""
        at = connection.spoilt_at
        if at is None or not connection.passed <= at < connection.passed + len(data):
            return data, False
        at -= connection.passed
        if self.fault == "cut":
            return data[:at], True
        if self.fault == "corrupt":
            return data[:at] + bytes([self.rng.choice(NEVER_RIGHT)]) + data[at + 1 :], False
        return data, False

    async def _send(self, data: bytes, near: asyncio.StreamWriter) -> None:
        while data and self.fault == "throttle":
            near.write(data[: THROTTLE // 10])
            data = data[THROTTLE // 10 :]
            await near.drain()
            await asyncio.sleep(0.1)
        near.write(data)
        await near.drain()
