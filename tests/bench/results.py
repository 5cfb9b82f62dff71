"""What was measured: one row for each case and server, and the bars that are to be met."""

import dataclasses
import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from calls import quantile
from load import Load


@dataclass
class Row:
    """A case on one server. Times in ms; what was not measured is None."""

    group: str
    case: str
    server: str
    median: float | None = None
    p95: float | None = None
    p99: float | None = None
    # How many times it was asked.
    times: int | None = None
    # Requests in a second.
    rate: float | None = None
    # Of one answer; under load with its head.
    bytes: int | None = None
    # Processor time of the server for one request, in ms.
    cpu: float | None = None
    # Resident memory of the server afterwards, in MiB.
    rss: float | None = None
    # What else is to be said.
    note: str = ""


@dataclass
class Bar:
    """Something that is to be shown, and whether it was."""

    what: str
    wanted: str
    got: str
    met: bool


@dataclass
class Results:
    """All of a run."""

    machine: dict[str, str] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)

    def calls(self, group: str, case: str, server: str, times: list[float], **more: object) -> Row:
        """A row of single calls."""
        spread = {"median": statistics.median(times), "times": len(times)}
        # Of fewer, they are the slowest one.
        spread |= {f"p{percent}": quantile(times, percent) for percent, least in ((95, 20), (99, 100)) if len(times) >= least}
        return self._add(Row(group, case, server, **spread, **more))

    def load(self, group: str, case: str, server: str, loads: list[Load], **more: object) -> Row:
        """A row of runs of load: the medians of their figures."""
        middle = {name: statistics.median(getattr(one, name) for one in loads) for name in ("median", "p95", "p99", "rate")}
        requests = sum(one.requests for one in loads)
        more = {
            "times": requests,
            "bytes": sum(one.bytes for one in loads) // max(requests, 1),
            "cpu": sum(one.cpu_s for one in loads) * 1000 / max(requests, 1),
            "rss": loads[-1].rss_mib,
        } | more
        busy = statistics.median(one.load_share for one in loads)
        if busy > 0.9:
            more["note"] = ", ".join(filter(None, (more.get("note"), f"the load takes {busy:.0%} of its processor")))
        return self._add(Row(group, case, server, **middle, **more))

    def add(self, group: str, case: str, server: str, **figures: object) -> Row:
        return self._add(Row(group, case, server, **figures))

    def bar(self, what: str, wanted: str, got: str, met: bool) -> None:
        self.bars.append(Bar(what, wanted, got, met))
        print(f"  {'met   ' if met else 'MISSED'} {what}: {got} (bar {wanted})", flush=True)

    def _add(self, row: Row) -> Row:
        self.rows.append(row)
        figures = {name: value for name, value in dataclasses.asdict(row).items() if isinstance(value, float | int)}
        told = "  ".join(f"{name} {value:,.3g}" for name, value in figures.items())
        print(f"{row.group}: {row.case}, {row.server}: {told} {row.note}", flush=True)
        return row

    def save(self, file: Path) -> None:
        file.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n")
