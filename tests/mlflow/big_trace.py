"""Makes one trace of about --mib MiB of spans on the server of MLFLOW_TRACKING_URI and prints its id.

Its experiment is MLFLOW_EXPERIMENT_ID unless another is named.
"""

import argparse
import os

import stored


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    experiment = os.environ.get("MLFLOW_EXPERIMENT_ID")
    parser.add_argument("--experiment", default=experiment, required=experiment is None)
    parser.add_argument("--mib", type=int, default=100)
    parser.add_argument("--spans", type=int, default=400)
    args = parser.parse_args()
    span_bytes = (args.mib << 20) // args.spans
    print(stored.as_artifact(args.experiment, args.spans, span_bytes))


if __name__ == "__main__":
    main()
