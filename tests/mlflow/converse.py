"""Makes traces of the sample agent in an experiment and prints their ids, one a line.

    MLFLOW_TRACKING_URI=… converse.py --experiment ID --count 60
"""

import argparse
import os
import random

os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"

import agent
import mlflow


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiment", required=True)
    parser.add_argument("--count", type=int, default=60)
    args = parser.parse_args()
    mlflow.set_experiment(experiment_id=args.experiment)
    rng = random.Random(20261124)
    for index in range(args.count):
        print(agent.answer(index, rng, turns=1 + index % 3))


if __name__ == "__main__":
    main()
