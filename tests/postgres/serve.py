#!/usr/bin/env python3
"""Runs a command beside a real PostgreSQL server.

    serve.py [--env-name TEST_POSTGRES_URL] -- COMMAND...

The command finds the server's URL in its environment: a free loopback port, a superuser with a random password, the
database `postgres`, UTF-8. Where there is no PostgreSQL it is installed, as Debian has it.

However the command ends, the server is stopped and its data are thrown away. Ctrl-C is the command's to handle,
SIGTERM and SIGHUP are passed on to it, and its exit status is ours.
"""

import argparse
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from beside import STOP_LIMIT_S, Runner, environment_without, free_port, parse  # noqa: E402

USER = "trace"
PROGRAMS = ("initdb", "postgres", "pg_isready")
DEBIAN = Path("/usr/lib/postgresql")
CLUSTERS = Path("/etc/postgresql-common/createcluster.conf")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], usage=__doc__.splitlines()[2].strip())
    parser.add_argument("--env-name", default="TEST_POSTGRES_URL", help="the variable that holds the server's URL")
    args = parse(parser)
    runner = Runner("postgres")
    programs = installed() or install(runner)
    with contextlib.ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(temporary))
        url = stack.enter_context(server(programs, folder, runner))
        return runner.run(args.command, env=os.environ | {args.env_name: url})[0]


def installed() -> Path | None:
    """The folder of PostgreSQL's programs: in PATH, else where Debian has them, the newest first."""
    versions = sorted((path for path in DEBIAN.glob("*") if path.name.isdigit()), key=lambda path: -int(path.name))
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    for folder in [*folders, *(version / "bin" for version in versions)]:
        if all(os.access(folder / name, os.X_OK) for name in PROGRAMS):
            return folder
    return None


def install(runner: Runner) -> Path:
    if not shutil.which("apt-get"):
        sys.exit("postgres: there is neither initdb nor apt-get; install PostgreSQL and put its programs into PATH")
    runner.say("installing PostgreSQL (once)")
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-y", "-o", "DPkg::Lock::Timeout=120"]
    add, steps = [*apt, "install", "--no-install-recommends"], [[*apt, "update"]]
    # Debian would make a cluster and start it. Who had its settings before us has decided that already.
    if not CLUSTERS.exists():
        none = "s/^#? *create_main_cluster.*/create_main_cluster = false/"
        steps += [[*add, "postgresql-common"], [*sudo, "sed", "-i", "-E", none, CLUSTERS]]
    steps += [[*add, "postgresql"]]
    for step in steps:
        status, _ = runner.run(step, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        runner.check()
        if status:
            sys.exit(f"postgres: {' '.join(map(str, step))} failed with {status}")
    return installed() or sys.exit(f"postgres: the package is installed, and yet {DEBIAN}/*/bin has no initdb")


@contextlib.contextmanager
def server(programs: Path, folder: Path, runner: Runner) -> Iterator[str]:
    """A PostgreSQL server on a free loopback port, with all its data in one folder."""
    # Settings for other servers and their clients are not for this one.
    options = {"cwd": folder, "env": environment_without("PG", "LC_") | {"LC_ALL": "C"}, **unprivileged(folder)}
    data, log, port, password = folder / "data", folder / "postgres.log", free_port(), "planted-" + secrets.token_urlsafe()
    make_cluster(programs, data, password, options, runner)
    # No socket file: the port, which wants the password, is the only way in.
    settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "max_connections": 200}
    command = [programs / "postgres", "-D", data, *(f"--{name}={value}" for name, value in settings.items())]
    with log.open("wb") as out:
        # In a session of its own: Ctrl-C is for the command.
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True, **options)
        try:
            ready = [programs / "pg_isready", "--quiet", "--host=127.0.0.1", f"--port={port}"]
            runner.wait_until(lambda: subprocess.run(ready, env=options["env"]).returncode == 0, process, log)
            runner.say(f"PostgreSQL {version(programs)} on 127.0.0.1:{port}")
            yield f"postgres://{USER}:{password}@127.0.0.1:{port}/postgres"
        finally:
            stop(process)


def unprivileged(folder: Path) -> dict[str, Any]:
    """How to start a program that refuses to run as root; the folder becomes its own."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            os.chown(folder, user.pw_uid, user.pw_gid)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    sys.exit("postgres: it does not run as root, and there is neither a user postgres nor nobody")


def make_cluster(programs: Path, data: Path, password: str, options: dict[str, Any], runner: Runner) -> None:
    # In a folder that nobody else can enter.
    given = data.with_name("password")
    given.write_text(password)
    given.chmod(0o644)
    command = [programs / "initdb", f"--pgdata={data}", f"--username={USER}", f"--pwfile={given}"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
    # It is chatty; what it says matters only when it fails.
    status, output = runner.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    runner.check()
    if status:
        sys.exit(f"postgres: initdb failed:\n{output}")
    given.unlink()


def version(programs: Path) -> str:
    told = subprocess.run([programs / "postgres", "--version"], stdout=subprocess.PIPE, text=True).stdout
    return told.split()[2]


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stops the server: without waiting for clients, then without tidying up, then at once.

    Only the last leaves its workers to notice by themselves; they are in no process group that we could stop.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_LIMIT_S)
            return


if __name__ == "__main__":
    sys.exit(main())
