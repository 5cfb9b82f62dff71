#!/usr/bin/env python3
"""Holds what integrators are given against a running server: the OpenAPI document, the clients, the examples.

    tests/clients/run.py BINARY

The document is linted; a TypeScript client's types are made from it and the example is checked against them; both examples are
run against the demo; the document's own examples are compared with what the demo answers. That the linter and the compiler
would notice a fault is seen on documents with one. Needs node and npm (`tests/debian.py node=nodejs npm=npm`).
"""

import contextlib
import filecmp
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))
import demo  # noqa: E402
import problems  # noqa: E402
import record  # noqa: E402
from beside import Runner, environment_without  # noqa: E402
from trace_server import LOOPBACK  # noqa: E402

DOCUMENT = ROOT / "openapi" / "openapi.json"
TYPESCRIPT = ROOT / "clients" / "typescript"
PYTHON = ROOT / "clients" / "python"
BUILT = ROOT / "target" / "clients"
# What Debian 12 has, and the least that the tools in package.json run on.
NODE = (18, 17)
# Tools of others that would report to their makers, or ask for newer ones.
QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_UPDATE_NOTIFIER": "1", "NO_COLOR": "1"}


def main() -> int:
    binary, runner = Path(sys.argv[1]), Runner("clients")
    BUILT.mkdir(parents=True, exist_ok=True)
    clients = Clients(runner)
    clients.install()
    clients.lint(DOCUMENT)
    clients.build()
    clients.notice_faults()
    with tempfile.TemporaryDirectory(prefix="clients-", ignore_cleanup_errors=True) as folder:
        compare(binary, Path(folder), runner)
    with tempfile.TemporaryDirectory(prefix="clients-", ignore_cleanup_errors=True) as folder:
        with demo.demo(binary, Path(folder), runner) as base:
            clients.run(base)
    runner.say("the document, its examples and both clients are as the server is")
    return 0


