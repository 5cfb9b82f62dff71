"""Resident memory second by second, with the faults behind it."""

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
from faults import KINDS, Fault  # noqa: E402
from watch import Moment  # noqa: E402

COLOURS = dict(zip(KINDS, ("#ffffff", "#b0413e", "#8a8f98", "#f0a202", "#d8b365", "#1b998b", "#7b4fa3", "#33475b", "#e377c2"), strict=True))


def chart(moments: list[Moment], faults: list[Fault], file: Path) -> None:
    plt.rcParams |= {"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "svg.hashsalt": "trace-server"}
    figure, axes = plt.subplots(figsize=(9, 3.4))
    begun, named = moments[0].at, {}
    for fault in faults:
        if fault.kind != "none":
            colour = COLOURS[fault.kind]
            named[fault.kind] = axes.axvspan(fault.begun - begun, fault.ended - begun, color=colour, alpha=0.35, linewidth=0)
    times = [one.at - begun for one in moments]
    axes.plot(times, [one.rss_mib for one in moments], color="#2f6db5", linewidth=1.2)
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, times[-1])
    axes.set_xlabel("seconds")
    axes.set_ylabel("resident memory, MiB")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(named.values(), named.keys(), frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=8, fontsize=7.5)
    figure.savefig(file, bbox_inches="tight", metadata={"Date": None})
