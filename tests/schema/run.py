#!/usr/bin/env python3
"""Fuzzes every route of a trace-server as its own OpenAPI document describes it, before the MLflow of the environment.

    tests/mlflow/serve.py -- tests/schema/run.py BINARY [--examples 10] [--seed 1] [--round NAME] [-- OPTION...]

In three rounds, each on a server and reviews of its own: as a developer, who may do everything; as one on MLflow's own
database; and as a reviewer, who must see nothing that is not theirs. The same seed gives the same cases, of the ids that
this MLflow happens to have. For longer: SCHEMA_EXAMPLES=200 SCHEMA_SEED=7 make schema. What follows `--` is for
schemathesis: `-- --include-operation-id get_trace`.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import known  # noqa: E402
from beside import Runner, environment_without  # noqa: E402
from trace_server import LOOPBACK, is_healthy, running  # noqa: E402

CHECKS = [
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "positive_data_acceptance", "missing_required_header",
    "unsupported_method", "allow_header_conformance", "use_after_free", "ensure_resource_availability", "every_line_is_as_documented",
]  # fmt: skip
# What a log must not say however the server was asked.
TROUBLE = ("a handler panicked", "panicked at", "stack overflow")


@dataclass
class Round:
    """Who asks, before what, and how many of the cases."""

    user: str
    on_database: bool
    phases: str
    part: float
    checks: tuple[str, ...] = ()


ROUNDS = {
    "developer": Round(known.DEVELOPER, False, "examples,coverage,fuzzing,stateful", 1),
    "database": Round(known.DEVELOPER, True, "examples,fuzzing", 1),
    # Most of it is refused at the door: fewer cases tell as much.
    "reviewer": Round(known.REVIEWER, True, "examples,fuzzing,stateful", 0.5, ("nothing_of_others",)),
}


def main() -> int:
    args = parse_args()
    runner = Runner("schema")
    setup = [HERE.parent / "venv.sh", "schema", HERE / "requirements.txt", HERE.parent.parent / "target/schema/venv"]
    status, venv = runner.run(setup, stdout=subprocess.PIPE)
    if status:
        return status
    args.python = Path(venv.strip()) / "bin" / "python"
    failed = [name for name in ROUNDS if args.round in (None, name) and fuzz(name, args, runner)]
    if failed:
        runner.say(f"failed: {', '.join(failed)}; again by SCHEMA_SEED={args.seed} SCHEMA_EXAMPLES={args.examples} make schema")
    return 1 if failed else 0


def parse_args() -> argparse.Namespace:
    own, dashes, options = sys.argv[1:], "--", []
    if dashes in own:
        at = own.index(dashes)
        own, options = own[:at], own[at + 1 :]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], usage=__doc__.splitlines()[2].strip())
    parser.add_argument("binary", type=Path)
    examples, seed = (int(os.environ.get(name, default)) for name, default in (("SCHEMA_EXAMPLES", 10), ("SCHEMA_SEED", 1)))
    parser.add_argument("--examples", type=int, default=examples, help="random cases of each route, beside the systematic ones")
    parser.add_argument("--seed", type=int, default=seed, help="another one gives other cases")
    parser.add_argument("--round", choices=ROUNDS, help="this one only")
    args = parser.parse_args(own)
    args.options = options
    return args


def fuzz(name: str, args: argparse.Namespace, runner: Runner) -> int:
    told = ROUNDS[name]
    seed = json.loads(Path(os.environ["MLFLOW_SEED_FILE"]).read_text())
    examples = max(int(args.examples * told.part), 1)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="schema-", ignore_cleanup_errors=True)))
        base, log = stack.enter_context(server(args.binary, folder, told.on_database, runner))
        known.write(folder, HERE / "schemathesis.toml", known.prepare(base, seed))
        runner.say(f"{name}: {examples} random cases of each route, seed {args.seed}")
        command = [
            args.python, "-m", "schemathesis.cli", "--config-file", folder / "schemathesis.toml", "--no-color",
            "run", f"{base}/openapi.json", "--header", f"x-forwarded-email: {told.user}", "--phases", told.phases,
            "--seed", str(args.seed), "--max-examples", str(examples), "--checks", ",".join((*CHECKS, *told.checks)),
            "--suppress-health-check", "all", "--warnings", "off", "--request-timeout", "30", *args.options,
        ]  # fmt: skip
        env = environment_without("SCHEMATHESIS") | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE)}
        env |= {"SCHEMA_KNOWN": str(folder / "known.json"), **LOOPBACK}
        return runner.run(command, env=env, cwd=folder)[0] or trouble(base, log, runner)


@contextlib.contextmanager
def server(binary: Path, folder: Path, on_database: bool, runner: Runner) -> Iterator[tuple[str, Path]]:
    """A trace-server on a free loopback port with reviews of its own, stopped by its id: where it answers, and its log."""
    log = folder / "trace-server.log"
    env = environment_without("TRACE_SERVER", "DATABRICKS", "DATABASE_URL", "MLFLOW")
    env |= {"DATABASE_URL": f"sqlite://{folder}/reviews.db", "TRACE_SERVER_LOG": "info"}
    env |= {name: os.environ[name] for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID")}
    if on_database:
        env |= {"MLFLOW_TRACKING_URI": os.environ["MLFLOW_STORE_URI"], "MLFLOW_ARTIFACTS_DESTINATION": os.environ["MLFLOW_ARTIFACTS"]}
    env |= {"TRACE_SERVER_TRUST_PROXY": "true", "DEVELOPERS": known.DEVELOPER}
    with running([binary.resolve()], env, log, runner) as base:
        yield base, log


def trouble(base: str, log: Path, runner: Runner) -> int:
    """Whether the server has not come through it well: it must answer, and its log must tell of no fault of ours."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if any(word in line for word in TROUBLE)]
    if not is_healthy(base):
        lines.append("the server does not answer any more")
    for line in lines:
        runner.say(line)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
