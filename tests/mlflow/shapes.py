"""Traces that are seldom in life and must be served right all the same: big, deep, wide, of every JSON type."""

import random

import mlflow
from mlflow.entities import SpanEvent, SpanType

EVERY_TYPE = {
    "int": 7,
    "negative": -12,
    "int64.max": 2**63 - 1,
    "int64.min": -(2**63),
    "float": 0.1,
    "float.tiny": 1.5e-300,
    "float.whole": 4.0,
    "bool": True,
    "null": None,
    "text": "plain",
    "text.empty": "",
    "text.json": '{"looks": ["like", "json"], "n": 1}',
    "text.number": "12.50",
    "text.controls": "tab\tline\nreturn\r quote\" back\\slash \u0001\u001f \u2028 nul-free",
    "text.unicode": "ä ß é Cafe\u0301 日本語 العربية 👩🏽‍💻 𝔘𝔫𝔦 \ufeff",
    "list": [1, "two", 3.5, None, False, [], {}],
    "list.empty": [],
    "object": {"nested": {"deeper": {"list": [{"x": 1}, {"y": [2, 3]}]}}, "ключ": "значение", "": "empty key"},
    "object.empty": {},
}


def every_type() -> str:
    """Every JSON type as attribute, input, output and event attribute."""
    with mlflow.start_span(name="every type – 全型", span_type="CUSTOM_TYPE") as root:
        root.set_inputs(EVERY_TYPE)
        root.set_attributes(EVERY_TYPE)
        with mlflow.start_span(name="plain values") as child:
            child.set_inputs("just text")
            child.set_outputs([1, 2.5, None])
            simple = {"text": "ä😀\n", "int": 9007199254740993, "float": 2.5, "bool": True, "list": [1, 2], "empty": ""}
            child.add_event(SpanEvent("checked ✔", timestamp=1_795_457_376_829_984_805, attributes=simple))
            child.add_event(SpanEvent("bare"))
        with mlflow.start_span(name="not a number") as child:
            child.set_outputs({"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")})
        root.set_outputs(False)
        return root.trace_id if hasattr(root, "trace_id") else root.request_id


def long_text() -> str:
    """Texts far longer than any preview; where one is cut, the cut falls inside what a reader sees as one character."""
    with mlflow.start_span(name="read_letter", span_type=SpanType.CHAIN) as root:
        root.set_inputs({"messages": [{"role": "user", "content": "👩🏽‍💻e\u0301" * 5_000}]})
        root.set_attribute("letter.scan", "0123456789abcdef" * 8_192)
        root.set_outputs({"choices": [{"message": {"role": "assistant", "content": "größer als 日本 " * 5_000}}]})
        return root.trace_id


def running() -> str:
    """A trace still IN_PROGRESS: of its spans only a child is stored, since a span is sent when it ends."""
    root = mlflow.start_span_no_context("slow_agent", span_type=SpanType.AGENT, inputs={"question": "Are you done?"})
    child = mlflow.start_span_no_context("first_step", parent_span=root, span_type=SpanType.TOOL, inputs={"step": 1})
    child.end(outputs={"done": False})
    return root.trace_id


def big(rng: random.Random, spans: int, span_bytes: int) -> str:
    """Many spans that hold much text each."""
    words = ["Lieferung", "refund", "納期", "invoice", "größer", "schedule", "🚚", "\"quoted\"", "C:\\path", "line\nbreak"]
    with mlflow.start_span(name="nightly_report", span_type=SpanType.CHAIN) as root:
        root.set_inputs({"messages": [{"role": "user", "content": "Summarise all tickets of this week."}]})
        for index in range(spans - 1):
            with mlflow.start_span(name=f"summarise_{index:03}", span_type=SpanType.LLM) as span:
                text = " ".join(rng.choices(words, k=span_bytes // 10))
                span.set_inputs({"ticket": index, "text": text[: len(text) // 2]})
                span.set_outputs({"text": text[len(text) // 2 :]})
        root.set_outputs({"text": "All tickets are summarised."})
        return root.trace_id if hasattr(root, "trace_id") else root.request_id


def deep(levels: int) -> str:
    """Each span the only child of the one before."""
    with mlflow.start_span(name="level_0", span_type=SpanType.WORKFLOW if hasattr(SpanType, "WORKFLOW") else SpanType.CHAIN) as root:
        root.set_inputs({"level": 0})
        _descend(1, levels)
        root.set_outputs({"levels": levels})
        return root.trace_id if hasattr(root, "trace_id") else root.request_id


def _descend(level: int, levels: int) -> None:
    if level < levels:
        with mlflow.start_span(name=f"level_{level}") as span:
            span.set_inputs({"level": level})
            _descend(level + 1, levels)


def wide(children: int) -> str:
    """Many children of one root."""
    with mlflow.start_span(name="fan_out", span_type=SpanType.CHAIN) as root:
        for index in range(children):
            with mlflow.start_span(name=f"worker_{index}", span_type=SpanType.TASK if hasattr(SpanType, "TASK") else SpanType.TOOL) as span:
                span.set_inputs(index)
                span.set_outputs(index * index)
        return root.trace_id if hasattr(root, "trace_id") else root.request_id
