"""What there is to ask for, found and made before the fuzzing: without ids of things that are there all ends in 404."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DEVELOPER, REVIEWER = "dev@example.com", "ann@example.com"

SCHEMAS = [
    {"name": "correctness", "type": "FEEDBACK", "title": "Correct?", "categorical": {"options": ["yes", "no"]}},
    {"name": "answer", "type": "EXPECTATION", "title": "What had been right?", "text": {"max_length": 200}},
    {"name": "score", "type": "FEEDBACK", "title": "How good?", "numeric": {"min_value": 0, "max_value": 10}},
]
# These are there to be deleted.
DOOMED = 12

FILTERS = [
    "status = 'OK'", "timestamp_ms > 0", "tags.env = 'prod'", "attributes.status = 'ERROR' AND timestamp_ms < 9e18",
    "name LIKE '%a%'", "state=PENDING", "bogus = 1", "status = 'OK", "status IN ('OK', 'ERROR')", "''''", "(", "tags.`", "",
]  # fmt: skip


class Api:
    """The server, asked as one user. What is asked here must go well."""

    def __init__(self, base: str, user: str) -> None:
        self.base, self.user = base, user
        # A proxy that the environment names knows nothing of our loopback.
        self.direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __call__(self, path: str, body: object = None) -> Any:
        headers = {"content-type": "application/json", "x-forwarded-email": self.user}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers)
        try:
            with self.direct.open(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise SystemExit(f"schema: {path} answers {error.code}: {error.read().decode()}") from None


def prepare(base: str, seed: dict[str, Any]) -> dict[str, list[str]]:
    """Makes reviews, and says by kind what there is. What REVIEWER may see, `seen`, is said beside."""
    api = Api(base, DEVELOPER)
    for schema in [*SCHEMAS, *({**SCHEMAS[0], "name": f"doomed-{nth}"} for nth in range(DOOMED))]:
        api("/api/label-schemas", schema)
    traces = [*seed["run_trace_ids"][:4], *seed["named"].values()]
    sessions = [
        session(api, "theirs", [REVIEWER], traces[:3]),
        session(api, "of others", ["bob@example.com"], traces[3:6]),
        session(api, "of nobody", [], []),
    ]
    doomed = [session(api, f"doomed {nth}", [], []) for nth in range(DOOMED)]
    items = [item for one in sessions for item in items_of(api, one)]
    seen = {traces[nth] for nth in range(3)} | {sessions[0]["labeling_session_id"]}
    return {
        "traces": [*traces, seed["other_trace_ids"][0], "tr-unknown"],
        "spans": [*spans(api, seed), "0123456789abcdef", "zz"],
        "span_types": ["LLM", "TOOL", "RETRIEVER", "CHAIN", "ünknown"],
        "runs": [*(one["mlflow_run_id"] for one in sessions), seed["run_id"], "0" * 32],
        "experiments": [seed["experiment_id"], seed["other_experiment_id"], seed["empty_experiment_id"], "99999"],
        "review_apps": [*(app["review_app_id"] for app in api("/api/review-apps")["review_apps"]), "f" * 32],
        "sessions": [*(one["labeling_session_id"] for one in sessions), "f" * 32],
        "doomed_sessions": [one["labeling_session_id"] for one in doomed],
        "items": [*(item["item_id"] for item in items), "f" * 32],
        "doomed_items": [item["item_id"] for item in items[3:]],
        "schemas": [*(schema["name"] for schema in SCHEMAS), "unknown", "ä/ö"],
        "doomed_schemas": [f"doomed-{nth}" for nth in range(DOOMED)],
        "assessments": [*assessments(api, traces), "a-unknown"],
        "filters": FILTERS,
        "session_masks": ["name", "assigned_users", "name,labeling_schemas", "agent", "x", ""],
        "item_masks": ["state", "state,comment", "labels", "chat_rounds", "x", ","],
        "app_masks": ["agents", "agents,labeling_schemas", "labeling_schemas", "x"],
        "etags": ["*", '"2026-11-23T18:09:40.120Z"', f'"{sessions[0]["last_update_time"]}"', 'W/"x"', "x", '"'],
        "seen": sorted(seen),
    }


def session(api: Api, name: str, users: list[str], traces: list[str]) -> dict[str, Any]:
    made = api("/api/labeling-sessions", {"name": name, "assigned_users": users, "labeling_schemas": [{"name": "score"}]})
    if traces:
        api(f"/api/labeling-sessions/{made['labeling_session_id']}/link-traces", {"trace_ids": traces})
    return made


def items_of(api: Api, one: dict[str, Any]) -> list[dict[str, Any]]:
    return api(f"/api/labeling-sessions/{one['labeling_session_id']}/items")["items"]


def assessments(api: Api, traces: list[str]) -> Iterator[str]:
    for trace in traces[:5]:
        for kind, name, value in (("feedback", "score", 7), ("expectation", "answer", "on Friday")):
            label = {"assessment": {"name": name, "value": value}}
            yield api(f"/api/traces/{trace}/{kind}", label)["assessment_id"]


def spans(api: Api, seed: dict[str, Any]) -> list[str]:
    """Of some traces the first spans, as hex digits."""
    traces = [*seed["run_trace_ids"][:2], seed["named"]["rag"], seed["named"]["deep"]]
    found = [span for trace in traces for span in api(f"/api/traces/{trace}")["data"]["spans"][:3]]
    return [base64.b64decode(span["span_id"]).hex() for span in found]


def write(folder: Path, settings: Path, known: dict[str, list[str]]) -> None:
    """For our hooks as it is, and as dictionaries for schemathesis: texts in JSON are texts in TOML."""
    (folder / "known.json").write_text(json.dumps(known))
    dictionaries = [f"{name} = {{ values = {json.dumps(values)} }}" for name, values in known.items()]
    (folder / "schemathesis.toml").write_text("\n".join([settings.read_text(), "[dictionaries]", *dictionaries, ""]))
