"""A store of MLflow's own for one test, on no server: makes it, labels in it as MLflow does, and tells its rows.

    own_store.py make URI ARTIFACTS [--traces 4]   a new store with an experiment and traces; their ids as JSON
    own_store.py label URI                         the labeling story of tests/embedded/written.rs, by MLflow's own code
    own_store.py rows URI                          all rows as JSON, less what differs each time: ids and times
    own_store.py revision URI REVISION             says that the tables are of this revision
    own_store.py artifacts URI TRACE LOCATION      says that the spans of a trace are kept there, as artifacts

What is labeled goes the way of a REST call, through the messages of the API: it is there that a 4 becomes a 4.0.
"""

import argparse
import json
import os
import re
import sys
import time
from typing import Any

os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"

import sqlalchemy

# MLflow takes seconds to come; who only looks at rows does without.
if {"make", "label"} & set(sys.argv[1:2]):
    import mlflow
    from mlflow.entities import AssessmentSource, Expectation, Feedback, RunStatus, RunTag
    from mlflow.entities.assessment import Assessment
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

ANN = "ann@example.com"
BEGUN_MS = 1_795_400_000_000
# Of a trace's spans nothing is ever written but by MLflow.
UNTOUCHED = {"alembic_version", "spans", "span_metrics"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("make", "label", "rows", "revision", "artifacts", "execute"):
        commands.add_parser(name).add_argument("uri", type=driven)
    commands.choices["make"].add_argument("artifacts")
    commands.choices["make"].add_argument("--traces", type=int, default=4)
    commands.choices["revision"].add_argument("revision")
    commands.choices["artifacts"].add_argument("trace")
    commands.choices["artifacts"].add_argument("location")
    commands.choices["execute"].add_argument("statement")
    args = parser.parse_args()
    if args.command == "make":
        print(json.dumps(make(args.uri, args.artifacts, args.traces)))
    elif args.command == "label":
        label(SqlAlchemyStore(args.uri, "unused"))
    elif args.command == "rows":
        print(json.dumps(rows(args.uri), ensure_ascii=False))
    elif args.command == "revision":
        execute(args.uri, "UPDATE alembic_version SET version_num = :revision", revision=args.revision)
    elif args.command == "execute":
        execute(args.uri, args.statement)
    else:
        update = "UPDATE trace_tags SET value = :value WHERE request_id = :trace AND key = :key"
        told = {"mlflow.trace.spansLocation": "ARTIFACT_REPO", "mlflow.artifactLocation": args.location}
        for key, value in told.items():
            execute(args.uri, update, trace=args.trace, key=key, value=value)


def execute(uri: str, statement: str, **values: str) -> None:
    with sqlalchemy.create_engine(uri).begin() as connection:
        connection.execute(sqlalchemy.text(statement), values)


def driven(uri: str) -> str:
    """The URI with the one driver for PostgreSQL that is installed."""
    return re.sub("^postgres(ql)?://", "postgresql+psycopg2://", uri)


def make(uri: str, artifacts: str, traces: int) -> dict[str, Any]:
    store = SqlAlchemyStore(uri, artifacts)
    experiment = store.create_experiment("own", artifact_location=f"{artifacts}/own")
    mlflow.set_tracking_uri(uri)
    ids = []
    for number in range(traces):
        begun = (BEGUN_MS + number) * 1_000_000
        root = mlflow.start_span_no_context(
            f"trace {number}", span_type="AGENT", inputs={"number": number}, experiment_id=experiment,
            start_time_ns=begun,
        )  # fmt: skip
        child = mlflow.start_span_no_context("größer", parent_span=root, span_type="TOOL", start_time_ns=begun)
        child.end(outputs=["fertig", number], end_time_ns=begun + 1_000_000)
        root.end(outputs={"answer": "ja 👍"}, end_time_ns=begun + 2_000_000)
        ids.append(root.trace_id)
    return {"experiment_id": experiment, "trace_ids": ids}


def label(store: "SqlAlchemyStore") -> None:
    """What `tests/embedded/written.rs` does, in the same order."""
    experiment = store.get_experiment_by_name("own").experiment_id
    found, _ = store.search_traces(experiment_ids=[experiment], order_by=["timestamp_ms"])
    traces = [info.trace_id for info in found]
    session = session_run(store, experiment, "Week 47 – größer")
    for _ in range(2):
        store.link_traces_to_run(traces[:3], session)
    given = {name: give(store, traces[0], kind, name, value, why) for name, kind, value, why in LABELS}
    for name, (value, why, more) in CHANGES.items():
        change(store, traces[0], given[name], value, why, more)
    give(store, traces[1], "feedback", "correctness", "no", None)
    give(store, traces[2], "feedback", "correctness", "Yes", None)
    store.log_batch(session, [], [], [RunTag("mlflow.customRenderer", "chat"), RunTag("größe", "M – 👍")])
    store.update_run_info(session, RunStatus.FINISHED, BEGUN_MS + 5_000, None)
    tags = [RunTag("a", "b"), RunTag("empty", "")]
    named = store.create_run(experiment, ANN, BEGUN_MS, tags, "own run").info.run_id
    store.update_run_info(named, RunStatus.FAILED, now_ms(), None)
    store.create_run(experiment, "li", BEGUN_MS, [], "")
    gone = session_run(store, experiment, "gone")
    store.update_run_info(gone, RunStatus.FINISHED, now_ms(), None)


LABELS = [
    ("correctness", "feedback", "teils – größer", "why: ä"),
    ("tone", "feedback", ["friendly", "short"], "why: tone"),
    ("stars", "feedback", 4, "why: stars"),
    ("score", "feedback", 2.5, None),
    ("is_ok", "feedback", True, None),
    ("parts", "feedback", {"b": 1, "a": [True, "x"]}, None),
    ("better answer", "expectation", "Am Freitag. 👍", "why: better"),
    ("facts", "expectation", ["order 4711", "Freitag"], "why: facts"),
    ("count", "expectation", 3, None),
    ("done", "expectation", False, None),
    ("object", "expectation", {"pay": {"days": 14}}, None),
]
# What it says now, why, and further facts.
CHANGES = {
    "stars": (5, "", {}),
    "correctness": ("gut", "doch", {"round": "2"}),
    "facts": (["Montag"], "why: facts now", {}),
    "done": (True, "", {}),
}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def session_run(store: "SqlAlchemyStore", experiment: str, name: str) -> str:
    tag = RunTag("trace_server.labeling_session_id", os.urandom(16).hex())
    return store.create_run(experiment, ANN, now_ms(), [tag], name).info.run_id


def give(store: "SqlAlchemyStore", trace: str, kind: str, name: str, value: object, why: str | None) -> str:
    more = {"metadata": {"rationale": why}} if why is not None else {}
    if kind == "feedback" and why is not None:
        more["rationale"] = why
    made = Feedback if kind == "feedback" else Expectation
    assessment = made(name=name, value=value, source=AssessmentSource("HUMAN", ANN), trace_id=trace, **more)
    sent = Assessment.from_proto(assessment.to_proto())
    sent.trace_id = trace
    return store.create_assessment(sent).assessment_id


def change(store: "SqlAlchemyStore", trace: str, given: str, value: object, why: str, more: dict[str, str]) -> None:
    old = store.get_assessment(trace, given)
    kind, name = (Feedback, "feedback") if old.feedback else (Expectation, "expectation")
    said = kind(name="changed", value=value, source=old.source)
    sent = kind.from_proto(said.to_proto())
    store.update_assessment(trace, given, rationale=why, metadata={"rationale": why} | more, **{name: sent})


def rows(uri: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of every table, in an order that does not depend on ids and times."""
    engine = sqlalchemy.create_engine(uri)
    tables = sqlalchemy.MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:

        def read(name: str) -> list[dict[str, Any]]:
            return [dict(row) for row in connection.execute(sqlalchemy.select(tables.tables[name])).mappings()]

        known = {row["request_id"]: f"trace {row['timestamp_ms'] - BEGUN_MS}" for row in read("trace_info")}
        known |= {row["run_uuid"]: f"run {told_name(row['name'])}" for row in read("runs")}
        known |= {row["assessment_id"]: f"assessment {row['name']}" for row in read("assessments")}
        roots = {row["artifact_location"].removesuffix("/own") for row in read("experiments") if row["name"] == "own"}
        known |= {root: "artifacts" for root in roots}
        names = sorted(set(tables.tables) - UNTOUCHED)

        def told(name: str) -> list[dict[str, Any]]:
            all_rows = [{key: told_value(key, value, known) for key, value in row.items()} for row in read(name)]
            return sorted(all_rows, key=lambda row: json.dumps(row, sort_keys=True))

        return {name: told(name) for name in names}


def told_name(name: str) -> str:
    """A run that is given no name gets one that is made up."""
    return "made up" if re.fullmatch(r"[a-z]+-[a-z]+-\d+", name) else name


def told_value(key: str, value: Any, known: dict[str, str]) -> Any:
    if isinstance(value, int) and value >= BEGUN_MS + 10_000:
        return "a time"
    if not isinstance(value, str):
        return value
    for id_, name in known.items():
        value = value.replace(id_, name)
    value = re.sub(r"\b[0-9a-f]{32}\b", "an id", told_name(value))
    if key in ("value", "assessment_metadata") and value.startswith("{"):
        # MLflow itself keeps the members of an object in any order; how else it writes them counts.
        object_ = json.loads(value)
        return {"object": json.dumps(object_, sort_keys=True), "as Python writes it": value == json.dumps(object_)}
    return value


if __name__ == "__main__":
    main()
