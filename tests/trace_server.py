"""A trace-server for the time of a block, where a script asks one: clients/run.py, schema/run.py."""

import contextlib
import os
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from beside import STOP_LIMIT_S, Runner, free_port

# A proxy that the environment names knows nothing of our loopback.
LOOPBACK = {name: f"127.0.0.1,{os.environ.get(name, '')}" for name in ("no_proxy", "NO_PROXY")}


@contextlib.contextmanager
def running(command: Sequence[object], env: dict[str, str], log: Path, runner: Runner) -> Iterator[str]:
    """On a free loopback port, in the log's folder, stopped by its id. Where it answers."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with log.open("wb") as out:
        # In a session of its own: Ctrl-C is for who asks it.
        process = subprocess.Popen(
            list(map(str, command)), env=env | {"PORT": str(port)}, cwd=log.parent, stdout=out, stderr=out, start_new_session=True
        )
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
