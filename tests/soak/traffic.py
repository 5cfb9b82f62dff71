"""What people of the review app ask for, all at once: a developer, and two reviewers with a session each."""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import aiohttp
from asking import Answer, Asker, Check, Request
from shapes import SHAPES
from truth import SEARCH, Label, Truth, Wrong

DEVELOPER = "dev@example.com"
REVIEWERS = ("ann@example.com", "bob@example.com")
THINK_S = 0.3
FILTERS = ("", "status = 'OK'", "status = 'ERROR'")


class Form(NamedTuple):
    """How much of the spans is asked for with a trace."""

    name: str
    asked: dict[str, bool]


FORMS = {
    "none": Form("no spans", {"include_spans": False}),
    "whole": Form("spans", {"include_spans": True}),
    "summaries": Form("summaries", {"include_spans": True, "span_summary_only": True}),
}


@dataclass
class Session:
    """The labeling session of a reviewer."""

    id: str
    run: str
    # In MLflow's order.
    traces: list[str]


@dataclass
class World:
    """What there is to be asked for."""

    truth: Truth
    experiments: list[str]
    sessions: dict[str, Session]
    # By user, those they label.
    own: dict[str, list[str]]
    # More than is kept of one trace, so that it passes through.
    large: str
    # Given so far.
    labels: int = 0

    def visible(self, user: str) -> list[str]:
        if user in self.sessions:
            return self.sessions[user].traces
        return [trace for trace, known in self.truth.traces.items() if trace != self.large and known.spans is not None]


