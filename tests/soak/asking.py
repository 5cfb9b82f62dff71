"""Asks trace-server, and judges of every answer what can be judged whatever was asked."""

import asyncio
import hashlib
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from faults import Faults
from truth import Reading, Wrong

# What the server may answer while MLflow is in trouble, and those that say when to come back.
TROUBLE, WITH_HINT = {429, 502, 503, 504}, {503, 504}
RIGHT = frozenset({200})
TOO_SLOW = "504 UPSTREAM_TIMEOUT"
PART = 64 << 10


@dataclass
class Request:
    """What is asked, and by whom."""

    kind: str
    user: str
    path: str
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    method: str = ""
    # Statuses that are right.
    expected: frozenset[int] = RIGHT
    # Seconds to wait before each part of the answer is read.
    pace: float = 0
    # Whether the answer is the same for ever: it is looked at only once then.
    is_constant: bool = False

    def __post_init__(self) -> None:
        self.method = self.method or ("GET" if self.body is None else "POST")


@dataclass
class Answer:
    """An answer, as far as it has come."""

    reading: Reading
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    outcome: str = "right"
    ended: float = 0

    def json(self) -> Any:
        return json.loads(self.body)


Check = Callable[[Answer], None]


@dataclass
class Figures:
    """What is counted."""

    requests: int = 0
    # Requests beside these that were left alone before their answer had come.
    hung_up: int = 0
    bytes: int = 0
    statuses: Counter = field(default_factory=Counter)
    caches: Counter = field(default_factory=Counter)
    # Milliseconds, by kind of request: in calm and in a fault, and to the answer's head as the server tells them.
    times: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    # By the fault that was met: what came of it.
    outcomes: Counter = field(default_factory=Counter)
    # One line for each: wrong answers, those that never ended, and failures although nothing was wrong with MLflow.
    wrong: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    in_calm: list[str] = field(default_factory=list)


@dataclass
class Asker:
    """Asks in the name of any user."""

    base: str
    faults: Faults
    figures: Figures
    # Seconds within which every answer must have come.
    deadline: float
    http: aiohttp.ClientSession | None = None
    started: float = field(default_factory=time.monotonic)
    # Constant answers that were held against the truth.
    proven: set[bytes] = field(default_factory=set)

    async def ask(self, request: Request, check: Check) -> Answer | None:
        """A whole answer of a status that is right, held against the truth by `check`; else nothing, which is counted."""
        answer = Answer(Reading(time.monotonic()))
        self.figures.requests += 1
        try:
            async with asyncio.timeout(self.deadline):
                await self._read(request, answer)
            answer.ended = time.monotonic()
            if judged(request, answer):
                self._prove(request, answer, check)
                return answer
        except TimeoutError:
            answer.outcome = "hang"
            self.figures.hangs.append(self._line(request, answer, f"no end after {self.deadline} s, {len(answer.body)} bytes so far"))
        except (aiohttp.ClientError, ConnectionError) as error:
            answer.outcome = "broken off"
            # An answer that has begun can tell of an error in no other way.
            if not answer.status:
                self.figures.wrong.append(self._line(request, answer, f"no answer: {error!r}"))
        except Wrong as error:
            answer.outcome = "wrong"
            self.figures.wrong.append(self._line(request, answer, str(error)))
        finally:
            self._count(request, answer)
        return None

    async def _read(self, request: Request, answer: Answer) -> None:
        headers = {"x-forwarded-email": request.user, "accept-encoding": "identity"} | request.headers
        url = self.base + request.path
        async with self.http.request(request.method, url, json=request.body, headers=headers) as response:
            answer.status = response.status
            answer.headers = {name.lower(): value for name, value in response.headers.items()}
            answer.reading.is_stale = answer.headers.get("x-cache") == "stale"
            if not request.pace:
                answer.body = await response.read()
                return
            while part := await response.content.read(PART):
                answer.body += part
                await asyncio.sleep(request.pace)

    def _prove(self, request: Request, answer: Answer, check: Check) -> None:
        if answer.reading.is_stale:
            answer.outcome = "stale"
        if request.is_constant:
            named = json.dumps([request.path, request.body, request.headers.get("accept"), answer.status]).encode()
            digest = hashlib.blake2b(named + b"\0" + answer.body).digest()
            if digest in self.proven:
                return
        try:
            check(answer)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise Wrong(f"not as documented: {error!r} in {answer.body[:200]!r}") from error
        if answer.reading.partial:
            answer.outcome = "in part"
        elif request.is_constant:
            self.proven.add(digest)

    def _count(self, request: Request, answer: Answer) -> None:
        figures, begun = self.figures, answer.reading.begun
        answer.ended = answer.ended or time.monotonic()
        fault = self.faults.met(begun, answer.ended)
        figures.bytes += len(answer.body)
        figures.statuses[answer.status] += 1
        figures.caches[answer.headers.get("x-cache", "none")] += 1
        figures.outcomes[fault or "calm", answer.outcome] += 1
        figures.times[request.kind, "fault" if fault else "calm"].append((answer.ended - begun) * 1000)
        if own := re.search(r"total;dur=([\d.]+)", answer.headers.get("server-timing", "")):
            figures.times[request.kind, "server"].append(float(own[1]))
        # MLflow may be slow without a fault, on a machine that has much to do; nothing else may come of it.
        if not fault and answer.outcome not in ("right", "stale", TOO_SLOW):
            figures.in_calm.append(self._line(request, answer, f"{answer.outcome} after {answer.ended - begun:.1f} s"))

    def _line(self, request: Request, answer: Answer, what: str) -> str:
        begun = answer.reading.begun
        fault = self.faults.met(begun, time.monotonic()) or f"calm, {self.faults.since(begun)}"
        how = " ".join(filter(None, (answer.headers.get("x-cache"), answer.headers.get("x-request-id"))))
        asked = f"{request.user.split('@')[0]} {request.method} {request.path} {json.dumps(request.headers | {'body': request.body})}"
        return f"at {begun - self.started:.1f} s ({fault}) {request.kind}: {what}\n    {asked[:300]} → {answer.status} {how}"


def judged(request: Request, answer: Answer) -> bool:
    """Whether the status is one that is right; one that may be besides must come with all that belongs to it."""
    if answer.status in request.expected:
        return True
    if answer.status not in TROUBLE:
        raise Wrong(f"{answer.status} {answer.body[:300]!r}")
    try:
        problem = answer.json()
        told = problem["status"], answer.headers["content-type"]
        answer.outcome = f"{answer.status} {problem['error']['code']}"
    except (ValueError, LookupError, TypeError) as error:
        raise Wrong(f"{answer.status} is told as {answer.body[:300]!r}") from error
    if told != (answer.status, "application/problem+json"):
        raise Wrong(f"{answer.status} is told as {told}")
    if answer.status in WITH_HINT and "retry-after" not in answer.headers:
        raise Wrong(f"{answer.status} does not say when to come back")
    return False
