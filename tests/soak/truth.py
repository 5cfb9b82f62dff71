"""What is true: the traces as MLflow itself gives them, read once before anything goes wrong, and the labels given since.

A trace's info and spans never change here; its labels are those that were there and those that are given.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from calls import Call

SEARCH = "/api/mlflow/search-traces"
# Ours to add to MLflow's info.
DERIVED = ("execution_duration_ms",)
PREVIEWS = ("request_preview", "response_preview")
# Codes of a part of an answer that MLflow's trouble is the reason of.
UPSTREAM = {"UPSTREAM_ERROR", "UPSTREAM_UNAVAILABLE", "UPSTREAM_TIMEOUT", "RATE_LIMITED"}


class Wrong(Exception):
    """An answer that is not true."""


@dataclass
class Known:
    """A trace as it is."""

    info: dict[str, Any]
    # Those that MLflow has none of, as they are derived from the spans.
    derived: dict[str, Any]
    # Those from before, by id.
    assessments: dict[str, Any]
    # None: there are none to be found.
    spans: list[Any] | None
    summaries: list[Any]


@dataclass
class Write:
    """A value that a label was given."""

    value: str
    # When it was known to be written; None as long as nobody knows.
    known: float | None = None


@dataclass
class Label:
    """A label of one of us; its name is its own."""

    name: str
    kind: str
    user: str
    writes: list[Write] = field(default_factory=list)
    id: str | None = None

    def say(self) -> Write:
        """The next value."""
        self.writes.append(Write(f"{self.name}, {len(self.writes)}"))
        return self.writes[-1]

    def floor(self, begun: float) -> int | None:
        """The last write that whoever asks then must see; None: none must be seen."""
        known = [at for at, write in enumerate(self.writes) if write.known is not None and write.known <= begun]
        return known[-1] if known else None


@dataclass
class Reading:
    """How an answer was come by, as far as it matters to what may be in it."""

    begun: float
    is_stale: bool = False
    # Parts that could not be had, each with its reason.
    partial: int = 0


@dataclass
class Truth:
    """All that is known."""

    traces: dict[str, Known] = field(default_factory=dict)
    # By experiment and filter: the ids of all traces, newest first.
    orders: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    labels: dict[str, dict[str, Label]] = field(default_factory=dict)
    # Labels that a stale answer did not have yet.
    stale_without: int = 0

    def learn(self, mlflow: str, ask: Callable[..., Any], trace: str, has_spans: bool) -> None:
        """Reads a trace from MLflow, and what is ours about it from trace-server, which is held against it."""
        info = json.loads(Call(mlflow, f"/api/3.0/mlflow/traces/{trace}")().body)["trace"]["trace_info"]
        got = ask(f"/api/traces/{trace}")
        ours = got["info"]
        lacking = {name for name in PREVIEWS if name not in info}
        for name in (info.keys() | ours.keys()) - {*DERIVED, *lacking, "assessments"}:
            if (ours.get(name) or None) != (info.get(name) or None):
                raise Wrong(f"{name} of {trace}: {short(ours.get(name))} is {short(info.get(name))} in MLflow")
        if [one["assessment_id"] for one in ours["assessments"]] != [one["assessment_id"] for one in info.get("assessments", [])]:
            raise Wrong(f"the assessments of {trace} are not those of MLflow")
        spans = None
        if has_spans:
            # The route of MLflow's own page: the spans as they are stored.
            spans = json.loads(Call(mlflow, f"/ajax-api/3.0/mlflow/get-trace-artifact?request_id={trace}")().body)["spans"]
        summaries = ask("/api/traces/batch", {"trace_ids": [trace], "include_spans": True, "span_summary_only": True})
        self.traces[trace] = Known(
            info={name: value for name, value in ours.items() if name not in {*lacking, "assessments"}},
            derived={name: ours.get(name) for name in lacking},
            assessments={one["assessment_id"]: one for one in ours["assessments"]},
            spans=spans,
            summaries=summaries["traces"][0]["data"]["spans"],
        )
        self.trace(got, Reading(time.monotonic()))
        if [one["span_id"] for one in spans or []] != [one["span_id"] for one in self.traces[trace].summaries]:
            raise Wrong(f"the summaries of {trace} are not of its spans")

    def info(self, got: dict[str, Any], reading: Reading) -> str:
        """Holds an info against what is true; the trace's id."""
        trace = got["trace_id"]
        if trace not in self.traces:
            raise Wrong(f"{trace} was not asked for")
        known = self.traces[trace]
        for name in known.info.keys() | got.keys() - {"assessments"}:
            value = got.get(name)
            is_right = value in (None, known.derived[name]) if name in known.derived else value == known.info.get(name)
            if not is_right:
                raise Wrong(f"{name} of {trace}: {short(value)} is {short(known.info.get(name))}")
        self._assessments(trace, got["assessments"], reading)
        return trace

    def _assessments(self, trace: str, got: list[dict[str, Any]], reading: Reading) -> None:
        known, labels = self.traces[trace].assessments, self.labels.get(trace, {})
        ids = [one["assessment_id"] for one in got]
        if len(set(ids)) != len(ids) or not known.keys() <= set(ids):
            raise Wrong(f"assessments of {trace}: {ids}")
        seen = {}
        for one in got:
            if one["assessment_id"] in known:
                if one != known[one["assessment_id"]]:
                    raise Wrong(f"an assessment of {trace} has changed: {short(one)}")
            elif one["name"] not in labels or one["name"] in seen:
                raise Wrong(f"{trace} has a label that nobody gave, or has it twice: {short(one)}")
            else:
                seen[one["name"]] = one
        for label in labels.values():
            floor = label.floor(reading.begun)
            if one := seen.get(label.name):
                self._label(trace, label, one, 0 if reading.is_stale else floor or 0)
            elif floor is not None and reading.is_stale:
                self.stale_without += 1
            elif floor is not None:
                raise Wrong(f"the label {label.name} of {label.user} was given to {trace} and is not there")

    def _label(self, trace: str, label: Label, got: dict[str, Any], floor: int) -> None:
        values = [write.value for write in label.writes[floor:]]
        if (
            (label.id and got["assessment_id"] != label.id)
            or got["source"] != {"source_type": "HUMAN", "source_id": label.user}
            or got.get(label.kind, {}).get("value") not in values
        ):
            raise Wrong(f"the label {label.name} of {label.user} on {trace} is to be one of {values}: {short(got)}")

    def spans(self, trace: str, data: dict[str, Any], reading: Reading, form: str = "whole") -> None:
        """Holds `{"spans":[…]}` against what is true; with an error, spans may lack at the end."""
        known, error = self.traces[trace], data.get("error")
        got, expected = data["spans"], {"none": [], "whole": known.spans or [], "summaries": known.summaries}[form]
        if error and known.spans is not None:
            self.partial(error["code"], reading)
            expected = expected[: len(got)]
        if got != expected:
            raise Wrong(f"spans of {trace}: {len(got)} in place of {len(expected)}; {difference(got, expected)}")

    def partial(self, code: str, reading: Reading) -> None:
        """Notes a part that could not be had; the reason must be MLflow's trouble."""
        if code not in UPSTREAM:
            raise Wrong(f"a part could not be had: {code}")
        reading.partial += 1

    def trace(self, got: dict[str, Any], reading: Reading, form: str = "whole") -> str:
        """Holds `{"info", "data"}` against what is true; the trace's id."""
        trace = self.info(got["info"], reading)
        self.spans(trace, got["data"], reading, form)
        return trace

    def page(self, got: dict[str, Any], expected: list[str], reading: Reading, form: str) -> None:
        """Holds traces found against these ids in this order; `form` is what of the spans was asked for."""
        ids = [self.trace(one, reading, form) for one in got["traces"]]
        if ids != expected:
            raise Wrong(f"found {short(ids)} in place of {short(expected)}")


def difference(got: list[Any], expected: list[Any]) -> str:
    """Where two lists part."""
    pairs = enumerate(zip(got, expected, strict=False))
    return next((f"the first that differs is {at}: {short(one)}" for at, (one, other) in pairs if one != other), "one is longer")


def short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 300 else f"{text[:200]}… ({len(text)} characters)"
