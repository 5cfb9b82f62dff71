"""What schemathesis does not know of by itself: ids of what is there, answers in lines, and who may see what."""

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import schemathesis

KNOWN: dict[str, list[str]] = json.loads(Path(os.environ["SCHEMA_KNOWN"]).read_text())

# The examples of the document, by the names of parameters and members, become the first of what there is.
EXAMPLES = {
    "trace_id": "traces", "trace_ids": "traces", "span_id": "spans", "parent_id": "spans", "run_id": "runs",
    "mlflow_run_id": "runs", "experiment_id": "experiments", "experiment_ids": "experiments",
    "review_app_id": "review_apps", "labeling_session_id": "sessions", "item_id": "items", "schema_name": "schemas",
    "assessment_id": "assessments",
}  # fmt: skip
FORMS = itertools.cycle(["application/x-ndjson", "application/json", "text/event-stream", "*/*"])

# What a reviewer may do beside reading: search by a run of theirs, label, get on with an item.
WRITES_OF_REVIEWERS = {
    "search_traces", "get_traces", "give_feedback", "change_feedback", "give_expectation", "change_expectation", "update_item",
}  # fmt: skip
READS_OF_DEVELOPERS = {
    "check_dev_access", "analyze_patterns", "get_session_analysis", "get_session_analysis_status",
    "stream_session_analysis_status", "get_experiment_summary", "get_experiment_summary_status",
    "stream_experiment_summary_status",
}  # fmt: skip


@schemathesis.hook
def before_load_schema(_context: Any, document: dict[str, Any]) -> None:
    for part in walk(document):
        if "in" in part and part.get("name") in EXAMPLES:
            part["example"] = KNOWN[EXAMPLES[part["name"]]][0]
        for name, schema in part.get("properties", {}).items():
            if name in EXAMPLES and "example" in schema:
                first = KNOWN[EXAMPLES[name]][0]
                schema["example"] = [first] if isinstance(schema["example"], list) else first
    # The same of whole requests.
    for part in walk([example for body in walk(document) if (example := of_request(body))]):
        for name in EXAMPLES.keys() & part.keys():
            first = KNOWN[EXAMPLES[name]][0]
            part[name] = [first] if isinstance(part[name], list) else first


def of_request(part: dict[str, Any]) -> Any:
    """The example of a body, if this part of the document is an operation that takes one."""
    return part.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: dict[str, Any]) -> None:
    if "/spans" in case.operation.path:
        case.headers.setdefault("accept", next(FORMS))


@schemathesis.check
def every_line_is_as_documented(_ctx: Any, response: Any, case: Any) -> None:
    """What comes in lines or in events is, each by itself, as the document says: a span, or where a job stands."""
    form = response.headers.get("content-type", [""])[0]
    lines = response.content.decode().split("\n") if response.status_code == 200 else []
    if form.startswith("text/event-stream"):
        lines = [line.removeprefix("data:") for line in lines if line.startswith("data:")]
    elif not form.startswith("application/x-ndjson"):
        return
    document = case.operation.schema.raw_schema
    one = {"$ref": "#/components/schemas/Span"}
    if "/status" in case.operation.path:
        told = document["paths"][case.operation.path.removesuffix("/stream")]["get"]
        one = told["responses"]["200"]["content"]["application/json"]["schema"]
    is_one = jsonschema_rs.validator_for({"allOf": [one], "components": document["components"]})
    for line in lines:
        if line.strip():
            is_one.validate(json.loads(line))


@schemathesis.check
def nothing_of_others(_ctx: Any, response: Any, case: Any) -> None:
    """A reviewer is answered about what is assigned to them, and about nothing else."""
    if not 200 <= response.status_code < 300 or response.request.method in ("OPTIONS", "HEAD"):
        return
    operation = case.operation.definition.raw["operationId"].removeprefix("mlflow_")
    reads = case.operation.method.upper() == "GET" and operation not in READS_OF_DEVELOPERS
    assert reads or operation in WRITES_OF_REVIEWERS, f"a reviewer may {operation}"
    if response.headers.get("content-type", [""])[0].startswith("application/json"):
        foreign = set(named(response.json())) - set(KNOWN["seen"])
        assert not foreign, f"a reviewer sees {sorted(foreign)}, which are of others"


def named(answer: Any) -> Iterator[str]:
    """The traces and sessions that an answer tells of; not those that it only says are refused."""
    for part in walk(answer):
        for name, value in part.items():
            if name == "labeling_session_id" or (name == "trace_id" and str(value).startswith("tr-")):
                yield value


def walk(answer: Any) -> Iterator[dict[str, Any]]:
    """All objects in a document."""
    if isinstance(answer, dict):
        yield answer
    for part in answer.values() if isinstance(answer, dict) else answer if isinstance(answer, list) else ():
        yield from walk(part)
