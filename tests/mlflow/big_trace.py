"""Makes one trace of about --mib MiB of spans on the server of MLFLOW_TRACKING_URI and prints its id.

Its experiment is MLFLOW_EXPERIMENT_ID unless another is named, or one of its own is asked for: what reads all traces of
the others is not to read it.
"""

import argparse
import os

import stored


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    experiment = os.environ.get("MLFLOW_EXPERIMENT_ID")
    place = parser.add_mutually_exclusive_group(required=experiment is None)
    place.add_argument("--experiment", default=experiment)
    place.add_argument("--apart", action="store_true", help="in an experiment of its own")
    parser.add_argument("--mib", type=int, default=100)
    parser.add_argument("--spans", type=int, default=400)
    args = parser.parse_args()
    span_bytes = (args.mib << 20) // args.spans
    experiment = stored.new_experiment() if args.apart else args.experiment
    print(stored.as_artifact(experiment, args.spans, span_bytes))


if __name__ == "__main__":
    main()
