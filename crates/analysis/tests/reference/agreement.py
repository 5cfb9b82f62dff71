#!/usr/bin/env python3
"""Writes agreement.json: ratings, and what well-known libraries say of how much those agree who gave them.

    python3 -m venv reference && reference/bin/pip install -r requirements.txt && reference/bin/python agreement.py

Run by hand, when a case is added; the tests read the file."""

import json
import math
import random
import warnings
from pathlib import Path

import krippendorff
import numpy
from nltk.metrics.agreement import AnnotationTask
from nltk.metrics.distance import jaccard_distance
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

warnings.simplefilter("ignore")
RANDOM = random.Random(1971)


def figure(compute):
    """What a library says; nothing where it says nothing."""
    try:
        found = float(compute())
    except (ValueError, ZeroDivisionError):
        return None
    return found if math.isfinite(found) else None


def table(raters, units, categories, missing):
    """Units of ratings: each rater follows what is true more or less."""
    care = [RANDOM.uniform(0.2, 0.95) for _ in range(raters)]
    rows = []
    for _ in range(units):
        true = RANDOM.randrange(categories)
        row = [true if RANDOM.random() < care[rater] else RANDOM.randrange(categories) for rater in range(raters)]
        rows.append([None if RANDOM.random() < missing else rating for rating in row])
    return rows


def alpha(rows, level):
    data = numpy.array([[numpy.nan if rating is None else rating for rating in row] for row in rows], dtype=float).T
    return krippendorff.alpha(reliability_data=data, level_of_measurement=level)


def of_table(rows):
    raters = len(rows[0])
    is_whole = all(rating is not None for row in rows for rating in row)
    case = {
        "units": [[rating for rating in row if rating is not None] for row in rows],
        "alpha_nominal": figure(lambda: alpha(rows, "nominal")),
        "alpha_interval": figure(lambda: alpha(rows, "interval")),
    }
    if is_whole and raters == 2:
        case["cohens_kappa"] = figure(lambda: cohen_kappa_score(*zip(*rows)))
    if is_whole:
        case["fleiss_kappa"] = figure(lambda: fleiss_kappa(aggregate_raters(numpy.array(rows))[0], method="fleiss"))
    return case


def of_sets():
    options = ["fact", "length", "tone", "source"]
    raters, units = RANDOM.randint(2, 4), RANDOM.randint(3, 12)
    data, rows = [], []
    for unit in range(units):
        true = {option for option in options if RANDOM.random() < 0.4}
        row = []
        for rater in range(raters):
            # NLTK divides by nothing for two empty sets: each holds something.
            said = {option for option in options if (option in true) == (RANDOM.random() < 0.8)} or {"none"}
            data.append((rater, unit, frozenset(said)))
            row.append(sorted(said))
        rows.append(row)
    return {"units": rows, "alpha_jaccard": figure(lambda: AnnotationTask(data, distance=jaccard_distance).alpha())}


def main():
    shapes = [(raters, categories, missing) for raters in (2, 3, 4, 6) for categories in (2, 3, 5) for missing in (0.0, 0.3)]
    tables = [of_table(table(raters, RANDOM.randint(4, 30), categories, missing)) for raters, categories, missing in shapes * 2]
    cases = {"tables": tables, "sets": [of_sets() for _ in range(12)]}
    path = Path(__file__).with_name("agreement.json")
    path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
    print(f"{path}: {len(cases['tables'])} tables, {len(cases['sets'])} of sets")


if __name__ == "__main__":
    main()
