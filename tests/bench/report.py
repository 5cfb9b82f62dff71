"""Writes the report of a run: `report.py RESULTS.json REPORT.md`, with a chart beside it as SVG."""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

NOTES = Path(__file__).parent / "notes.md"
COLOURS = {
    "floor": "#b0413e",
    "MLflow": "#8a8f98",
    "trace-server": "#2f6db5",
    "trace-server, on the database": "#1b998b",
    "trace-server, warm": "#f0a202",
}
# What the chart shows: the median of these, one bar for each server.
CHARTED = {
    "page of 10 traces of 1.1 MB": "a page of 10 traces\nof 1.1 MB each",
    "100 traces of 9 KB with spans": "100 traces of 9 KB with spans\n(floor: 100 requests)",
    "session of 500 traces with all spans": "labeling page,\n500 traces with spans",
    "search, 50 traces": "search, 50 traces",
    "trace, 1.1 MB": "one trace, 1.1 MB",
}


def main() -> None:
    results, report = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    picture = report.with_suffix(".svg")
    chart(results["rows"], picture)
    report.write_text("\n".join(document(results, picture.name)) + "\n")


def document(results: dict, picture: str) -> list[str]:
    machine, bars = results["machine"], results["bars"]
    met = sum(bar["met"] for bar in bars)
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`, which sets up and measures everything named here in one run: machines are noisy, and only ratios",
        "travel. The floor is FastAPI over MLflow's SDK, as the backend was that trace-server replaces; the ceiling is nginx, which",
        "serves the same bytes from files; between them stands MLflow itself. Calls that are compared one by one are made in turns,",
        "each on a connection of its own, but for the slow ones of the floor, which are made in a row. Warm answers are compared",
        "under load: the server has one processor and the load another. Nobody writes a line for each request.",
        "",
        f"- {machine['date']}, commit `{machine['commit']}`, took {machine['took']}",
        f"- {machine['machine']}",
        f"- {machine['system']}",
        "",
        f"![Medians of five cases on each server]({picture})",
        "",
        f"## What is to be shown: {met} of {len(bars)}",
        "",
        "| | bar | measured | |",
        "|---|---|---|---|",
    ]
    lines += [f"| {bar['what']} | {bar['wanted']} | {bar['got']} | {'met' if bar['met'] else '**missed**'} |" for bar in bars]
    lines += ["", NOTES.read_text().strip()]
    groups = dict.fromkeys(row["group"] for row in results["rows"])
    for group in groups:
        lines += ["", f"## {group[0].upper()}{group[1:]}", "", *table([row for row in results["rows"] if row["group"] == group])]
    return lines


def table(rows: list[dict]) -> list[str]:
    """Only the columns that any of the rows has."""
    columns = {"median": "median ms", "p95": "p95", "p99": "p99", "times": "times", "rate": "requests/s", "bytes": "bytes", "cpu": "CPU ms each", "rss": "RSS MiB", "note": ""}
    used = [name for name in columns if any(row[name] not in (None, "") for row in rows)]
    lines = [f"| case | server | {' | '.join(columns[name] for name in used)} |", f"|---|---|{'---|' * len(used)}"]
    for row in rows:
        lines.append(f"| {row['case']} | {row['server']} | {' | '.join(figure(row[name]) for name in used)} |")
    return lines


def figure(value: float | int | str | None) -> str:
    """Three digits that count."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"


def chart(rows: list[dict], file: Path) -> None:
    plt.rcParams |= {"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "svg.hashsalt": "trace-server"}
    figure_, axes = plt.subplots(figsize=(8, 4.6))
    at, marks = 0.0, []
    for case, label in CHARTED.items():
        shown = [row for row in rows if row["case"] == case and row["server"] in COLOURS and row["group"] != "warm"]
        begun = at
        for row in shown:
            axes.barh(at, row["median"], height=0.8, color=COLOURS[row["server"]], label=row["server"])
            axes.text(row["median"] * 1.08, at, f"{figure(row['median'])} ms", va="center", fontsize=7.5)
            at += 1
        marks.append(((begun + at - 1) / 2, label))
        at += 0.8
    axes.set_xscale("log")
    axes.set_xlim(left=0.2, right=axes.get_xlim()[1] * 3)
    axes.set_yticks([mark for mark, _ in marks], [label for _, label in marks])
    axes.invert_yaxis()
    axes.set_xlabel("median of cold calls in ms, logarithmic (“warm”: from the cache)")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    handles, labels = axes.get_legend_handles_labels()
    named = dict(zip(labels, handles, strict=True))
    order = [name for name in COLOURS if name in named]
    axes.legend([named[name] for name in order], order, frameon=False, loc="upper center", bbox_to_anchor=(0.45, 1.12), ncols=5, fontsize=7.5)
    figure_.savefig(file, bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    main()
