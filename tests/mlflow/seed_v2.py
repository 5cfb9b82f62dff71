"""Fills a running MLflow 2.22 server with a few sample traces and says in a JSON file what was made.

    MLFLOW_TRACKING_URI=… seed_v2.py --out seed.json

The file has the keys of seed.py that make sense here.
"""

import argparse
import json
import os
import random
from pathlib import Path

os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"

import agent
import mlflow
import shapes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    rng = random.Random(20261124)
    experiment = mlflow.set_experiment("support-agent-review").experiment_id
    conversations = [agent.answer(index, rng) for index in range(4)]
    named = {
        "rag": conversations[0],
        "non_ascii": conversations[2],
        "error": failing(rng),
        "all_types": shapes.every_type(),
        "big": shapes.big(rng, spans=40, span_bytes=7_500),
        "deep": shapes.deep(8),
    }
    trace_ids = list(dict.fromkeys([*conversations, *named.values()]))
    out.write_text(json.dumps({"experiment_id": experiment, "trace_ids": trace_ids, "named": named}, indent=2) + "\n")


def failing(rng: random.Random) -> str:
    """A trace in state ERROR, the exception as an event."""
    try:
        agent.answer(0, rng, fails=True)
    except ConnectionError:
        return mlflow.get_last_active_trace_id()
    raise AssertionError("the tool did not fail")


if __name__ == "__main__":
    main()
