#!/usr/bin/env python3
"""Records the examples of the OpenAPI document: every operation is asked once, on the demo, and writes openapi/examples.json.

    tests/clients/record.py BINARY            then: make documents

`make clients` records them again and fails where an answer has another shape by now than the one that is shown.
"""

import contextlib
import json
import re
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import demo  # noqa: E402
from beside import Runner  # noqa: E402

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "openapi" / "examples.json"

JSON, LINES, EVENTS, METRICS = "application/json", "application/x-ndjson", "text/event-stream", "application/openmetrics-text"
# Of lists of things so many entries are shown, of lists of words so many, of texts so many characters.
ENTRIES, WORDS, CHARACTERS = 2, 5, 240
# Members that stand for entries: of a type of spans, of a tool.
MAPS = ("by_tool", "by_type", "tool_parameters", "types")
# Where an installation would keep what the demo keeps in a temporary folder.
KEPT_IN = "/srv/mlflow"
TRIES = 20


def main() -> int:
    runner = Runner("record")
    with tempfile.TemporaryDirectory(prefix="record-", ignore_cleanup_errors=True) as folder:
        with demo.demo(Path(sys.argv[1]), Path(folder), runner) as base:
            recorded = record(base, Path(folder))
    EXAMPLES.write_text(json.dumps(recorded, indent=2, ensure_ascii=False, sort_keys=True) + "\n")
    runner.say(f"{len(recorded)} operations are in {EXAMPLES.name}; now: make documents")
    return 0


def record(base: str, folder: Path) -> dict[str, Any]:
    """What was sent and answered, by operation."""
    api = Api(base, folder)
    about_the_server(api)
    reviews(api)
    session, item, run = sessions(api)
    traces(api, run)
    analyses(api, session)
    api.delete("delete_item", f"/api/labeling-sessions/{session}/items/{item}")
    api.delete("delete_labeling_session", f"/api/labeling-sessions/{session}")
    return api.recorded


class Api:
    """The server, whose answers are noted under an operation's name. What is asked here must go well."""

    def __init__(self, base: str, folder: Path) -> None:
        self.base, self.recorded = base, dict[str, Any]()
        self.folder = re.compile(re.escape(str(folder)) + r"/[^/\"\\]*")
        # A proxy that the environment names knows nothing of our loopback.
        self.direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, operation: str, path: str, form: str = JSON) -> Any:
        return self.ask(operation, "GET", path, form=form)

    def post(self, operation: str, path: str, body: object) -> Any:
        return self.ask(operation, "POST", path, body)

    def patch(self, operation: str, path: str, body: object) -> Any:
        return self.ask(operation, "PATCH", path, body)

    def delete(self, operation: str, path: str) -> Any:
        return self.ask(operation, "DELETE", path)

    def ask(self, operation: str, method: str, path: str, body: object = None, form: str = JSON) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"content-type": JSON, "accept": form}, method=method)
        try:
            with self.direct.open(request, timeout=60) as answer:
                text = self.folder.sub(KEPT_IN, answer.read().decode())
        except urllib.error.HTTPError as error:
            raise Refused(f"record: {method} {path} answers {error.code}: {error.read().decode()}") from None
        whole = read(text, form)
        exchange = self.recorded.setdefault(operation, {"answers": {}})
        if body is not None:
            exchange["request"] = body
        exchange["answers"][form] = shortened(whole)
        return whole


class Refused(SystemExit):
    """An answer that is no good one."""


def read(text: str, form: str) -> Any:
    """An answer; of a stream its first line or event, as the document describes one."""
    if form == JSON:
        return json.loads(text)
    if form == LINES:
        return json.loads(text.partition("\n")[0])
    if form == EVENTS:
        lines = (line.partition(": ") for line in text.partition("\n\n")[0].split("\n"))
        return {name: value for name, _, value in lines if name}
    return text


def shortened(answer: Any, name: str = "") -> Any:
    """Of many entries the first, of what is told at length the beginning. No member of a thing is left out."""
    if isinstance(answer, dict):
        shown = list(answer.items())[: ENTRIES if name in MAPS else None]
        return {name: shortened(value, name) for name, value in shown}
    if isinstance(answer, list):
        are_things = any(isinstance(entry, dict) for entry in answer)
        return [shortened(entry) for entry in answer[: 1 if name == "spans" else ENTRIES if are_things else WORDS]]
    # Of a text that is JSON itself nothing can be cut off.
    if isinstance(answer, str) and len(answer) > CHARACTERS and answer[:1] not in '{["':
        return answer[:CHARACTERS].rsplit("\n", 1)[0] + ("\n" if "\n" in answer[:CHARACTERS] else "…")
    return answer


