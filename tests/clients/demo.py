"""Servers to try clients on: the demo, which needs no MLflow, and one on its data behind a proxy that names the user."""

import contextlib
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from beside import STOP_LIMIT_S, Runner, environment_without, free_port

USER = "ann@example.com"
# A proxy that the environment names knows nothing of our loopback.
LOOPBACK = {name: f"127.0.0.1,{os.environ.get(name, '')}" for name in ("no_proxy", "NO_PROXY")}


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
    """A trace-server on a free loopback port, stopped by its id."""
    port, log = free_port(), folder / f"{name}.log"
    base = f"http://127.0.0.1:{port}"
    env = environment_without("TRACE_SERVER", "DATABRICKS", "DATABASE_URL", "MLFLOW", "DEVELOPERS", "MODEL", "OPENAI")
    env |= {"PORT": str(port), "TRACE_SERVER_USER": USER, "TRACE_SERVER_MAX_JOBS": "1", **settings}
    with log.open("wb") as out:
        # In a session of its own: Ctrl-C is for the clients, and the server is stopped by its id.
        process = subprocess.Popen(list(map(str, command)), env=env, cwd=folder, stdout=out, stderr=out, start_new_session=True)
        try:
            runner.wait_until(lambda: is_healthy(base), process, log)
            yield base
        finally:
            process.terminate()
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()


def is_healthy(base: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(OSError), direct.open(f"{base}/health", timeout=5) as answer:
        return answer.status == 200
    return False