class Clients:
    """What there is under clients/, and the tools for it."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.env = environment_without("TRACE_SERVER") | QUIET | LOOPBACK
        self.python = Path()

    def install(self) -> None:
        """The tools at their pinned versions, when they are not there yet."""
        self.check_node()
        lock, installed = TYPESCRIPT / "package-lock.json", TYPESCRIPT / "node_modules" / ".installed-lock.json"
        if not installed.exists() or not filecmp.cmp(lock, installed, shallow=False):
            self.runner.say("installing package-lock.json (about a minute, once)")
            self.must(["npm", "ci", "--no-progress", "--loglevel=error"], TYPESCRIPT)
            shutil.copyfile(lock, installed)
        requirements = BUILT / "requirements.txt"
        requirements.write_text((PYTHON / "requirements.txt").read_text() + (HERE / "requirements.txt").read_text())
        command = [HERE.parent / "venv.sh", "clients", requirements, BUILT / "venv"]
        self.python = Path(self.must(command, ROOT, stdout=subprocess.PIPE).strip()) / "bin" / "python"

    def check_node(self) -> None:
        status, version = self.runner.run(["node", "--version"], stdout=subprocess.PIPE)
        if status or tuple(map(int, version.lstrip("v").split(".")[:2])) < NODE:
            sys.exit(f"clients: node {'.'.join(map(str, NODE))} or newer is needed, not {version.strip() or 'none'}")

    def lint(self, document: Path) -> None:
        self.must(self.linter(document), TYPESCRIPT)

    def build(self) -> None:
        """The types anew, then the example, which must be right by them; the Python example by its own annotations."""
        self.must(["npm", "run", "--silent", "generate"], TYPESCRIPT)
        self.must(["npm", "run", "--silent", "check"], TYPESCRIPT)
        self.must(["npm", "run", "--silent", "build"], TYPESCRIPT)
        mypy = [self.python, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", BUILT / "mypy", PYTHON]
        self.must(mypy, ROOT)

    def run(self, base: str) -> None:
        env = self.env | {"TRACE_SERVER_URL": base}
        said = self.must(["npm", "run", "--silent", "start"], TYPESCRIPT, stdout=subprocess.PIPE, env=env)
        expect("labels given: helpful, tone, problems, expected_answer", said)
        expect("RESOURCE_NOT_FOUND: there is no trace tr-unknown", said)
        label = [self.python, PYTHON / "label_traces.py", "--page-size", "3"]
        said = self.must(label, ROOT, stdout=subprocess.PIPE, env=env)
        expect("labeled 3", said)
        # What is labeled is not labeled again, and what is wrong is said and ends in failure.
        expect("labeled 0", self.must(label, ROOT, stdout=subprocess.PIPE, env=env))
        status, said = self.runner.run([*label, "--filter", "x = 1"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        expect("VALIDATION_ERROR", said)
        expect("1", str(status))

    def notice_faults(self) -> None:
        """A check that cannot fail checks nothing."""

        def without_summary(document: dict[str, Any]) -> None:
            del document["paths"]["/api/traces/{trace_id}"]["get"]["summary"]

        def with_wrong_example(document: dict[str, Any]) -> None:
            answer = document["paths"]["/api/user/me"]["get"]["responses"]["200"]["content"]["application/json"]
            answer["example"]["userName"] = 7

        def with_other_name(document: dict[str, Any]) -> None:
            info = document["components"]["schemas"]["TraceInfo"]
            info["properties"]["preview"] = info["properties"].pop("request_preview")

        with tempfile.TemporaryDirectory(dir=BUILT) as folder:
            self.must_fail(self.linter(altered(without_summary, Path(folder))), "operation-summary")
            self.must_fail(self.linter(altered(with_wrong_example, Path(folder))), "no-invalid-media-type-examples")
            copy = Path(folder) / "typescript"
            kept = shutil.ignore_patterns("node_modules", "generated", "dist")
            shutil.copytree(TYPESCRIPT, copy, ignore=kept)
            (copy / "node_modules").symlink_to(TYPESCRIPT / "node_modules")
            document = altered(with_other_name, Path(folder))
            self.must(["npx", "--no", "openapi-typescript", document, "--output", "generated/api.d.ts"], copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            self.must_fail(["npm", "run", "--silent", "check"], "'request_preview' does not exist", copy)

    def linter(self, document: Path) -> list[object]:
        config = ROOT / "openapi" / "redocly.yaml"
        return ["npx", "--no", "redocly", "lint", "--config", config, "--format", "stylish", document]

    def must(self, command: list[object], cwd: Path, **options: Any) -> str:
        options = {"env": self.env, **options}
        status, said = self.runner.run(list(map(str, command)), cwd=cwd, **options)
        if status:
            sys.exit(f"clients: {' '.join(map(str, command))} ends with {status}\n{said}")
        return said

    def must_fail(self, command: list[object], word: str, cwd: Path = TYPESCRIPT) -> None:
        options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "env": self.env}
        status, said = self.runner.run(list(map(str, command)), cwd=cwd, **options)
        if not status or word not in said:
            sys.exit(f"clients: a fault goes unnoticed, {word!r} is not said by {' '.join(map(str, command))}:\n{said}")


def altered(change: Callable[[dict[str, Any]], None], folder: Path) -> Path:
    """The document with a fault."""
    document = json.loads(DOCUMENT.read_text())
    change(document)
    path = folder / "openapi.json"
    path.write_text(json.dumps(document))
    return path


def compare(binary: Path, folder: Path, runner: Runner) -> None:
    """The committed document with the binary's, its examples with what the demo answers."""
    _, printed = runner.run([binary, "openapi"], stdout=subprocess.PIPE)
    found = [] if printed == DOCUMENT.read_text() else ["openapi/openapi.json is out of date: run `make documents`"]
    with demo.demo(binary, folder, runner) as base:
        with demo.behind_proxy(binary, folder, runner) as proxied:
            found += problems.differences(json.loads(printed), base, proxied)
        shown = json.loads(record.EXAMPLES.read_text())
        found += record.differences(shown, record.record(base, folder))
    if found:
        sys.exit("\n".join(["clients: the document is not true any more; tests/clients/record.py records anew", *found]))


def expect(word: str, said: str) -> None:
    if word not in said:
        sys.exit(f"clients: {word!r} is not in:\n{said}")


if __name__ == "__main__":
    sys.exit(main())
