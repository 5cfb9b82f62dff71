"""Fills a store of MLflow's own with generated rows, past MLflow, for what would take hours to log.

    fill_store.py URI traces --experiment ID [--count 200000]   traces with tags, metadata, labels and one span each
    fill_store.py URI big --experiment ID [--mib 100]           one trace of 400 spans in `spans`; prints its id

The store has the tables of MLflow 3.17.2 and is used by nobody else meanwhile. SQLite wants the standard library alone,
PostgreSQL psycopg2, which MLflow's environment has.
"""

import argparse
import base64
import contextlib
import io
import json
import random
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any

BEGUN_MS = 1_790_000_000_000
STEP_MS = 20_000
NAMES = ["support_agent", "billing_agent", "router", "größe-prüfer", "summarise"]
TEAMS = ["care", "billing", "größe", "returns"]
QUESTIONS = ["Where is my order?", "Wie kann ich meine Rechnung ändern?", "返品したいのですが", "Can I pay by invoice?"]
ANSWERS = ["It arrives on Friday.", "Öffnen Sie „Bestellungen“.", "30日以内であれば可能です。", "Yes, at checkout. 👍"]
WORDS = ["größer", "als", "nötig", "order", "納期", "refund", '"quoted"', "🚚", *(f"{n:x}" for n in range(4_096, 8_192))]

TRACE_COLUMNS = (
    "request_id", "experiment_id", "timestamp_ms", "execution_time_ms", "status", "client_request_id",
    "request_preview", "response_preview", "trace_name", "session_id", "input_tokens", "output_tokens", "total_tokens",
    "total_cost",
)  # fmt: skip
ASSESSMENT_COLUMNS = (
    "assessment_id", "trace_id", "name", "assessment_type", "value", "created_timestamp", "last_updated_timestamp",
    "source_type", "source_id", "valid", "experiment_id", "trace_timestamp_ms", "aggregate_value", "is_numeric_value",
)  # fmt: skip
SPAN_COLUMNS = (
    "trace_id", "experiment_id", "span_id", "parent_span_id", "name", "type", "status", "start_time_unix_nano",
    "end_time_unix_nano", "content",
)  # fmt: skip
PAIR_COLUMNS = ("key", "value", "request_id")

