"""Gives a trace a label and a tag with MLflow's SDK.

    MLFLOW_TRACKING_URI=… change_trace.py TRACE_ID --label quality=good --tag team=care
"""

import argparse

import mlflow


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trace_id")
    parser.add_argument("--label", required=True)
    parser.add_argument("--tag", required=True)
    args = parser.parse_args()
    (label, value), (tag, text) = args.label.split("=", 1), args.tag.split("=", 1)
    mlflow.log_feedback(trace_id=args.trace_id, name=label, value=value)
    mlflow.set_trace_tag(args.trace_id, tag, text)


if __name__ == "__main__":
    main()
