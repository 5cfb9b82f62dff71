"""The problems of the OpenAPI document, provoked: a server must say what their examples say."""

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import demo

JSON = {"content-type": "application/json"}
TRACE = "/api/traces/tr-6513270e269e0d37f2a74de452e6b438"
SCHEMA = {"name": "tone", "type": "FEEDBACK", "title": "How friendly is it?", "numeric": {}}


@dataclass
class Cause:
    """A request that goes wrong, of whichever server it must be asked."""

    method: str
    path: str
    body: str | None = None
    headers: dict[str, str] = field(default_factory=lambda: JSON)
    proxied: bool = False


CAUSES = {
    "Unreadable": Cause("POST", "/api/traces/batch", "{"),
    "Unidentified": Cause("GET", "/api/user/me", headers={"x-forwarded-email": "\xff"}, proxied=True),
    "Denied": Cause("POST", "/api/label-schemas", json.dumps(SCHEMA), {**JSON, "x-forwarded-email": "mia@example.com"}, True),
    "Unknown": Cause("DELETE", "/api/label-schemas/clarity"),
    "NotAcceptable": Cause("GET", f"{TRACE}/spans", headers={"accept": "text/csv"}),
    "Conflict": Cause("POST", "/api/label-schemas", json.dumps(SCHEMA)),
    "TooLarge": Cause("POST", "/api/traces/batch", " " * ((2 << 20) + 1)),
    "NotJson": Cause("POST", "/api/traces/batch", "{}", {"content-type": "text/plain"}),
    "Invalid": Cause("POST", "/api/mlflow/search-traces", json.dumps({"max_results": 0})),
}
# These come from servers in trouble: tests/reads and tests/trust make them.
OF_TROUBLE = {"RateLimited", "Failed", "Upstream", "Unavailable", "Timeout"}


def differences(document: dict[str, Any], base: str, proxied: str) -> Iterator[str]:
    """Where a server says something else than the document."""
    told = {name: of["content"] for name, of in document["components"]["responses"].items() if "content" in of}
    for name in sorted(told.keys() ^ (CAUSES.keys() | OF_TROUBLE)):
        yield f"{name}: {'nobody provokes it here' if name in told else 'the document does not have it'}"
    for name, cause in CAUSES.items():
        shown = told.get(name, {}).get("application/problem+json", {}).get("example", {})
        said = ask(cause, proxied if cause.proxied else base)
        if {**shown, "request_id": ""} != {**said, "request_id": ""}:
            yield f"{name}: the example is {shown}, the server says {said}"


def ask(cause: Cause, base: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=30)
    try:
        connection.request(cause.method, cause.path, cause.body, cause.headers)
        answer = connection.getresponse()
        assert answer.headers["content-type"] == "application/problem+json", answer.headers
        said: dict[str, Any] = json.loads(answer.read())
        assert said["status"] == answer.status and said["request_id"] == answer.headers["x-request-id"], said
        return said
    finally:
        connection.close()
