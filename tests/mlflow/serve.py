#!/usr/bin/env python3
"""Runs a command beside a real MLflow server with sample traces.

    serve.py [--version 3.17.2] [--workers 2] [--data DIR] [--no-seed] [--env-prefix MLFLOW] -- COMMAND...

The command finds the server in its environment (PREFIX is MLFLOW unless given):

    PREFIX_TRACKING_URI   the server, on a free loopback port
    PREFIX_EXPERIMENT_ID  the experiment that holds the sample traces
    PREFIX_SEED_FILE      what was seeded, as JSON: ids by name (see seed.py)
    PREFIX_PYTHON         the interpreter that has MLflow's SDK of the same version

With --no-seed on data that were never seeded, the second and third are not set.

However the command ends, the server is stopped; its data are kept only when --data names their place. Ctrl-C is the
command's to handle, SIGTERM and SIGHUP are passed on to it, and its exit status is ours. Two servers at once:
`serve.py -- serve.py --version 2.22.1 --env-prefix MLFLOW2 -- COMMAND`.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
START_LIMIT_S = 120
STOP_LIMIT_S = 10
SEEDS = {"3": "seed.py", "2": "seed_v2.py"}


class Runner:
    """Runs one program after another until a signal ends it all.

    The signals never interrupt our own code: each is noted, passed on, and looked at between two steps. So no moment
    is left in which one could leave a server behind.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.process: subprocess.Popen[str] | None = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: object) -> None:
        self.signal = number
        # The terminal has already sent Ctrl-C to the program.
        if self.process and number != signal.SIGINT:
            self.process.send_signal(number)

    def check(self) -> None:
        """Ends this script when it has been told to."""
        if self.signal:
            sys.exit(128 + self.signal)

    def run(self, command: list[Any], **options: Any) -> tuple[int, str]:
        """Runs a program to its end; its exit status and what it wrote to a pipe."""
        self.check()
        try:
            self.process = subprocess.Popen(command, text=True, **options)
        except OSError as error:
            say(f"{command[0]} cannot be run: {error.strerror}")
            sys.exit(127)
        # A signal may have come before there was a process to pass it on to.
        if self.signal:
            self.process.terminate()
        output, _ = self.process.communicate()
        # Shells say 128 + signal for a program that a signal ended.
        status = self.process.returncode
        self.process = None
        return (status if status >= 0 else 128 - status), output or ""


def main() -> int:
    args = parse_args()
    runner = Runner()
    status, venv = runner.run([HERE / "setup.sh", args.version], stdout=subprocess.PIPE)
    if status:
        return status
    python = Path(venv.strip()) / "bin" / "python"
    with contextlib.ExitStack() as stack:
        if args.data is None:
            temporary = tempfile.TemporaryDirectory(prefix="mlflow-", ignore_cleanup_errors=True)
            args.data = Path(stack.enter_context(temporary))
        # The command may well work in another folder.
        args.data = args.data.resolve()
        discard_half_seeded(args.data)
        uri = stack.enter_context(server(args, python, runner))
        environment = {"TRACKING_URI": uri, "PYTHON": str(python)}
        seed_file = args.data / "seed.json"
        if not args.no_seed and not seed_file.exists():
            seed(args, python, uri, runner)
        traces = "no"
        if seed_file.exists():
            seeded = json.loads(seed_file.read_text())
            environment |= {"EXPERIMENT_ID": seeded["experiment_id"], "SEED_FILE": str(seed_file)}
            traces = len(seeded["trace_ids"])
        say(f"MLflow {args.version} with {traces} sample traces on {uri}")
        named = {f"{args.env_prefix}_{name}": value for name, value in environment.items()}
        return runner.run(args.command, env=os.environ | named)[0]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], usage=__doc__.splitlines()[2].strip())
    parser.add_argument("--version", default="3.17.2", help="a version that requirements-VERSION.txt pins")
    parser.add_argument("--workers", default=2, type=int, help="processes of the server")
    parser.add_argument("--data", type=Path, help="where the data are kept; without it they are thrown away")
    parser.add_argument("--no-seed", action="store_true", help="add no sample traces")
    parser.add_argument("--env-prefix", default="MLFLOW", help="what the variables' names begin with")
    # Split here: argparse treats a second `--`, that of a nested call, in a way that changes with Python's version.
    own, dashes, command = sys.argv[1:], "--", []
    if dashes in own:
        at = own.index(dashes)
        own, command = own[:at], own[at + 1 :]
    args = parser.parse_args(own)
    if not command:
        parser.error("a COMMAND is needed after --")
    if not (HERE / f"requirements-{args.version}.txt").exists():
        parser.error(f"no requirements-{args.version}.txt")
    args.command = command
    return args


