"""The three shapes that a trace's spans are sent in, read to `{"spans":[…]}`, with the error that a broken one ends with."""

import json
from typing import Any

from truth import Wrong


def from_json(body: bytes) -> dict[str, Any]:
    """Whole, or the connection would have broken off."""
    return json.loads(body)


def from_lines(body: bytes) -> dict[str, Any]:
    """Whole unless the last line is an error."""
    lines = [json.loads(line) for line in body.splitlines()]
    if lines and lines[-1].keys() == {"error"}:
        return {"spans": lines[:-1], "error": lines[-1]["error"]}
    return {"spans": lines}


def from_events(body: bytes) -> dict[str, Any]:
    """Whole when the last event is `end`, which counts the spans; broken when it is `error`."""
    # Comments keep the connection open.
    events = [event.split("\n", 1) for event in body.decode().split("\n\n") if event and not event.startswith(":")]
    told = [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in events]
    spans, ends = [data for name, data in told if name == "span"], [one for one in told if one[0] != "span"]
    if ends == [("end", {"spans": len(spans)})]:
        return {"spans": spans}
    if len(ends) == 1 and ends[0][0] == "error":
        return {"spans": spans, "error": ends[0][1]["error"]}
    raise Wrong(f"{len(spans)} spans end with {ends}")


SHAPES = {
    "JSON": ("application/json", from_json),
    "lines": ("application/x-ndjson", from_lines),
    "events": ("text/event-stream", from_events),
}
