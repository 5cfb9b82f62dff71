"""What a run told: whether it is good, as text and as a report with a chart."""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import picture
from asking import Asker
from calls import quantile
from faults import KINDS
from watch import Moment, Watch

# What memory may grow by, from the first third of the time to the last.
GROWTH, GROWTH_MIB = 1.25, 16
# So many more of anything else may be held in the end.
MORE = 4
SHOWN = 200


@dataclass
class Outcome:
    """All of a run."""

    asker: Asker
    watch: Watch
    # After the warm-up and in the end, when nobody asks.
    before: Moment
    after: Moment
    labels: int
    # Writes whose answer was an error, and those of them that were done all the same.
    lost: tuple[int, int]
    # Labels that a stale answer did not have yet.
    stale_without: int
    log: str = ""

    def failures(self) -> list[str]:
        """Why the run is not good."""
        figures, watch = self.asker.figures, self.watch
        first, last = watch.third(0), watch.third(2)
        found = {
            f"{len(figures.wrong)} wrong answers": figures.wrong,
            f"{len(figures.hangs)} answers that did not end in time": figures.hangs,
            f"{len(figures.in_calm)} answers that are not right although nothing is wrong with MLflow": figures.in_calm,
            f"{figures.statuses[500]} answers with status 500": figures.statuses[500],
            f"memory grew from {first:.0f} to {last:.0f} MiB": last > first * GROWTH + GROWTH_MIB,
            f"more is held than before: {'; '.join(grown(self.before, self.after))}": grown(self.before, self.after),
            "the server panicked": "panicked" in self.log,
        }
        return [what for what, is_so in found.items() if is_so]

    def tell(self, report: Path | None) -> None:
        """On standard output; the report as well, where there is to be one."""
        print("\n".join(self.document()))
        figures = self.asker.figures
        for title, lines in (("wrong", figures.wrong), ("without end", figures.hangs), ("not right in calm", figures.in_calm)):
            for line in lines[:SHOWN]:
                print(f"{title}: {line}", file=sys.stderr)
            if len(lines) > SHOWN:
                print(f"{title}: and {len(lines) - SHOWN} more", file=sys.stderr)
        for why in self.failures():
            print(f"soak: {why}", file=sys.stderr)
        if report:
            report.parent.mkdir(parents=True, exist_ok=True)
            picture.chart(self.watch.moments, self.asker.faults.past, report.with_suffix(".svg"))
            lines = self.document()
            lines[2:2] = [f"![Resident memory second by second, faults marked]({report.stem}.svg)", ""]
            report.write_text("\n".join(lines) + "\n")

    def document(self) -> list[str]:
        figures, seconds = self.asker.figures, self.asker.faults.seconds
        outcomes = Counter(outcome for (_, outcome), count in figures.outcomes.items() for _ in range(count))
        return [
            "# Soak",
            "",
            f"Written by `make soak` on {time.strftime('%Y-%m-%d')}: {seconds / 60:.3g} minutes of load on {os.cpu_count()} processors (load average {os.getloadavg()[1]:.0f})",
            "that trace-server, MLflow and the load share, with a fault in every 20 s of a long run. Every answer was held against what MLflow itself said",
            f"before anything went wrong, and against the labels given since. **{'; '.join(self.failures()) or 'Nothing was wrong.'}**",
            "",
            *self._summary(outcomes),
            "",
            "## By fault",
            "",
            *self._faults(),
            "",
            "## By kind of request",
            "",
            "Milliseconds as the load saw them, which waits for a processor like all the others; and to the answer's head as the server",
            "says it.",
            "",
            *self._kinds(),
            *self._gauges(),
        ]

    def _summary(self, outcomes: Counter) -> Iterator[str]:
        figures, watch = self.asker.figures, self.watch
        lost, done = self.lost
        yield from ("| | |", "|---|---|")
        yield f"| requests | {figures.requests:,}, {figures.bytes / 1e6:,.0f} MB read; {figures.hung_up:,} more were left in the middle |"
        yield f"| by status | {listed(figures.statuses)} |"
        yield f"| by `x-cache` | {listed(figures.caches)} |"
        yield f"| by outcome | {listed(outcomes)} |"
        yield f"| wrong, without end, 500 | {len(figures.wrong)}, {len(figures.hangs)}, {figures.statuses[500]} |"
        yield f"| not right although nothing was wrong with MLflow | {len(figures.in_calm)} |"
        yield f"| labels given | {self.labels:,}; of {lost} writes that were answered by an error {done} were done |"
        yield f"| stale answers without a label given since | {self.stale_without} |"
        rss = [one.rss_mib for one in watch.moments]
        yield f"| resident memory, MiB | {rss[0]:.0f} first, {max(rss):.0f} at most, {self.after.rss_mib:.0f} last; by thirds {', '.join(f'{watch.third(at):.0f}' for at in range(3))} |"
        most = max(one.descriptors for one in watch.moments)
        yield f"| descriptors | {self.before.descriptors} before, {most} at most, {self.after.descriptors} after; of its own database {self.before.of_database}, then {self.after.of_database} |"
        most = max(one.threads for one in watch.moments)
        yield f"| threads | {self.before.threads} before, {most} at most, {self.after.threads} after |"

    def _faults(self) -> Iterator[str]:
        yield "| fault | times | requests that met it | outcomes | first answer from MLflow after it, s |"
        yield "|---|---|---|---|---|"
        past = self.asker.faults.past
        for kind in ("calm", *KINDS):
            of_kind = [one for one in past if one.kind == kind]
            outcomes = {what: count for (met, what), count in self.asker.figures.outcomes.items() if met == kind}
            if kind == "none" or not (of_kind or outcomes):
                continue
            times = [one.recovery for one in of_kind]
            known = [time for time in times if time is not None]
            recovery = f"{min(known):.1f} to {max(known):.1f}" if known else ""
            if None in times:
                recovery += f", {times.count(None)} not before the next fault"
            name = f"{kind}: {KINDS[kind]}" if of_kind else kind
            yield f"| {name} | {len(of_kind) or ''} | {sum(outcomes.values()):,} | {listed(outcomes)} | {recovery} |"

    def _kinds(self) -> Iterator[str]:
        yield "| | in calm | p50 | p95 | p99 | in a fault | p50 | p95 | p99 | server | p50 | p95 | p99 |"
        yield f"|{'---|' * 13}"
        times = self.asker.figures.times
        for kind in sorted({kind for kind, _ in list(times)}):
            cells = [cell for phase in ("calm", "fault", "server") for cell in spread(times.get((kind, phase), []))]
            yield f"| {kind} | {' | '.join(cells)} |"

    def _gauges(self) -> Iterator[str]:
        seen = [one.gauges for one in self.watch.moments if one.gauges]
        if self.before.gauges:
            yield from ("", "## What it says of itself", "", "| gauge | before | at most | after |", "|---|---|---|---|")
        for name, first in self.before.gauges.items():
            most = max((gauges.get(name, 0) for gauges in seen), default=0)
            yield f"| `{name}` | {first:,.0f} | {most:,.0f} | {self.after.gauges.get(name, 0):,.0f} |"


def grown(before: Moment, after: Moment) -> list[str]:
    """What is held that must have been given back. What is kept in the cache need not."""
    found = {"descriptors": (before.descriptors, after.descriptors), "threads": (before.threads, after.threads)}
    found |= {name: (value, after.gauges.get(name, 0)) for name, value in before.gauges.items() if "_cache_" not in name}
    return [f"{name} {first:.0f}, then {last:.0f}" for name, (first, last) in found.items() if last > first + MORE]


def spread(times: list[float]) -> list[str]:
    if not times:
        return ["0", "", "", ""]
    return [f"{len(times):,}", *(f"{quantile(times, percent):,.0f}" for percent in (50, 95, 99))]


def listed(counts: dict) -> str:
    """The most frequent first."""
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items(), key=lambda one: -one[1]))
