"""What the scripts have in common that run a command beside a server of their own: mlflow/serve.py, postgres/serve.py."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

START_LIMIT_S = 120
STOP_LIMIT_S = 10


class Runner:
    """Runs one program after another until a signal ends it all.

    The signals never interrupt our own code: each is noted, passed on, and looked at between two steps. So no moment
    is left in which one could leave a server behind.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.signal: int | None = None
        self.process: subprocess.Popen[str] | None = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: object) -> None:
        self.signal = number
        # The terminal has already sent Ctrl-C to the program.
        if self.process and number != signal.SIGINT:
            self.process.send_signal(number)

    def say(self, text: str) -> None:
        print(f"{self.name}: {text}", file=sys.stderr, flush=True)

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
            self.say(f"{command[0]} cannot be run: {error.strerror}")
            sys.exit(127)
        # A signal may have come before there was a process to pass it on to.
        if self.signal:
            self.process.terminate()
        output, _ = self.process.communicate()
        # Shells say 128 + signal for a program that a signal ended.
        status = self.process.returncode
        self.process = None
        return (status if status >= 0 else 128 - status), output or ""

    def wait_until(self, is_up: Callable[[], bool], server: subprocess.Popen[bytes], log: Path) -> None:
        """Waits until the server answers; ends this script with the end of the server's log when it does not."""
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline and server.poll() is None:
            self.check()
            if is_up():
                return
            time.sleep(0.1)
        why = f"did not answer within {START_LIMIT_S} s" if server.poll() is None else f"ended with {server.returncode}"
        tail = "".join(log.read_text(errors="replace").splitlines(keepends=True)[-30:])
        sys.exit(f"{self.name}: the server {why}; {log} ends so:\n{tail}")


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The script's own arguments, and as `command` what follows the first `--`."""
    # Split here: argparse treats a second `--`, that of a nested call, in a way that changes with Python's version.
    own, dashes, command = sys.argv[1:], "--", []
    if dashes in own:
        at = own.index(dashes)
        own, command = own[:at], own[at + 1 :]
    args = parser.parse_args(own)
    if not command:
        parser.error("a COMMAND is needed after --")
    args.command = command
    return args


def environment_without(*prefixes: str) -> dict[str, str]:
    """The environment less what is set for other servers and their clients."""
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
