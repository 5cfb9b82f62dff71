#!/usr/bin/env python3
# /// script
# requires-python = ">=3.11"
# dependencies = ["httpx==0.28.1"]
# ///
"""Finds traces, reads them, and labels those that nobody has labeled yet. Run twice it labels none twice.

    label_traces.py --url http://127.0.0.1:8000 --filter "status = 'ERROR'" --label helpful --value no

`--token` (or TRACE_SERVER_TOKEN) is for a proxy in front that asks for one, as that of Databricks Apps does; labels are given
in the name of the user that the proxy makes of it.
"""

import argparse
import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any, NotRequired, TypedDict

import httpx

# Longer is not waited for a server that is overloaded.
MAX_PAUSE_S = 10
MAX_TRIES = 3


class Source(TypedDict):
    source_type: str
    source_id: str


class Assessment(TypedDict):
    assessment_id: str
    name: str
    source: Source
    valid: bool


class TraceInfo(TypedDict):
    trace_id: str
    state: str
    assessments: list[Assessment]
    request_preview: NotRequired[str | None]


class Span(TypedDict):
    name: str | None
    attributes: dict[str, Any]
    status: dict[str, str]


class ProblemError(Exception):
    """What the server says is wrong. `code` stays the same while words may change."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(f"{problem['error']['code']}: {problem['detail']} (request {problem['request_id']})")
        self.status: int = problem["status"]
        self.code: str = problem["error"]["code"]


class TraceServer:
    """The calls that are made here."""

    def __init__(self, url: str, token: str | None = None) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=httpx.Timeout(70, connect=5))

    def __enter__(self) -> "TraceServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def ask(self, method: str, path: str, *, may_repeat: bool, **options: Any) -> httpx.Response:
        """One answer; a problem is raised. What may be asked twice is, when the server says when."""
        for tries in itertools.count(1):
            answer = self.http.request(method, path, **options)
            pause = float(answer.headers.get("retry-after", "inf"))
            if answer.is_success or answer.status_code == httpx.codes.NOT_MODIFIED:
                break
            if not may_repeat or tries == MAX_TRIES or pause > MAX_PAUSE_S:
                raise problem_of(answer)
            time.sleep(pause)
        return answer

    def search(self, condition: str, page_size: int) -> Iterator[TraceInfo]:
        """All traces that match, a page at a time as they are asked for. No span is read for that."""
        token: str | None = None
        while True:
            body = {"filter": condition, "max_results": page_size, "page_token": token}
            # A search is a POST that changes nothing.
            page = self.ask("POST", "/api/mlflow/search-traces", may_repeat=True, json=body).json()
            for trace in page["traces"]:
                yield trace["info"]
            token = page["next_page_token"]
            if token is None:
                return

    def spans(self, trace_id: str) -> Iterator[Span]:
        """The spans of a trace in short, one by one while they arrive: a trace of any size is read in little memory."""
        with self.http.stream("GET", f"/api/traces/{trace_id}/spans/stream", params={"view": "summary"}) as answer:
            if not answer.is_success:
                answer.read()
                raise problem_of(answer)
            for line in answer.iter_lines():
                span = json.loads(line)
                # The status was sent already: what fails half-way is said in the last line.
                if "error" in span:
                    raise RuntimeError(f"{trace_id}: {span['error']['message']}")
                yield span

    def label(self, trace_id: str, name: str, value: object, rationale: str) -> str:
        """Gives a feedback; its id. Not repeated: the first try may have gone through."""
        body = {"assessment": {"name": name, "value": value, "rationale": rationale}}
        answer = self.ask("POST", f"/api/traces/{trace_id}/feedback", may_repeat=False, json=body)
        return str(answer.json()["assessment_id"])

    def assessments(self, trace_id: str) -> list[Assessment]:
        """All labels of a trace, as the next read shows them."""
        trace = self.ask("GET", f"/api/traces/{trace_id}", may_repeat=True).json()
        found: list[Assessment] = trace["info"]["assessments"]
        return found

    def is_unchanged(self, trace_id: str) -> bool:
        """Whether a trace is as it was a moment ago, told without its being sent again."""
        path = f"/api/traces/{trace_id}"
        first = self.ask("GET", path, may_repeat=True)
        again = self.ask("GET", path, may_repeat=True, headers={"if-none-match": first.headers["etag"]})
        return again.status_code == httpx.codes.NOT_MODIFIED


def problem_of(answer: httpx.Response) -> Exception:
    if answer.headers.get("content-type", "").startswith("application/problem+json"):
        return ProblemError(answer.json())
    # Not ours: a proxy on the way.
    return RuntimeError(f"{answer.url} answers {answer.status_code} {answer.reason_phrase}")


def is_labeled(info: TraceInfo, name: str) -> bool:
    """Whether a person has labeled it so already."""
    given = (one for one in info["assessments"] if one["valid"] and one["source"]["source_type"] == "HUMAN")
    return any(one["name"] == name for one in given)


def failures(spans: Iterator[Span]) -> list[str]:
    """What failed, in a line each."""
    failed = (span for span in spans if span["status"]["code"] == "STATUS_CODE_ERROR")
    return [f"{span['name']}: {span['status'].get('message', '').partition(chr(10))[0]}" for span in failed]


def main() -> int:
    args = parse_args()
    with TraceServer(args.url, args.token) as server:
        try:
            return run(server, args)
        except (ProblemError, RuntimeError, httpx.TransportError) as error:
            print(f"label_traces: {error}", file=sys.stderr)
            return 1


def run(server: TraceServer, args: argparse.Namespace) -> int:
    found = labeled = 0
    for info in itertools.islice(server.search(args.filter, args.page_size), args.limit):
        found += 1
        trace_id = info["trace_id"]
        if is_labeled(info, args.label):
            continue
        print(f"{trace_id} {info['state']} {info.get('request_preview') or ''}")
        for failure in failures(server.spans(trace_id)):
            print(f"    {failure}")
        given = server.label(trace_id, args.label, args.value, args.rationale)
        shown = server.assessments(trace_id)
        if not any(one["assessment_id"] == given for one in shown) or not server.is_unchanged(trace_id):
            raise RuntimeError(f"{trace_id} does not show the label {given}")
        labeled += 1
    print(f"found {found}, labeled {labeled}")
    return 0


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", default=os.environ.get("TRACE_SERVER_URL", "http://127.0.0.1:8000"))
    parser.add_argument("--token", default=os.environ.get("TRACE_SERVER_TOKEN"))
    parser.add_argument("--filter", default="status = 'ERROR'", help="MLflow's own filter of traces")
    parser.add_argument("--label", default="helpful", help="the label schema's name")
    parser.add_argument("--value", default="no")
    parser.add_argument("--rationale", default="It failed.")
    parser.add_argument("--page-size", type=int, default=100)
    parser.add_argument("--limit", type=int, help="look at so many traces at most")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
