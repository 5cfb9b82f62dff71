"""Makes traces of about 1.1 MB in an experiment and prints their ids, one a line.

    MLFLOW_TRACKING_URI=… heavy.py --experiment ID --count 10
"""

import argparse
import os
import random

os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"

import mlflow
import shapes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiment", required=True)
    parser.add_argument("--count", type=int, default=10)
    args = parser.parse_args()
    mlflow.set_experiment(experiment_id=args.experiment)
    rng = random.Random(20261124)
    for _ in range(args.count):
        print(shapes.big(rng, spans=120, span_bytes=9_500))


if __name__ == "__main__":
    main()
