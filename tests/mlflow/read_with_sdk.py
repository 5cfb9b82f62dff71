"""Reads traces with MLflow's own SDK and writes what it says, one JSON object a line: the truth that trace-server is
held against.

    MLFLOW_TRACKING_URI=… read_with_sdk.py --seed seed.json --out FILE

Times of spans and events are in ns, all others in ms; values are those that the SDK decodes. A trace that the SDK can
read only the info of has no "spans". The last line is {"search": [ids]}: the main experiment's traces in the order that
the SDK finds them.
"""

import argparse
import inspect
import json
import math
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    seed = json.loads(args.seed.read_text())
    client = MlflowClient()
    lines = [read(client, trace_id) for trace_id in seed["trace_ids"] + seed.get("other_trace_ids", [])]
    # With spans, 3.x leaves out traces that have none; 2.22 cannot leave spans out.
    lean = {"include_spans": False} if "include_spans" in inspect.signature(client.search_traces).parameters else {}
    found = client.search_traces([seed["experiment_id"]], max_results=500, **lean)
    lines.append({"search": [info(trace.info)["trace_id"] for trace in found]})
    texts = (json.dumps(finite(line), ensure_ascii=False, allow_nan=False) for line in lines)
    args.out.write_text("".join(text + "\n" for text in texts))


def finite(value: Any) -> Any:
    """JSON has no NaN and no infinities: they become the words that Python has for them in JSON."""
    match value:
        case float() if not math.isfinite(value):
            return json.dumps(value)
        case dict():
            return {key: finite(inner) for key, inner in value.items()}
        case list() | tuple():
            return [finite(inner) for inner in value]
        case _:
            return value


def read(client: MlflowClient, trace_id: str) -> dict[str, Any]:
    try:
        trace = mlflow.get_trace(trace_id)
    except MlflowException:
        trace = None
    if trace is None:
        # 2.22 keeps it elsewhere; neither offers it in public.
        tracing = getattr(client, "_tracing_client", None) or client._tracking_client
        return info(tracing.get_trace_info(trace_id))
    return info(trace.info) | {"spans": [span(one) for one in trace.data.spans]}


def info(info: Any) -> dict[str, Any]:
    """What 2.22 has under older names is given the names of 3.x."""
    if not hasattr(info, "trace_id"):
        return {
            "trace_id": info.request_id,
            "experiment_id": info.experiment_id,
            "state": str(info.status.value),
            "request_time_ms": info.timestamp_ms,
            "execution_duration_ms": info.execution_time_ms,
            "tags": info.tags,
            "trace_metadata": info.request_metadata,
        }
    return {
        "trace_id": info.trace_id,
        "experiment_id": info.experiment_id,
        "state": str(getattr(info.state, "value", info.state)),
        "request_time_ms": info.request_time,
        "execution_duration_ms": info.execution_duration,
        "client_request_id": info.client_request_id,
        "request_preview": info.request_preview,
        "response_preview": info.response_preview,
        "tags": info.tags,
        "trace_metadata": info.trace_metadata,
        "assessments": [assessment(one) for one in info.assessments],
    }


def assessment(one: Any) -> dict[str, Any]:
    error = one.feedback.error if one.feedback else None
    return {
        "assessment_id": one.assessment_id,
        "name": one.name,
        "kind": "feedback" if one.feedback else "expectation",
        "value": one.value,
        "error": {"error_code": error.error_code, "error_message": error.error_message} if error else None,
        "source_type": one.source.source_type,
        "source_id": one.source.source_id,
        "rationale": one.rationale,
        "metadata": one.metadata,
        "span_id": one.span_id,
        "create_time_ms": one.create_time_ms,
        "last_update_time_ms": one.last_update_time_ms,
        "valid": one.valid,
        "overrides": one.overrides,
    }


def span(one: Any) -> dict[str, Any]:
    return {
        "name": one.name,
        "span_id": one.span_id,
        "parent_id": one.parent_id,
        "start_time_ns": one.start_time_ns,
        "end_time_ns": one.end_time_ns,
        "status_code": one.status.status_code.value,
        "status_description": one.status.description,
        "span_type": one.span_type,
        "inputs": one.inputs,
        "outputs": one.outputs,
        "attributes": one.attributes,
        "events": [
            {"name": event.name, "timestamp_ns": event.timestamp, "attributes": event.attributes} for event in one.events
        ],
        "links": [
            {"trace_id": link.trace_id, "span_id": link.span_id, "attributes": link.attributes}
            for link in getattr(one, "links", [])
        ],
    }


if __name__ == "__main__":
    main()
