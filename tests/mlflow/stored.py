"""Traces that MLflow's SDK cannot make on purpose, put to a 3.x server over REST: still running, without spans, with
spans in the artifact store, and larger than anyone would log.
"""

import base64
import http.client
import json
import os
import random
import secrets
import urllib.parse
import urllib.request
from collections.abc import Iterator

# Numbers among the words, so that the text is as hard to compress as real text is.
WORDS = ["größer", "als", "nötig", "order", "納期", "refund", "\"quoted\"", "🚚", *(f"{n:x}" for n in range(4_096, 8_192))]


def in_progress(experiment_id: str) -> str:
    """A trace that has begun and not ended; none of its spans are stored yet."""
    return _start(experiment_id, state="IN_PROGRESS", request_preview="still thinking")


def without_spans(experiment_id: str) -> str:
    """A finished trace whose spans are nowhere."""
    return _start(experiment_id, state="OK", duration="0.250s", request_preview="asked", response_preview="answered")


def without_any_span(experiment_id: str, state: str, **more: object) -> str:
    """A trace in this state of whose info anything can be told; nothing is stored of its spans."""
    return _start(experiment_id, state=state, **more)


def as_artifact(experiment_id: str, spans: int, span_bytes: int) -> str:
    """A finished trace whose spans are `traces.json` in the artifact store, as servers before 3.6 kept all."""
    trace_id = _start(experiment_id, state="OK", duration="1.500s", request_preview="kept elsewhere")
    path = f"/api/2.0/mlflow-artifacts/artifacts/{experiment_id}/traces/{trace_id}/artifacts/traces.json"
    server = urllib.parse.urlsplit(os.environ["MLFLOW_TRACKING_URI"])
    connection = http.client.HTTPConnection(server.hostname, server.port, timeout=120)
    # Sent piece by piece: the text may be larger than should be held at once.
    connection.request("PUT", path, body=_document(trace_id, spans, span_bytes), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked", "Content-Type": "application/json"})  # fmt: skip
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    return trace_id


def new_experiment() -> str:
    """An experiment for one test; its id."""
    request = urllib.request.Request(
        f"{os.environ['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/experiments/create",
        data=json.dumps({"name": f"apart-{secrets.token_hex(8)}"}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["experiment_id"]


def _start(experiment_id: str, state: str, duration: str | None = None, **more: object) -> str:
    trace_id = f"tr-{secrets.token_hex(16)}"
    info = {
        "trace_id": trace_id,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}},
        "request_time": "2026-11-23T18:00:00.123Z",
        "state": state,
        "trace_metadata": {"mlflow.trace_schema.version": "3"},
        "tags": {"mlflow.traceName": state.lower()},
        **({"execution_duration": duration} if duration else {}),
        **more,
    }
    request = urllib.request.Request(
        f"{os.environ['MLFLOW_TRACKING_URI']}/api/3.0/mlflow/traces",
        data=json.dumps({"trace": {"trace_info": info}}).encode(),
        headers={"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=30).close()
    return trace_id


def _document(trace_id: str, spans: int, span_bytes: int) -> Iterator[bytes]:
    """`{"spans":[…]}` with spans of about this size."""
    begun = 1_795_457_376_829_984_805
    rng = random.Random(spans)
    word_bytes = len(json.dumps(" ".join(WORDS))) / len(WORDS)
    trace = base64.b64encode(bytes.fromhex(trace_id.removeprefix("tr-"))).decode()
    ids = [base64.b64encode((index + 1).to_bytes(8, "big")).decode() for index in range(spans)]
    yield b'{"spans": ['
    for index in range(spans):
        text = " ".join(rng.choices(WORDS, k=round(span_bytes / word_bytes)))
        span = {
            "trace_id": trace,
            "span_id": ids[index],
            "parent_span_id": ids[0] if index else None,
            "name": f"section_{index}",
            "start_time_unix_nano": begun + index * 1001,
            "end_time_unix_nano": begun + spans * 1001 - index,
            "events": [],
            "links": [],
            "status": {"code": "STATUS_CODE_OK", "message": ""},
            "attributes": {
                "mlflow.traceRequestId": json.dumps(trace_id),
                "mlflow.spanType": '"CHAIN"',
                "mlflow.spanInputs": json.dumps({"section": index}),
                "mlflow.spanOutputs": json.dumps({"text": text}, ensure_ascii=False),
            },
        }
        yield (", " if index else "").encode() + json.dumps(span).encode()
    yield b"]}"