def about_the_server(api: Api) -> None:
    api.get("health", "/health")
    api.get("live", "/health/live")
    api.get("ready", "/health/ready")
    api.get("get_metrics", "/metrics", METRICS)
    api.get("get_config", "/api/config")
    api.get("get_experiment_id", "/api/config/experiment-id")
    api.get("get_manifest", "/api/manifest")
    api.get("get_me", "/api/user/me")
    api.get("get_current", "/api/user/current")
    api.get("get_my_workspace", "/api/user/me/workspace")
    api.get("check_dev_access", "/api/auth/check-dev-access")
    api.get("get_experiment", "/api/mlflow/experiments/1")


def reviews(api: Api) -> None:
    app = api.get("list_review_apps", "/api/review-apps")["review_apps"][0]["review_app_id"]
    api.get("get_review_app", f"/api/review-apps/{app}")
    api.patch("update_review_app", f"/api/review-apps/{app}?update_mask=agents", {"agents": [{"agent_name": "support"}]})
    tone = {"name": "accuracy", "type": "FEEDBACK", "title": "Is every fact right?", "categorical": {"options": ["yes", "no"]}}
    clearer = {**tone, "instruction": "Compare with the shop's pages.", "enable_comment": True}
    api.post("create_review_app", "/api/review-apps", {"experiment_id": "0", "labeling_schemas": [tone]})
    api.post("create_label_schema", "/api/label-schemas", tone)
    api.patch("update_label_schema", "/api/label-schemas/accuracy", clearer)
    api.get("list_label_schemas", "/api/label-schemas")
    api.delete("delete_label_schema", "/api/label-schemas/accuracy")


def sessions(api: Api) -> tuple[str, str, str]:
    """A session with items: its id, an item's, its run's."""
    body = {"name": "Week 48", "assigned_users": ["mia@example.com", demo.USER], "labeling_schemas": [{"name": "helpful"}]}
    session = api.post("create_labeling_session", "/api/labeling-sessions", body)
    id, run = session["labeling_session_id"], session["mlflow_run_id"]
    one = f"/api/labeling-sessions/{id}"
    api.get("list_labeling_sessions", "/api/labeling-sessions?page_size=2")
    api.get("get_labeling_session", one)
    body = {"name": "Week 48, returns", "last_update_time": session["last_update_time"]}
    api.patch("update_labeling_session", f"{one}?update_mask=name", body)
    found = api.post("search_traces", "/api/mlflow/search-traces", SEARCH)["traces"]
    ids = [trace["info"]["trace_id"] for trace in found]
    api.post("link_traces_to_session", f"{one}/link-traces", {"mlflow_run_id": run, "trace_ids": ids[:2]})
    api.post("create_items", f"{one}/items/batchCreate", {"items": [{"source": {"trace_id": ids[0]}}]})
    item = api.get("list_items", f"{one}/items?filter=state%3DPENDING")["items"][0]
    api.get("get_item", f"{one}/items/{item['item_id']}")
    body = {"state": "COMPLETED", "comment": "Answered twice.", "labels": {"tone": {"value": 4, "comment": "throughout"}}}
    body["last_update_time"] = item["last_update_time"]
    api.patch("update_item", f"{one}/items/{item['item_id']}?update_mask=state,comment,labels", body)
    return id, item["item_id"], run


SEARCH = {"experiment_ids": ["1"], "filter": "status = 'OK'", "max_results": 20, "order_by": ["timestamp_ms DESC"]}