Row = tuple[Any, ...]
Insert = Callable[[str, tuple[str, ...], Iterable[Row]], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("uri")
    parser.add_argument("what", choices=["traces", "big"])
    parser.add_argument("--experiment", type=int, required=True)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--mib", type=int, default=100)
    args = parser.parse_args()
    with store(args.uri) as insert:
        if args.what == "traces":
            traces(insert, args.experiment, args.count)
        else:
            print(big(insert, args.experiment, args.mib << 20))


@contextlib.contextmanager
def store(uri: str) -> Iterator[Insert]:
    """What inserts rows into a table, all in one transaction."""
    with (on_sqlite if uri.startswith("sqlite:") else on_postgres)(uri) as insert:
        yield insert


@contextlib.contextmanager
def on_sqlite(uri: str) -> Iterator[Insert]:
    """Without the indexes, which are made anew in the end: that is several times as fast."""
    connection = sqlite3.connect(uri.removeprefix("sqlite:///"), isolation_level=None)
    for setting in ("journal_mode = MEMORY", "synchronous = OFF", "cache_size = -400000", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {setting}")
    filled = ("trace_info", "trace_tags", "trace_request_metadata", "assessments", "spans")
    indexes = connection.execute(
        f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN {filled}"
    ).fetchall()
    connection.execute("BEGIN IMMEDIATE")
    for name, _ in indexes:
        connection.execute(f'DROP INDEX "{name}"')

    def insert(table: str, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
        names, marks = ", ".join(f'"{column}"' for column in columns), ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)

    yield insert
    for _, sql in indexes:
        connection.execute(sql)
    connection.execute("COMMIT")
    connection.close()


@contextlib.contextmanager
def on_postgres(uri: str) -> Iterator[Insert]:
    import psycopg2

    connection = psycopg2.connect(re.sub("^postgresql[+a-z0-9]*://", "postgresql://", uri))
    cursor = connection.cursor()
    escapes = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

    def text(value: Any) -> str:
        return "\\N" if value is None else str(value).translate(escapes)

    def insert(table: str, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
        names = ", ".join(f'"{column}"' for column in columns)
        lines, size = [], 0

        def send() -> None:
            cursor.copy_expert(f"COPY {table} ({names}) FROM STDIN", io.StringIO("".join(lines)))

        for row in rows:
            lines.append("\t".join(map(text, row)) + "\n")
            size += len(lines[-1])
            if size > 8 << 20:
                send()
                lines, size = [], 0
        send()

    yield insert
    connection.commit()
    connection.autocommit = True
    cursor.execute("ANALYZE")
    connection.close()


def traces(insert: Insert, experiment: int, count: int) -> None:
    """Every row follows from the trace's number and its random id; the numbers are in the order of time."""
    rng = random.Random(count)
    # In the order of their primary keys they are appended to its index; to the order of time that has no relation.
    ids = sorted(f"tr-{rng.getrandbits(128):032x}" for _ in range(count))
    numbers = rng.sample(range(count), count)
    durations = [round(rng.lognormvariate(6.5, 1)) for _ in range(count)]

    def begun(number: int) -> int:
        return BEGUN_MS + number * STEP_MS

    def infos() -> Iterator[Row]:
        for id_, number in zip(ids, numbers, strict=True):
            status = "ERROR" if number % 23 == 0 else "IN_PROGRESS" if number % 500 == 1 else "OK"
            session = f"session-{number // 4}" if number % 3 else None
            asked, said = 200 + number % 700, 10 + number % 110
            tokens = (asked, said, asked + said) if number % 2 else (None, None, None)
            yield (
                id_, experiment, begun(number), None if status == "IN_PROGRESS" else durations[number], status,
                f"request-{number}" if number % 10 == 0 else None, QUESTIONS[number % 4], ANSWERS[number % 4],
                NAMES[number % 5], session, *tokens, 0.0001 * (number % 97) if number % 2 else None,
            )  # fmt: skip

    tags: dict[str, Callable[[str, int], str]] = {
        "env": lambda _, number: ["prod", "staging", "dev"][number % 7 % 3],
        "mlflow.artifactLocation": lambda id_, _: f"mlflow-artifacts:/{experiment}/traces/{id_}/artifacts",
        "mlflow.trace.spansLocation": lambda *_: "TRACKING_STORE",
        "team": lambda _, number: TEAMS[number % 4],
        "version": lambda _, number: f"1.{number // 20_000}.{number // 1_000 % 20}",
    }
    metadata: dict[str, Callable[[str, int], str]] = {
        "mlflow.source.name": lambda *_: "/app/server.py",
        "mlflow.trace.infoFinalized": lambda *_: "true",
        "mlflow.trace.sizeStats": lambda *_: '{"total_size_bytes": 700, "num_spans": 1, "max": 700}',
        "mlflow.trace.user": lambda _, number: f"user-{number % 997}@example.com",
        "mlflow.traceInputs": lambda _, number: json.dumps({"question": QUESTIONS[number % 4]}),
        "mlflow.traceOutputs": lambda _, number: json.dumps({"answer": ANSWERS[number % 4]}),
        "mlflow.trace_schema.version": lambda *_: "3",
        "mlflow.user": lambda *_: "app",
    }

    def pairs(values: dict[str, Callable[[str, int], str]]) -> Iterator[Row]:
        for key, value in sorted(values.items()):
            yield from ((key, value(id_, number), id_) for id_, number in zip(ids, numbers, strict=True))

    def assessments() -> Iterator[Row]:
        for id_, number in zip(ids, numbers, strict=True):
            given = []
            if number % 3 == 0:
                given.append(("quality", "feedback", json.dumps("good" if number % 4 else "bad"), None, False))
            if number % 10 == 3:
                given.append(("stars", "feedback", f"{number % 5 + 1}.0", number % 5 + 1.0, True))
            if number % 50 == 7:
                given.append(("expected", "expectation", json.dumps(ANSWERS[number % 4]), None, False))
            for name, kind, value, aggregate, is_number in given:
                at = begun(number) + 60_000
                yield (
                    f"a-{rng.getrandbits(128):032x}", id_, name, kind, value, at, at, "HUMAN", "ann@example.com", True,
                    experiment, begun(number), aggregate, is_number,
                )  # fmt: skip

    def spans() -> Iterator[Row]:
        for id_, number in zip(ids, numbers, strict=True):
            at = begun(number) * 1_000_000
            status = "ERROR" if number % 23 == 0 else "OK"
            ended = at + durations[number] * 1_000_000
            said = {"inputs": {"question": QUESTIONS[number % 4]}, "outputs": {"answer": ANSWERS[number % 4]}}
            yield span(id_, experiment, 0, NAMES[number % 5], "AGENT", status, at, ended, **said)

    insert("trace_info", TRACE_COLUMNS, infos())
    insert("trace_tags", PAIR_COLUMNS, pairs(tags))
    insert("trace_request_metadata", PAIR_COLUMNS, pairs(metadata))
    insert("assessments", ASSESSMENT_COLUMNS, assessments())
    insert("spans", SPAN_COLUMNS, spans())


def big(insert: Insert, experiment: int, size: int, count: int = 400) -> str:
    rng = random.Random()
    id_ = f"tr-{rng.getrandbits(128):032x}"
    begun, took = 1_795_457_376_829, 60_000
    words = round(size / count / (len(json.dumps(" ".join(WORDS))) / len(WORDS)))
    insert(
        "trace_info",
        ("request_id", "experiment_id", "timestamp_ms", "execution_time_ms", "status", "trace_name"),
        [(id_, experiment, begun, took, "OK", "big")],
    )
    tags = [("mlflow.trace.spansLocation", "TRACKING_STORE", id_)]
    insert("trace_tags", PAIR_COLUMNS, tags)
    stats = json.dumps({"total_size_bytes": size, "num_spans": count})
    metadata = [("mlflow.trace.sizeStats", stats, id_), ("mlflow.trace_schema.version", "3", id_)]
    insert("trace_request_metadata", PAIR_COLUMNS, metadata)

    def spans() -> Iterator[Row]:
        for index in range(count):
            at = begun * 1_000_000 + index * 1_001
            ended = at + took * 1_000_000 - index
            said = {"inputs": {"section": index}, "outputs": {"text": " ".join(rng.choices(WORDS, k=words))}}
            yield span(id_, experiment, index, f"section_{index}", "CHAIN", "OK", at, ended, **said)

    insert("spans", SPAN_COLUMNS, spans())
    return id_


def span(
    trace: str, experiment: int, index: int, name: str, type_: str, status: str, begun: int, ended: int, **said: Any
) -> Row:
    """A span's row as MLflow keeps it; the first is the root of all others."""
    ids = [f"{index + 1:016x}", f"{1:016x}" if index else None]
    packed = [base64.b64encode(bytes.fromhex(one)).decode() if one else None for one in ids]
    content = {
        "trace_id": base64.b64encode(bytes.fromhex(trace.removeprefix("tr-"))).decode(),
        "span_id": packed[0],
        "parent_span_id": packed[1],
        "name": name,
        "start_time_unix_nano": begun,
        "end_time_unix_nano": ended,
        "events": [],
        "status": {"code": f"STATUS_CODE_{status}", "message": ""},
        "attributes": {
            "mlflow.traceRequestId": json.dumps(trace),
            "mlflow.spanType": json.dumps(type_),
            "mlflow.spanInputs": json.dumps(said["inputs"], ensure_ascii=False),
            "mlflow.spanOutputs": json.dumps(said["outputs"], ensure_ascii=False),
        },
        "links": [],
    }
    text = json.dumps(content, ensure_ascii=False)
    return (trace, experiment, ids[0], ids[1], name, type_, status, begun, ended, text)


if __name__ == "__main__":
    main()
