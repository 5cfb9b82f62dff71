"""Servers to try clients on: the demo, which needs no MLflow, and one on its data behind a proxy that names the user."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import trace_server
from beside import Runner, environment_without

USER = "ann@example.com"


@contextlib.contextmanager
def demo(binary: Path, folder: Path, runner: Runner) -> Iterator[str]:
    """The demo, with one user who may do everything; its data is in this folder. Where it answers."""
    with server([binary.resolve(), "demo"], folder, "demo", {"TMPDIR": str(folder)}, runner) as base:
        yield base


@contextlib.contextmanager
def behind_proxy(binary: Path, folder: Path, runner: Runner) -> Iterator[str]:
    """A server on the traces of the demo in this folder, with reviews of its own, to which we are the proxy."""
    store = next(folder.glob("trace-server-demo-*")) / "mlflow.db"
    env = {"MLFLOW_TRACKING_URI": f"sqlite:///{store}", "DATABASE_URL": f"sqlite://{folder}/proxied.db", "MLFLOW_EXPERIMENT_ID": "1"}
    env |= {"TRACE_SERVER_TRUST_PROXY": "true", "DEVELOPERS": USER}
    with server([binary.resolve()], folder, "proxied", env, runner) as base:
        yield base


@contextlib.contextmanager
def server(command: list[object], folder: Path, name: str, settings: dict[str, str], runner: Runner) -> Iterator[str]:
    env = environment_without("TRACE_SERVER", "DATABRICKS", "DATABASE_URL", "MLFLOW", "DEVELOPERS", "MODEL", "OPENAI")
    env |= {"TRACE_SERVER_USER": USER, "TRACE_SERVER_MAX_JOBS": "1", **settings}
    with trace_server.running(command, env, folder / f"{name}.log", runner) as base:
        yield base