def traces(api: Api, run: str) -> None:
    # The one that is said in the fewest words.
    with_spans = api.post("-", "/api/mlflow/search-traces", {"max_results": 1000, "include_spans": True})["traces"]
    del api.recorded["-"]
    trace = min(with_spans, key=lambda trace: len(json.dumps(trace)))["info"]["trace_id"]
    one = f"/api/traces/{trace}"
    feedback = {"name": "helpful", "value": "yes", "rationale": "Answers what was asked.", "metadata": {"page": "labeling"}}
    given = api.post("give_feedback", f"{one}/feedback", {"assessment": feedback})["assessment_id"]
    change = {"assessment_id": given, "assessment": {"value": "partly", "rationale": "Answers half of it."}}
    api.patch("change_feedback", f"{one}/feedback", change)
    expectation = {"name": "expected_answer", "value": "You are welcome."}
    given = api.post("give_expectation", f"{one}/expectation", {"assessment": expectation})["assessment_id"]
    change = {"assessment_id": given, "assessment": {"value": "You are welcome, good wind!"}}
    api.patch("change_expectation", f"{one}/expectation", change)
    api.get("get_trace", one)
    api.get("get_trace_data", f"{one}/data")
    api.post("get_traces", "/api/traces/batch", {"trace_ids": [trace, "tr-unknown"], "span_summary_only": True})
    for form in (JSON, LINES, EVENTS):
        api.get("get_spans", f"{one}/spans?view=summary", form)
    api.get("stream_spans", f"{one}/spans/stream?view=summary", LINES)
    root = with_span(api, one)
    api.get("get_span", f"{one}/spans/{root.replace('/', '%2F')}")
    api.post("link_traces_to_run", "/api/traces/link-to-run", {"run_id": run, "trace_ids": [trace]})
    api.get("get_run", f"/api/mlflow/runs/{run}")
    new = {"experiment_id": "1", "run_name": "nightly", "tags": {"mlflow.customRenderer": "chat"}}
    made = api.post("create_run", "/api/mlflow/runs/create", new)["run"]["info"]["run_id"]
    change = {"run_id": made, "status": "FINISHED", "end_time": 1_795_460_976_829, "tags": [{"key": "team", "value": "support"}]}
    api.post("update_run", "/api/mlflow/runs/update", change)
    search = {"experiment_ids": ["1"], "filter": "attributes.status = 'FINISHED'", "max_results": 10, "order_by": ["start_time DESC"]}
    api.post("search_runs", "/api/mlflow/runs/search", search)


def with_span(api: Api, one: str) -> str:
    spans = api.get("get_spans", f"{one}/spans?view=summary")["spans"]
    return str(min(spans, key=lambda span: span["sizes"]["total_bytes"])["span_id"])


def analyses(api: Api, session: str) -> None:
    api.get("analyze_patterns", "/api/traces/analyze-patterns?limit=20")
    summary, analysis = "/api/experiment-summary", f"/api/labeling-sessions/{session}/analysis"
    wanted = {"experiment_id": "1", "trace_sample_size": 20, "focus": "comprehensive"}

    def begin_both() -> None:
        # One at a time is worked on, so that the second waits while it is looked at.
        api.post("trigger_experiment_summary", f"{summary}/trigger-analysis", wanted)
        api.post("trigger_session_analysis", f"{analysis}/trigger", {"include_ai_insights": False})

    def cancel_both() -> None:
        begin_both()
        api.delete("cancel_session_analysis", f"{analysis}/status")
        api.delete("cancel_experiment_summary", f"{summary}/status/1")

    repeated(cancel_both)
    begin_both()
    # These end when the job does.
    api.get("stream_experiment_summary_status", f"{summary}/status/1/stream", EVENTS)
    api.get("stream_session_analysis_status", f"{analysis}/status/stream", EVENTS)
    api.get("get_experiment_summary_status", f"{summary}/status/1")
    api.get("get_session_analysis_status", f"{analysis}/status")
    api.get("get_experiment_summary", f"{summary}/1")
    api.get("get_session_analysis", analysis)


def repeated(action: Callable[[], None]) -> None:
    """What is too late when a job is done already, again until it is not."""
    for _ in range(TRIES):
        with contextlib.suppress(Refused):
            return action()
    return action()


def differences(shown: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Where an answer has another shape than the one that is shown."""
    for operation in sorted(shown.keys() | now.keys()):
        before, after = (set(shape(of.get(operation, {}).get("answers"))) for of in (shown, now))
        for place in sorted(before ^ after):
            yield f"{operation}: {'only in the example' if place in before else 'not in the example'}: {place}"


def shape(answer: Any, place: str = "") -> Iterator[str]:
    """The members of an answer and what kind each is of; entries of a list are one."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            yield from shape(value, f"{place}.{name}")
    elif isinstance(answer, list):
        for entry in answer:
            yield from shape(entry, f"{place}[]")
    else:
        yield f"{place} {type(answer).__name__.replace('int', 'number').replace('float', 'number')}"


if __name__ == "__main__":
    sys.exit(main())
