"""Makes one trace of about --mib MiB of spans on the server of MLFLOW_TRACKING_URI and prints its id."""

import argparse

import stored


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiment", required=True)
    parser.add_argument("--mib", type=int, default=100)
    parser.add_argument("--spans", type=int, default=400)
    args = parser.parse_args()
    span_bytes = (args.mib << 20) // args.spans
    print(stored.as_artifact(args.experiment, args.spans, span_bytes))


if __name__ == "__main__":
    main()
