"""Load by wrk: a plan of requests drawn by weight, sent over many connections at once; over HTTP/2 by h2load."""

import json
import os
import re
import resource
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from calls import quantile
from servers import OF_LOAD, Server, on

SCRIPT = Path(__file__).parent / "load.lua"


@dataclass
class Request:
    """A request of a plan, drawn as often as its weight says."""

    path: str
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    weight: float = 1.0


@dataclass
class Load:
    """What a run of load told, times in ms."""

    median: float
    p95: float
    p99: float
    max: float
    requests: int
    seconds: float
    # Of all answers with their heads.
    bytes: int
    # Answers that were no success.
    refused: int
    # Connections that failed, and answers that did not come in time.
    broken: int
    # By status and `x-cache`, where the plan was watched.
    counted: dict[str, int]
    # Of the server, and of what sent the load.
    cpu_s: float
    load_cpu_s: float
    rss_mib: float

    @property
    def load_share(self) -> float:
        """Of a processor: near 1, the load is what holds the server back."""
        return self.load_cpu_s / self.seconds

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def load(
    server: Server,
    requests: list[Request],
    connections: int = 32,
    seconds: int = 3,
    think_ms: int = 0,
    watch: bool = False,
    seed: int = 1,
) -> Load:
    """Sends requests for so long; who thinks waits before each. One thread sends: it shares the machine with the server."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as plan:
        listed = ",\n".join(lua(request) for request in requests)
        plan.write(f"return {{think_ms={think_ms},watch={str(watch).lower()},seed={seed},requests={{{listed}}}}}")
        plan.flush()
        command = [*placed(server), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", SCRIPT, server.base]
        told, cost = costing(server, command, os.environ | {"LOAD_PLAN": plan.name})
    return Load(**json.loads(told.strip().splitlines()[-1]), **cost)


def costing(server: Server, command: list[str], env: dict[str, str]) -> tuple[str, dict[str, float]]:
    """What the command says, and what it cost the server and itself."""
    before, load_before = server.cpu_s(), children_s()
    told = subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout
    cost = {"cpu_s": server.cpu_s() - before, "load_cpu_s": children_s() - load_before}
    return told, cost | {"rss_mib": server.rss_mib()}


def children_s() -> float:
    """Seconds of processor time of all that was run and has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def load_h2(server: Server, request: Request, connections: int = 4, streams: int = 8, seconds: int = 3) -> Load:
    """The same request over HTTP/2, many at once on each connection, by h2load."""
    with tempfile.TemporaryDirectory() as folder:
        log, body = Path(folder, "log"), Path(folder, "body")
        command = [*placed(server), "h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{seconds}", f"--log-file={log}"]
        headers = dict(request.headers)
        if request.body is not None:
            headers["content-type"] = "application/json"
            body.write_text(json.dumps(request.body))
            command.append(f"--data={body}")
        command += [f"--header={name}: {value}" for name, value in headers.items()]
        told, cost = costing(server, [*command, server.base + request.path], os.environ)
        # One line for each answer: when it began, its status, how long it took in µs.
        lines = [line.split() for line in log.read_text().splitlines()]
    times = [int(took) / 1000 for _, _, took in lines]
    refused = sum(not status.startswith("2") for _, status, _ in lines)
    received = int(re.search(r"traffic: .*\((\d+)\) total", told)[1])
    spread = [quantile(times, percent) for percent in (50, 95, 99)]
    return Load(*spread, max(times), len(times), seconds, received, refused, broken=0, counted={}, **cost)


def placed(server: Server) -> list[str]:
    return on(OF_LOAD) if server.apart else []


def lua(request: Request) -> str:
    headers, body, method = dict(request.headers), "nil", "GET"
    if request.body is not None:
        headers["content-type"], method = "application/json", "POST"
        body = f"[==[{json.dumps(request.body)}]==]"
    listed = ",".join(f'["{name}"]="{value}"' for name, value in headers.items())
    return f'{{weight={request.weight},method="{method}",path=[==[{request.path}]==],body={body},headers={{{listed}}}}}'
