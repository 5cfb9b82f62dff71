"""Reads traces with MLflow's own SDK and writes what it says, one JSON object a line: the truth that trace-server is
held against. Runs with the SDK of 2.22 and 3.x.

    MLFLOW_TRACKING_URI=… read_with_sdk.py --out FILE [--search] [--ids-from SEED_FILE] [TRACE_ID…]
    MLFLOW_TRACKING_URI=… read_with_sdk.py --out FILE --seed SEED_FILE     short for --search --ids-from SEED_FILE

Times of spans and events are in ns, all others in ms; values are those that the SDK decodes. A trace that the SDK can
read only the info of has "sdk_error" and no "spans". With --search the last line is {"search": [ids]}: the experiment's
traces in the order that the SDK finds them; the experiment is that of the seed file, else MLFLOW_EXPERIMENT_ID.
"""

import argparse
import json
import math
import os
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException


def main() -> None:
    args = parse_args()
    seed = json.loads(args.ids_from.read_text()) if args.ids_from else {}
    client = MlflowClient()
    ids = args.trace_ids + seed.get("trace_ids", []) + seed.get("other_trace_ids", [])
    lines = [read(client, trace_id) for trace_id in ids]
    if args.search:
        experiment_id = seed.get("experiment_id") or os.environ["MLFLOW_EXPERIMENT_ID"]
        lines.append({"search": search(client, experiment_id)})
    texts = (json.dumps(finite(line), ensure_ascii=False, allow_nan=False) for line in lines)
    args.out.write_text("".join(text + "\n" for text in texts), encoding="utf-8")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--search", action="store_true", help="write the order of a search, too")
    parser.add_argument("--ids-from", type=Path, metavar="SEED_FILE", help="read all traces that were seeded")
    parser.add_argument("--seed", type=Path, metavar="SEED_FILE", help="short for --search --ids-from SEED_FILE")
    parser.add_argument("trace_ids", nargs="*", metavar="TRACE_ID")
    args = parser.parse_args()
    if args.seed:
        args.search, args.ids_from = True, args.seed
    return args


def search(client: MlflowClient, experiment_id: str) -> list[str]:
    """All ids; without spans, since a search with them leaves out the traces whose spans cannot be read."""
    ids: list[str] = []
    token = None
    while True:
        page = client.search_traces([experiment_id], max_results=500, page_token=token, include_spans=False)
        ids += [info(trace.info)["trace_id"] for trace in page]
        token = page.token
        if not token:
            return ids


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
        trace = client.get_trace(trace_id)
    except MlflowException as error:
        # 2.22 keeps it elsewhere; neither offers it in public.
        tracing = getattr(client, "_tracing_client", None) or client._tracking_client
        try:
            return info(tracing.get_trace_info(trace_id)) | {"sdk_error": error.message}
        except MlflowException:
            return {"trace_id": trace_id, "sdk_error": error.message}
    return info(trace.info) | {"spans": [span(one) for one in trace.data.spans]}


def info(info: Any) -> dict[str, Any]:
    """What 2.22 has under older names is given the names of 3.x; what it has not is null or empty."""
    if not hasattr(info, "trace_id"):
        return {
            "trace_id": info.request_id,
            "experiment_id": info.experiment_id,
            "state": str(info.status.value),
            "request_time_ms": info.timestamp_ms,
            "execution_duration_ms": info.execution_time_ms,
            "client_request_id": None,
            "request_preview": None,
            "response_preview": None,
            "tags": info.tags,
            "trace_metadata": info.request_metadata,
            "assessments": [],
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
