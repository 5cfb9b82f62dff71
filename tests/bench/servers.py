"""The servers that are compared, and what their processes cost as the kernel counts it."""

import contextlib
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import debian  # noqa: E402
from beside import environment_without, free_port  # noqa: E402
from calls import is_up  # noqa: E402
from debian import search_path  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
# Where the load is as heavy as what it measures, the server has one processor and the load, which is one thread, another: more
# would wait for the load, and one that shares the processor of the load is measured by when the kernel takes it away.
CPUS = sorted(os.sched_getaffinity(0))
OF_LOAD, OF_SERVERS = CPUS[-1:], CPUS[:1]

PROGRAMS = {"nginx": "nginx-light", "wrk": "wrk", "curl": "curl", "h2load": "nghttp2-client"}

NGINX = """
daemon off; master_process on; worker_processes {workers}; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 8192; multi_accept on; }}
http {{
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; open_file_cache max=1000;
    keepalive_requests 1000000000; default_type application/json; gzip_static on;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    server {{ listen 127.0.0.1:{port} backlog=8192; root {folder}; }}
    server {{ listen 127.0.0.1:{port_h2} http2 backlog=8192; root {folder}; }}
}}
"""


@dataclass
class Server:
    """A server that runs: where it answers, and its first process, or 0 when it is somebody else's."""

    name: str
    base: str
    pid: int
    # Whether it has a processor on which no load runs.
    apart: bool = False

    def processes(self) -> list[int]:
        """It and all that it started."""
        found, children = [self.pid], {}
        for status in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                children.setdefault(int(fields(status)[1]), []).append(int(status.parent.name))
        for pid in found:
            found += children.get(pid, [])
        return found

    def cpu_s(self) -> float:
        """Seconds of processor time so far."""
        times = [fields(Path(f"/proc/{pid}/stat")) for pid in self.processes()]
        return sum(int(one[11]) + int(one[12]) for one in times) / TICKS

    def rss_mib(self, what: str = "VmRSS") -> float:
        """Resident memory now, or with `VmHWM` at its highest since `forget_peak`."""
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in self.processes()]
        return sum(int(re.search(rf"{what}:\s+(\d+)", text)[1]) for text in texts) / 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")


def fields(stat: Path) -> list[str]:
    """Those after the name, which may hold anything."""
    return stat.read_text().rsplit(")", 1)[1].split()


def raise_limits() -> None:
    """Connections by the thousand take more descriptors than a shell allows; what is started from here inherits it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def install() -> None:
    """The ceiling and the load generators, as Debian has them."""
    debian.install(PROGRAMS)


@contextlib.contextmanager
def running(
    name: str, command: list[object], base: str, env: dict[str, str], log: Path, apart: bool = False
) -> Iterator[Server]:
    """A server of this command, once it answers; stopped at the end."""
    command = [*(on(OF_SERVERS) if apart else []), *command]
    with log.open("ab") as out:
        process = subprocess.Popen([str(word) for word in command], env=env, stdout=out, stderr=out)
        try:
            deadline = time.monotonic() + 60
            while not is_up(base):
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"bench: {name} does not answer; {log} says why")
                time.sleep(0.002)
            yield Server(name, base, process.pid, apart)
        finally:
            process.terminate()
            process.wait()


def on(cpus: list[int]) -> list[str]:
    """What makes a command run on these processors alone."""
    return ["taskset", "--cpu-list", ",".join(map(str, cpus))]


@contextlib.contextmanager
def nginx(folder: Path, apart: bool = False) -> Iterator[tuple[Server, Server]]:
    """The ceiling: serves the files of this folder, over HTTP/1.1 and, at the second address, HTTP/2."""
    port, port_h2 = free_port(), free_port()
    config = folder / "nginx.conf"
    workers = len(OF_SERVERS if apart else CPUS)
    config.write_text(NGINX.format(folder=folder, port=port, port_h2=port_h2, workers=workers))
    # Its workers are of another user.
    for one in (folder, folder.parent):
        one.chmod(0o755)
    program = shutil.which("nginx", path=search_path())
    base, log = f"http://127.0.0.1:{port}", folder / "out.log"
    with running("nginx", [program, "-c", config], base, os.environ, log, apart) as server:
        yield server, replace(server, base=f"http://127.0.0.1:{port_h2}")


@contextlib.contextmanager
def floor(folder: Path) -> Iterator[Server]:
    """FastAPI with MLflow's SDK before the same MLflow server."""
    port, python = free_port(), os.environ["MLFLOW_PYTHON"]
    command = [python, "-m", "uvicorn", "--app-dir", Path(__file__).parent, "--port", port, "--log-level", "warning"]
    with running("floor", [*command, "floor:app"], f"http://127.0.0.1:{port}", os.environ, folder / "floor.log") as server:
        yield server


@contextlib.contextmanager
def own(binary: str, folder: Path, apart: bool = False, **settings: str) -> Iterator[Server]:
    """trace-server as it is set by default, but for these settings. Like nginx, it writes no line for each request."""
    port = free_port()
    env = environment_without("TRACE_SERVER") | {"PORT": str(port), "TRACE_SERVER_LOG": "warn"}
    env |= {"DATABASE_URL": f"sqlite://{folder}/reviews.db"} | settings
    base, log = f"http://127.0.0.1:{port}", folder / "trace-server.log"
    with running("trace-server", [binary], base, env, log, apart) as server:
        yield server


def on_database() -> dict[str, str]:
    """Settings that have trace-server read MLflow's database, past the MLflow server."""
    artifacts = {"MLFLOW_ARTIFACTS_DESTINATION": os.environ["MLFLOW_ARTIFACTS"]}
    return {"MLFLOW_TRACKING_URI": os.environ["MLFLOW_STORE_URI"]} | artifacts