@dataclass
class Person:
    """One who asks for one thing after the other."""

    asker: Asker
    world: World
    user: str
    rng: random.Random

    @property
    def truth(self) -> Truth:
        return self.world.truth

    @property
    def is_reviewer(self) -> bool:
        return self.user in self.world.sessions

    async def run(self, until: asyncio.Event) -> None:
        kinds = REVIEWING if self.is_reviewer else DEVELOPING
        while not until.is_set():
            kind = self.rng.choices(list(kinds), list(kinds.values()))[0]
            await kind(self)
            await asyncio.sleep(self.rng.expovariate(1 / THINK_S))

    def trace(self) -> str:
        """Few of them often, most seldom."""
        visible = self.world.visible(self.user)
        return visible[min(int(self.rng.expovariate(5 / len(visible))), len(visible) - 1)]

    async def get(self, kind: str, path: str, check: Check, body: object = None, **more: Any) -> Answer | None:
        """A read, encoded or not."""
        headers = {"accept-encoding": self.rng.choice(("identity", "gzip"))} | more.pop("headers", {})
        return await self.asker.ask(Request(kind, self.user, path, body, headers, **more), check)

    def is_constant(self, *traces: str) -> bool:
        """Whether nobody labels any of these."""
        return not any(trace in own for own in self.world.own.values() for trace in traces)

    async def search(self, headers: dict[str, str] = {}) -> None:
        form = self.rng.choices(list(FORMS), (6, 1, 2))[0]
        count = self.rng.choice((10, 50)) if form == "none" else 10
        if self.is_reviewer:
            session = self.world.sessions[self.user]
            expected, body = session.traces, {"run_id": session.run}
        else:
            experiment, filter_ = self.rng.choice(self.world.experiments), self.rng.choices(FILTERS, (6, 2, 1))[0]
            expected, body = self.truth.orders[experiment, filter_], {"experiment_ids": [experiment], "filter": filter_}

        def check(answer: Answer) -> None:
            self.truth.page(answer.json(), expected[:count], answer.reading, form)

        body |= {"max_results": count} | FORMS[form].asked
        await self.get(f"search, {FORMS[form].name}", SEARCH, check, body, headers=headers, is_constant=self.is_constant(*expected[:count]))

    async def open(self, headers: dict[str, str] = {}) -> None:
        await self.read_trace("trace", self.trace(), headers=headers)

    async def read_trace(self, kind: str, trace: str, known: bytes = b"", **more: Any) -> Answer | None:
        """A trace, or the answer that says it is still the one known."""

        def check(answer: Answer) -> None:
            got = json.loads(known) if answer.status == 304 else answer.json()
            if self.truth.trace(got, answer.reading) != trace:
                raise Wrong("another trace than was asked for")

        return await self.get(kind, f"/api/traces/{trace}", check, is_constant=self.is_constant(trace) and not known, **more)

    async def revalidate(self) -> None:
        """A trace again that is known: not modified is right only where what is known is still true."""
        trace = self.trace()
        first = await self.read_trace("trace", trace)
        if first and "etag" in first.headers:
            headers = {"if-none-match": first.headers["etag"]}
            await self.read_trace("revalidation", trace, first.body, headers=headers, expected=frozenset({200, 304}))

    async def cold(self) -> None:
        await self.rng.choice((self.open, self.search, self.spans))({"cache-control": "no-cache"})

    async def batch(self) -> None:
        form = self.rng.choice(list(FORMS))
        traces = list(dict.fromkeys(self.trace() for _ in range(self.rng.randint(1, 12))))
        if self.is_reviewer and self.rng.random() < 0.3:
            traces.append(self.rng.choice(self.others()))

        def check(answer: Answer) -> None:
            got = answer.json()
            for trace, one in zip(traces, got["traces"], strict=True):
                code = None if one else got["errors"][trace]["code"]
                if self.is_reviewer and trace in self.others():
                    if code != "AUTHORIZATION_ERROR":
                        raise Wrong(f"{trace} is not refused to {self.user}: {code}")
                elif code:
                    self.truth.partial(code, answer.reading)
                elif self.truth.trace(one, answer.reading, form) != trace:
                    raise Wrong("the order is not that asked for")

        await self.get(f"batch, {FORMS[form].name}", "/api/traces/batch", check, {"trace_ids": traces} | FORMS[form].asked)

    def others(self) -> list[str]:
        """Traces that this reviewer must not see."""
        return [trace for user, session in self.world.sessions.items() if user != self.user for trace in session.traces]

    async def spans(self, headers: dict[str, str] = {}) -> None:
        await self.read_spans(self.trace(), self.rng.choice(("whole", "whole", "summaries")), headers=headers)

    async def read_large(self) -> None:
        """The trace that is not kept, in any shape."""
        if self.rng.random() < 0.3:
            await self.read_trace("large trace", self.world.large)
        else:
            await self.read_spans(self.world.large, "whole", "large trace")

    async def read_slowly(self) -> None:
        """The same, 64 KiB at a time."""
        await self.read_spans(self.world.large, "whole", "slow reader", pace=0.02)

    async def read_spans(self, trace: str, form: str, kind: str = "spans", headers: dict[str, str] = {}, **more: Any) -> None:
        name, (accept, read) = self.rng.choice(list(SHAPES.items()))

        def check(answer: Answer) -> None:
            self.truth.spans(trace, read(answer.body), answer.reading, form)

        path = f"/api/traces/{trace}/spans{'?view=summary' if form == 'summaries' else ''}"
        kind = kind if form == "whole" else "summaries"
        await self.get(f"{kind}, {name}", path, check, is_constant=True, headers=headers | {"accept": accept}, **more)

    async def hang_up(self) -> None:
        """Leaves in the middle, or before anything has come."""
        trace = self.trace() if self.is_reviewer else self.rng.choice((self.world.large, self.trace()))
        url = f"{self.asker.base}/api/traces/{trace}{self.rng.choice(('', '/spans'))}"
        headers = {"x-forwarded-email": self.user, "cache-control": "no-cache"}
        self.asker.figures.hung_up += 1
        with contextlib.suppress(TimeoutError, OSError, aiohttp.ClientError):
            async with asyncio.timeout(self.rng.choice((0.001, 0.02, 0.2))), self.asker.http.get(url, headers=headers) as response:
                await response.content.read(self.rng.choice((1, 1_000, 100_000)))
                response.close()

    async def label(self) -> None:
        """Gives a label, or changes one, and looks whether it is there."""
        trace = self.rng.choice(self.world.own[self.user])
        labels = self.truth.labels.setdefault(trace, {})
        # What nobody knows the end of may still come to be written, over what is written later.
        sure = [one for one in labels.values() if one.id and one.writes[-1].known]
        if sure and self.rng.random() < 0.3:
            await self.change(trace, self.rng.choice(sure))
        else:
            await self.give(trace, labels)
        await self.read_trace("trace", trace)

    async def give(self, trace: str, labels: dict[str, Label]) -> None:
        self.world.labels += 1
        label = Label(f"soak {self.world.labels}", self.rng.choice(("feedback", "expectation")), self.user)
        labels[label.name] = label
        said = {"name": label.name, "value": label.say().value, "rationale": "because – 👍"}
        if answer := await self.write(trace, label, {"assessment": said}, "POST"):
            label.id = answer.json()["assessment_id"]

    async def change(self, trace: str, label: Label) -> None:
        await self.write(trace, label, {"assessment_id": label.id, "assessment": {"value": label.say().value}}, "PATCH")

    async def write(self, trace: str, label: Label, body: dict[str, Any], method: str) -> Answer | None:
        path, kind = f"/api/traces/{trace}/{label.kind}", "label given" if method == "POST" else "label changed"

        def check(answer: Answer) -> None:
            if label.id not in (None, answer.json()["assessment_id"]):
                raise Wrong(f"another label than was to be changed: {answer.body!r}")

        answer = await self.asker.ask(Request(kind, self.user, path, body, method=method), check)
        if answer:
            label.writes[-1].known = time.monotonic()
        return answer

    async def lists(self) -> None:
        """The sessions, and the items of one."""
        seen = [self.user] if self.is_reviewer else list(self.world.sessions)
        sessions = [self.world.sessions[user] for user in seen]

        def check_sessions(answer: Answer) -> None:
            same({one["labeling_session_id"] for one in answer.json()["labeling_sessions"]}, {one.id for one in sessions})

        await self.get("sessions", "/api/labeling-sessions?page_size=100", check_sessions)
        session = self.rng.choice(sessions)

        def check_items(answer: Answer) -> None:
            same({one["source"]["trace_id"] for one in answer.json()["items"]}, set(session.traces))

        await self.get("items", f"/api/labeling-sessions/{session.id}/items?page_size=100", check_items)

    async def small(self) -> None:
        """What asks MLflow nothing."""
        await self.get("health", "/health", lambda answer: same(answer.json(), {"status": "healthy"}))
        await self.get("who am I", "/api/user/me", lambda answer: same(answer.json()["userName"], self.user))

    async def trespass(self) -> None:
        """Asks for what is another's."""
        trace = self.rng.choice(self.others())
        session = self.rng.choice([one for user, one in self.world.sessions.items() if user != self.user])
        path, body = self.rng.choice((
            (f"/api/traces/{trace}", None),
            (f"/api/traces/{trace}/spans", None),
            (f"/api/traces/{trace}/feedback", {"assessment": {"name": "not mine", "value": "no"}}),
            (f"/api/labeling-sessions/{session.id}/items", None),
            (SEARCH, {"run_id": session.run}),
            (SEARCH, {"experiment_ids": self.world.experiments}),
        ))  # fmt: skip
        await self.get("another's", path, lambda _: None, body, expected=frozenset({403}))


def same(got: object, expected: object) -> None:
    if got != expected:
        raise Wrong(f"{got} in place of {expected}")


Step = Callable[[Person], Awaitable[None]]
COMMON: dict[Step, float] = {
    Person.search: 20, Person.open: 22, Person.revalidate: 6, Person.cold: 10, Person.batch: 8, Person.spans: 14,
    Person.hang_up: 5, Person.label: 8, Person.lists: 4, Person.small: 3,
}  # fmt: skip
DEVELOPING = COMMON | {Person.read_large: 2, Person.read_slowly: 2}
REVIEWING = COMMON | {Person.trespass: 8}