@contextlib.contextmanager
def server(args: argparse.Namespace, python: Path, runner: Runner) -> Iterator[str]:
    """An MLflow server on a free loopback port, with all its data in one folder."""
    args.data.mkdir(parents=True, exist_ok=True)
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    log = args.data / "mlflow.log"
    command = [
        python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", str(args.workers),
        "--backend-store-uri", f"sqlite:///{args.data / 'mlflow.db'}",
        "--artifacts-destination", args.data / "artifacts",
    ]  # fmt: skip
    # Nothing here needs the server's job runners: eight processes and 3 s more to start.
    env = without_mlflow() | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with log.open("wb") as out:
        # In a session of its own: Ctrl-C is for the command, and the whole group is stopped by its id.
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out, start_new_session=True)
        try:
            wait_until_healthy(process, uri, log, runner)
            yield uri
        finally:
            stop_group(process)


def without_mlflow() -> dict[str, str]:
    """The environment less what is set for other servers and their clients."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "_MLFLOW"))}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until_healthy(process: subprocess.Popen[bytes], uri: str, log: Path, runner: Runner) -> None:
    # A proxy that the environment names knows nothing of our loopback.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        runner.check()
        with contextlib.suppress(OSError):
            with direct.open(f"{uri}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        time.sleep(0.1)
    why = f"did not answer within {START_LIMIT_S} s" if process.poll() is None else f"ended with {process.returncode}"
    tail = "".join(log.read_text(errors="replace").splitlines(keepends=True)[-30:])
    sys.exit(f"mlflow: the server {why}; {log} ends so:\n{tail}")


def stop_group(process: subprocess.Popen[bytes]) -> None:
    """Stops the server with all its workers, which may outlive the process that started them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + STOP_LIMIT_S
        try:
            os.killpg(process.pid, number)
            while time.monotonic() < deadline:
                # Until it is waited for, an ended process still counts as one of its group.
                process.poll()
                os.killpg(process.pid, 0)
                time.sleep(0.02)
        except ProcessLookupError:
            return


def seed(args: argparse.Namespace, python: Path, uri: str, runner: Runner) -> None:
    say("seeding sample traces")
    script = HERE / SEEDS[args.version.split(".")[0]]
    env = without_mlflow() | {"MLFLOW_TRACKING_URI": uri, "MLFLOW_LOGGING_LEVEL": "WARNING"}
    # The SDK, too, must not look for our loopback behind a proxy.
    env |= {name: f"127.0.0.1,{os.environ.get(name, '')}" for name in ("no_proxy", "NO_PROXY")}
    mark = args.data / "seeding"
    mark.touch()
    # The SDK is chatty; what it says matters only when it fails.
    command = [python, script, "--out", args.data / "seed.json"]
    status, output = runner.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    runner.check()
    if status:
        sys.exit(f"mlflow: seeding failed:\n{output}")
    mark.unlink()


def discard_half_seeded(data: Path) -> None:
    """Seeding that was cut short leaves traces that no seed.json names; only then are data thrown away."""
    if (data / "seeding").exists():
        shutil.rmtree(data / "artifacts", ignore_errors=True)
        for name in ("mlflow.db", "seed.json", "seeding"):
            (data / name).unlink(missing_ok=True)


def say(text: str) -> None:
    print(f"mlflow: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
