"""One HTTP call at a time, and what is told of many."""

import http.client
import json
import statistics
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field

COLD = {"cache-control": "no-cache"}


@dataclass
class Answer:
    """What a call gave: how long it took in ms, to its first byte and to its end."""

    took: float
    first_byte: float
    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass
class Call:
    """A request to a server."""

    base: str
    path: str
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)

    def __call__(self) -> Answer:
        """Made on a connection of its own and read to its end; anything but 200 is an error of the benchmark."""
        address = urllib.parse.urlsplit(self.base)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=120)
        begun = time.perf_counter()
        if self.body is None:
            connection.request("GET", self.path, headers=self.headers)
        else:
            headers = {"content-type": "application/json"} | self.headers
            connection.request("POST", self.path, json.dumps(self.body), headers)
        answer = connection.getresponse()
        first = (time.perf_counter() - begun) * 1000
        text = answer.read()
        took = (time.perf_counter() - begun) * 1000
        connection.close()
        assert answer.status == 200, (self.base, self.path, answer.status, text[:300])
        return Answer(took, first, answer.status, answer.headers, text)

    def cold(self) -> "Call":
        """The same past the cache."""
        return Call(self.base, self.path, self.body, self.headers | COLD)


def in_turns(calls: list[Call], rounds: int) -> list[list[float]]:
    """Milliseconds of each call, made one after the other as often as that, each time another one first: all of them find the
    machine alike."""
    times: list[list[float]] = [[] for _ in calls]
    for round_ in range(rounds):
        for step in range(len(calls)):
            at = (round_ + step) % len(calls)
            times[at].append(calls[at]().took)
    return times


def is_up(base: str) -> bool:
    """Whether anything answers there, whatever it says."""
    address = urllib.parse.urlsplit(base)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=5)
    try:
        connection.request("GET", "/health")
        connection.getresponse().read()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def quantile(times: list[float], percent: int) -> float:
    if len(times) < 2:
        return times[0]
    return statistics.quantiles(times, n=100, method="inclusive")[percent - 1]


def chunks(items: list[str], size: int) -> Iterator[list[str]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]
