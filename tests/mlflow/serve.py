#!/usr/bin/env python3
"""Runs a command beside a real MLflow server with sample traces.

    serve.py [--version 3.17.2] [--workers 2] [--data DIR | --store URL] [--no-seed] [--env-prefix MLFLOW] -- COMMAND...

The command finds the server in its environment (PREFIX is MLFLOW unless given):

    PREFIX_TRACKING_URI   the server, on a free loopback port
    PREFIX_EXPERIMENT_ID  the experiment that holds the sample traces
    PREFIX_SEED_FILE      what was seeded, as JSON: ids by name (see seed.py)
    PREFIX_PYTHON         the interpreter that has MLflow's SDK of the same version
    PREFIX_STORE_URI      the database that the server keeps its data in, sqlite:////… or postgresql://…
    PREFIX_ARTIFACTS      the folder that the server keeps its artifacts in

With --no-seed on data that were never seeded, the second and third are not set.

The server keeps its data in SQLite; with --store in a new database on the PostgreSQL server of this URL. In place of
the URL the name of a variable may stand that holds it: `postgres/serve.py -- serve.py --store TEST_POSTGRES_URL -- …`.

However the command ends, the server is stopped; its data are kept only when --data names their place. Ctrl-C is the
command's to handle, SIGTERM and SIGHUP are passed on to it, and its exit status is ours. Two servers at once:
`serve.py -- serve.py --version 2.22.1 --env-prefix MLFLOW2 -- COMMAND`.
"""

import argparse
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from beside import STOP_LIMIT_S, Runner, environment_without, free_port, parse  # noqa: E402

SEEDS = {"3": "seed.py", "2": "seed_v2.py"}

# Where a database is made is told on standard input: an argument would show the password to everyone.
SQL = """
import sys, psycopg2
url, statement = sys.stdin.read().splitlines()
connection = psycopg2.connect(url)
connection.autocommit = True
connection.cursor().execute(statement)
"""


def main() -> int:
    args = parse_args()
    runner = Runner("mlflow")
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
        store = stack.enter_context(database(args, python))
        uri = stack.enter_context(server(args, store, python, runner))
        environment = {"TRACKING_URI": uri, "PYTHON": str(python), "STORE_URI": store}
        environment |= {"ARTIFACTS": str(args.data / "artifacts")}
        seed_file = args.data / "seed.json"
        if not args.no_seed and not seed_file.exists():
            seed(args, python, uri, runner)
        traces = "no"
        if seed_file.exists():
            seeded = json.loads(seed_file.read_text())
            environment |= {"EXPERIMENT_ID": seeded["experiment_id"], "SEED_FILE": str(seed_file)}
            traces = len(seeded["trace_ids"])
        runner.say(f"MLflow {args.version} with {traces} sample traces on {uri}")
        named = {f"{args.env_prefix}_{name}": value for name, value in environment.items()}
        return runner.run(args.command, env=os.environ | named)[0]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], usage=__doc__.splitlines()[2].strip())
    parser.add_argument("--version", default="3.17.2", help="a version that requirements-VERSION.txt pins")
    parser.add_argument("--workers", default=2, type=int, help="processes of the server")
    data = parser.add_mutually_exclusive_group()
    data.add_argument("--data", type=Path, help="where the data are kept; without it they are thrown away")
    data.add_argument("--store", help="a PostgreSQL server, as a URL or the variable that holds one")
    parser.add_argument("--no-seed", action="store_true", help="add no sample traces")
    parser.add_argument("--env-prefix", default="MLFLOW", help="what the variables' names begin with")
    args = parse(parser)
    if not (HERE / f"requirements-{args.version}.txt").exists():
        parser.error(f"no requirements-{args.version}.txt")
    if args.store and "://" not in args.store:
        if args.store not in os.environ:
            parser.error(f"{args.store} is neither a URL nor a variable that is set")
        args.store = os.environ[args.store]
    return args


@contextlib.contextmanager
def database(args: argparse.Namespace, python: Path) -> Iterator[str]:
    """The database of the server as MLflow names it. One on PostgreSQL is new, and dropped in the end."""
    if not args.store:
        yield f"sqlite:///{args.data / 'mlflow.db'}"
        return
    # MLflow's SQLAlchemy knows only the longer of the two names.
    url = urllib.parse.urlsplit(args.store)._replace(scheme="postgresql")
    name = f"mlflow_{secrets.token_hex(8)}"

    def run(statement: str) -> None:
        told = f"{url.geturl()}\n{statement}"
        subprocess.run([python, "-c", SQL], input=told, text=True, check=True, start_new_session=True)

    run(f"CREATE DATABASE {name}")
    try:
        yield url._replace(path=f"/{name}").geturl()
    finally:
        run(f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def server(args: argparse.Namespace, store: str, python: Path, runner: Runner) -> Iterator[str]:
    """An MLflow server on a free loopback port, with its data in this database and its artifacts in one folder."""
    args.data.mkdir(parents=True, exist_ok=True)
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    log = args.data / "mlflow.log"
    command = [
        python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", str(args.workers),
        "--artifacts-destination", args.data / "artifacts",
    ]  # fmt: skip
    # Nothing here needs the server's job runners: eight processes and 3 s more to start. The store is no argument, as
    # it may hold a password; of the drivers for PostgreSQL only the one named is installed.
    store = store.replace("postgresql://", "postgresql+psycopg2://", 1)
    env = without_mlflow() | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_BACKEND_STORE_URI": store}
    with log.open("wb") as out:
        # In a session of its own: Ctrl-C is for the command, and the whole group is stopped by its id.
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out, start_new_session=True)
        try:
            runner.wait_until(lambda: is_healthy(uri), process, log)
            yield uri
        finally:
            stop_group(process)


def without_mlflow() -> dict[str, str]:
    return environment_without("MLFLOW", "_MLFLOW")


def is_healthy(uri: str) -> bool:
    # A proxy that the environment names knows nothing of our loopback.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(OSError), direct.open(f"{uri}/health", timeout=5) as answer:
        return answer.status == 200
    return False


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
    runner.say("seeding sample traces")
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


if __name__ == "__main__":
    sys.exit(main())
