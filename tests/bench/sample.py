"""The traces that are read: small ones of a conversation, ten of 1.1 MB. Made once for each data folder."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from calls import Call

SMALL = 500
HEAVY = 10
SCRIPTS = Path(__file__).parent.parent / "mlflow"


@dataclass
class Sample:
    """Experiments with their traces, newest first."""

    small: str
    small_traces: list[str]
    heavy: str
    heavy_traces: list[str]


def sample(mlflow: str) -> Sample:
    small = experiment(mlflow, f"labeling-bench-{SMALL}")
    heavy = experiment(mlflow, f"heavy-bench-{HEAVY}")
    return Sample(
        small=small,
        small_traces=filled(mlflow, small, SMALL, "converse.py"),
        heavy=heavy,
        heavy_traces=filled(mlflow, heavy, HEAVY, "heavy.py"),
    )


def experiment(mlflow: str, name: str) -> str:
    """The experiment of this name, made unless it is there."""
    known = Call(mlflow, "/api/2.0/mlflow/experiments/search", {"max_results": 1000, "filter": f"name = '{name}'"})
    for one in json.loads(known().body).get("experiments", []):
        return one["experiment_id"]
    return json.loads(Call(mlflow, "/api/2.0/mlflow/experiments/create", {"name": name})().body)["experiment_id"]


def filled(mlflow: str, experiment: str, count: int, script: str) -> list[str]:
    """The ids of its traces; the script adds those that lack."""
    lacking = count - len(found(mlflow, experiment))
    if lacking > 0:
        command = [os.environ["MLFLOW_PYTHON"], SCRIPTS / script, "--experiment", experiment, "--count", str(lacking)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return found(mlflow, experiment)[:count]


def found(mlflow: str, experiment: str) -> list[str]:
    page = json.loads(Call(mlflow, *search(experiment, SMALL))().body)
    return [trace["trace_id"] for trace in page.get("traces", [])]


def search(experiment: str, count: int, filter_: str | None = None) -> tuple[str, dict]:
    """MLflow's own search as a path and a body."""
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    body = {"locations": [location], "max_results": count}
    return "/api/3.0/mlflow/traces/search", body | ({"filter": filter_} if filter_ else {})
