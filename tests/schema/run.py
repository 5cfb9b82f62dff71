#!/usr/bin/env python3
"""Fuzzes every route of a trace-server as its own OpenAPI document describes it, before the MLflow of the environment.

    tests/mlflow/serve.py -- tests/schema/run.py BINARY [--examples 12] [--seed 1] [--as developer|reviewer] [-- OPTION...]

Twice, on a server and reviews of its own each: as a developer, who may do everything, and as a reviewer behind a
trusted proxy, who must see nothing that is not theirs. Cases are the same for the same seed. For longer:
SCHEMA_EXAMPLES=200 make schema; options after `--` are schemathesis's, such as `-- --include-operation-id get_trace`.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))
import known  # noqa: E402
from beside import STOP_LIMIT_S, Runner, environment_without, free_port  # noqa: E402

CHECKS = [
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "positive_data_acceptance", "missing_required_header",
    "unsupported_method", "allow_header_conformance", "use_after_free", "ensure_resource_availability", "every_line_is_a_span",
]  # fmt: skip
# What a log must not say however the server was asked.
TROUBLE = ("a handler panicked", "panicked at", "stack overflow")


def main() -> int:
    args = parse_args()
    runner = Runner("schema")
    venv = runner.run([HERE.parent / "venv.sh", "schema", HERE / "requirements.txt", ROOT / "target/schema/venv"], stdout=subprocess.PIPE)
    if venv[0]:
        return venv[0]
    args.python = Path(venv[1].strip()) / "bin" / "python"
    roles = [args.role] if args.role else ["developer", "reviewer"]
    # The second runs however the first ends.
    statuses = [fuzz_as(role, args, runner) for role in roles]
    if any(statuses):
        runner.say(f"once more: SCHEMA_SEED={args.seed} SCHEMA_EXAMPLES={args.examples} make schema")
    return max(statuses)


def parse_args() -> argparse.Namespace:
    own, dashes, options = sys.argv[1:], "--", []
    if dashes in own:
        at = own.index(dashes)
        own, options = own[:at], own[at + 1 :]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], usage=__doc__.splitlines()[2].strip())
    parser.add_argument("binary", type=Path)
    parser.add_argument("--examples", type=int, default=int(os.environ.get("SCHEMA_EXAMPLES", "12")), help="cases of each route, at most, beside those that are always tried")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SCHEMA_SEED", "1")), help="another one, other cases")
    parser.add_argument("--as", dest="role", choices=["developer", "reviewer"], help="as one of them only")
    args = parser.parse_args(own)
    args.options = options
    return args


def fuzz_as(role: str, args: argparse.Namespace, runner: Runner) -> int:
    seed = json.loads(Path(os.environ["MLFLOW_SEED_FILE"]).read_text())
    with tempfile.TemporaryDirectory(prefix="schema-", ignore_cleanup_errors=True) as name, server(args.binary, Path(name), runner) as (base, log):
        folder = Path(name)
        dictionaries = known.prepare(base, seed)
        (folder / "known.json").write_text(json.dumps(dictionaries))
        known.write(folder / "schemathesis.toml", HERE / "schemathesis.toml", dictionaries)
        user = known.DEVELOPER if role == "developer" else known.REVIEWER
        # A reviewer is refused most of it at the door: fewer cases tell as much.
        examples = args.examples if role == "developer" else max(args.examples // 3, 1)
        phases = "examples,coverage,fuzzing,stateful" if role == "developer" else "examples,fuzzing"
        runner.say(f"as a {role}: {examples} cases of each route, seed {args.seed}")
        command = [
            args.python, "-m", "schemathesis.cli", "--config-file", folder / "schemathesis.toml", "run", f"{base}/openapi.json",
            "--seed", str(args.seed), "--max-examples", str(examples), "--phases", phases, "--no-color",
            "--checks", ",".join([*CHECKS, *(["nothing_of_others"] if role == "reviewer" else [])]),
            "--suppress-health-check", "all", "--request-timeout", "30", "--header", f"x-forwarded-email: {user}", *args.options,
        ]  # fmt: skip
        env = environment_without("SCHEMATHESIS") | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "SCHEMA_KNOWN": str(folder / "known.json")}
        env |= {name: f"127.0.0.1,{os.environ.get(name, '')}" for name in ("no_proxy", "NO_PROXY")}
        status = runner.run(command, env=env, cwd=folder)[0]
        return status or trouble(base, log, runner)


@contextlib.contextmanager
def server(binary: Path, folder: Path, runner: Runner) -> Iterator[tuple[str, Path]]:
    """A trace-server on a free loopback port with reviews of its own, stopped by its id: where it answers, and its log."""
    port, log = free_port(), folder / "trace-server.log"
    base = f"http://127.0.0.1:{port}"
    env = environment_without("TRACE_SERVER", "DATABRICKS", "DATABASE_URL", "MLFLOW")
    env |= {"PORT": str(port), "DATABASE_URL": f"sqlite://{folder}/reviews.db", "TRACE_SERVER_LOG": "info"}
    env |= {name: os.environ[name] for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID")}
    env |= {"TRACE_SERVER_TRUST_PROXY": "true", "DEVELOPERS": known.DEVELOPER}
    with log.open("wb") as out:
        process = subprocess.Popen([binary.resolve()], env=env, cwd=folder, stdout=out, stderr=out, start_new_session=True)
        try:
            runner.wait_until(lambda: is_healthy(base), process, log)
            yield base, log
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


def trouble(base: str, log: Path, runner: Runner) -> int:
    """Whether the server has come through it: it answers, and its log tells of nothing that must not happen."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if any(word in line for word in TROUBLE)]
    for line in lines:
        runner.say(line)
    if not is_healthy(base):
        runner.say("the server does not answer any more")
        return 1
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
