#!/usr/bin/env python3
"""Runs a command beside a real MLflow server with sample traces.

    serve.py [--version 3.17.2] [--workers 2] [--data DIR] [--env-prefix MLFLOW] -- COMMAND...

The command finds the server in its environment (PREFIX is MLFLOW unless given):

    PREFIX_TRACKING_URI   the server, on a free loopback port
    PREFIX_EXPERIMENT_ID  the experiment that holds the sample traces
    PREFIX_SEED_FILE      what was seeded, as JSON: ids by name (see seed.py)
    PREFIX_PYTHON         the interpreter that has MLflow's SDK of the same version

However the command ends, the server is stopped; its data are kept only when --data names their place. Two servers
at once: `serve.py -- serve.py --version 2.22.1 --env-prefix MLFLOW2 -- COMMAND`.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
START_LIMIT_S = 120
STOP_LIMIT_S = 10
SEEDS = {"3": "seed.py", "2": "seed_v2.py"}


def main() -> int:
    args = parse_args()
    # A SIGTERM must unwind as Ctrl-C does, so that the server is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    venv = subprocess.run([HERE / "setup.sh", args.version], check=True, stdout=subprocess.PIPE, text=True)
    python = Path(venv.stdout.strip()) / "bin" / "python"
    with contextlib.ExitStack() as stack:
        if args.data is None:
            args.data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mlflow-")))
        args.data.mkdir(parents=True, exist_ok=True)
        uri = stack.enter_context(server(args, python))
        seed_file = seeded(args, python, uri)
        seed = json.loads(seed_file.read_text())
        environment = {
            "TRACKING_URI": uri,
            "EXPERIMENT_ID": seed["experiment_id"],
            "SEED_FILE": str(seed_file),
            "PYTHON": str(python),
        }
        say(f"MLflow {args.version} with {len(seed['trace_ids'])} sample traces on {uri}")
        return run(args.command, {f"{args.env_prefix}_{name}": value for name, value in environment.items()})


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Runs a command beside a real MLflow server with sample traces.")
    parser.add_argument("--version", default="3.17.2", help="a version that requirements-VERSION.txt pins")
    parser.add_argument("--workers", default=2, type=int, help="processes of the server")
    parser.add_argument("--data", type=Path, help="where the data are kept; without it they are thrown away")
    parser.add_argument("--env-prefix", default="MLFLOW", help="what the variables' names begin with")
    parser.add_argument("command", nargs="+", metavar="COMMAND")
    return parser.parse_args()


@contextlib.contextmanager
def server(args: argparse.Namespace, python: Path) -> Iterator[str]:
    """An MLflow server on a free loopback port, with all its data in one folder."""
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    log = args.data / "mlflow.log"
    command = [
        python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", str(args.workers),
        "--backend-store-uri", f"sqlite:///{args.data / 'mlflow.db'}",
        "--artifacts-destination", args.data / "artifacts",
    ]  # fmt: skip
    # What is set for clients must not lead the server elsewhere.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    with log.open("ab") as out:
        # In a session of its own: Ctrl-C is for the command, and the whole group is stopped by its id.
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out, start_new_session=True)
        try:
            wait_until_healthy(process, uri, log)
            yield uri
        finally:
            stop_group(process)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until_healthy(process: subprocess.Popen[bytes], uri: str, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(urllib.error.URLError, OSError):
            with urllib.request.urlopen(f"{uri}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        time.sleep(0.2)
    tail = "".join(log.read_text(errors="replace").splitlines(keepends=True)[-30:])
    sys.exit(f"mlflow: the server did not start; its log ends so:\n{tail}")


def stop_group(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_LIMIT_S)
            if not group_lives(process.pid):
                return


def group_lives(group: int) -> bool:
    """Whether workers outlive the process that started them; waits a little for them to go."""
    for _ in range(STOP_LIMIT_S * 10):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    return True


def seeded(args: argparse.Namespace, python: Path, uri: str) -> Path:
    """The file that says what was seeded; seeds a folder that has none."""
    seed_file = args.data / "seed.json"
    if not seed_file.exists():
        say("seeding sample traces")
        script = HERE / SEEDS[args.version.split(".")[0]]
        # The SDK is chatty; what it says matters only when it fails.
        env = os.environ | {"MLFLOW_TRACKING_URI": uri, "MLFLOW_LOGGING_LEVEL": "WARNING"}
        seeding = subprocess.run(
            [python, script, "--out", seed_file], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if seeding.returncode != 0:
            sys.exit(f"mlflow: seeding failed:\n{seeding.stdout}")
    return seed_file


def run(command: list[str], environment: dict[str, str]) -> int:
    """Runs the command to its end; an interrupt is its to handle."""
    process = subprocess.Popen(command, env=os.environ | environment)
    try:
        while True:
            try:
                status = process.wait()
                # Shells say 128 + signal for a process that a signal ended.
                return status if status >= 0 else 128 - status
            except KeyboardInterrupt:
                continue
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def say(text: str) -> None:
    print(f"mlflow: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
