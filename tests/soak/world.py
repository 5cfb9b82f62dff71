"""What there is to be asked for: the sample traces, some for each reviewer, one that is large; and the truth about them."""

import json
import os
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

import sample
from asking import Asker
from calls import Call
from traffic import DEVELOPER, FILTERS, REVIEWERS, Session, World, same
from truth import Reading, Truth, Wrong

TRACES = 60
# Of each session; the reviewer labels so many of them.
IN_SESSION, LABELLED = 20, 6
# Above what is kept of one trace (TRACE_SERVER_MAX_SHARED_SPANS), so that it passes through.
LARGE_MIB = 9


def experiment(mlflow: str) -> str:
    """The one that holds the sessions and their traces."""
    return sample.experiment(mlflow, f"soak-{TRACES}")


def prepared(mlflow: str, server: str) -> World:
    """All made and read, before anything goes wrong."""
    seeded, ours = os.environ["MLFLOW_EXPERIMENT_ID"], experiment(mlflow)
    traces = sample.filled(mlflow, ours, TRACES, "converse.py")
    aside = sample.experiment(mlflow, f"soak-large-{LARGE_MIB}")
    large = (sample.found(mlflow, aside) or [made_large(aside)])[0]
    parts = [traces[at : at + IN_SESSION] for at in range(0, TRACES, IN_SESSION)]
    sessions = {user: session(server, user, part) for user, part in zip(REVIEWERS, parts, strict=False)}
    truth, ask = Truth(), partial(asked, server)
    named = json.loads(Path(os.environ["MLFLOW_SEED_FILE"]).read_text())["named"]
    spanless = {named["no_spans"], named["in_progress"]}
    for one in (seeded, ours):
        for filter_ in FILTERS:
            found = json.loads(Call(mlflow, *sample.search(one, 500, filter_))().body).get("traces", [])
            truth.orders[one, filter_] = [trace["trace_id"] for trace in found]
        for trace in truth.orders[one, ""]:
            truth.learn(mlflow, ask, trace, trace not in spanless)
    truth.learn(mlflow, ask, large, has_spans=True)
    own = {user: part[:LABELLED] for user, part in zip((*REVIEWERS, DEVELOPER), parts, strict=True)}
    return World(truth, [seeded, ours], sessions, own, large)


def made_large(experiment: str) -> str:
    script = sample.SCRIPTS / "big_trace.py"
    command = [os.environ["MLFLOW_PYTHON"], script, "--experiment", experiment, "--mib", str(LARGE_MIB), "--spans", "60"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def asked(server: str, path: str, body: object = None, user: str = DEVELOPER) -> Any:
    return json.loads(Call(server, path, body, {"x-forwarded-email": user})().body)


def session(server: str, user: str, traces: list[str]) -> Session:
    """A labeling session of this reviewer."""
    made = asked(server, "/api/labeling-sessions", {"name": f"of {user}", "assigned_users": [user]})
    id_, run = made["labeling_session_id"], made["mlflow_run_id"]
    asked(server, f"/api/labeling-sessions/{id_}/link-traces", {"mlflow_run_id": run, "trace_ids": traces})
    return Session(id_, run, traces)


def remained(world: World, mlflow: str, asker: Asker) -> tuple[int, int]:
    """Holds the labels against MLflow itself in the end: writes whose answer was an error, and those of them that were done."""
    lost = done = 0
    for trace, labels in world.truth.labels.items():
        reading = Reading(time.monotonic())
        got = asked(asker.base, f"/api/traces/{trace}")
        there = {one["assessment_id"]: one for one in got["info"]["assessments"]}
        info = json.loads(Call(mlflow, f"/api/3.0/mlflow/traces/{trace}")().body)["trace"]["trace_info"]
        try:
            world.truth.trace(got, reading)
            same(set(there), {one["assessment_id"] for one in info["assessments"]})
        except Wrong as error:
            asker.figures.wrong.append(f"in the end: {error}")
        values = {(one["name"], one.get("feedback", one.get("expectation"))["value"]) for one in there.values()}
        unknown = [(label.name, write.value) for label in labels.values() for write in label.writes if write.known is None]
        lost, done = lost + len(unknown), done + len(values.intersection(unknown))
    return lost, done
