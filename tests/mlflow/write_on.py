"""Writes traces with MLflow's SDK as fast as it can, and says of each that it is complete: its id, one a line.

    MLFLOW_TRACKING_URI=… write_on.py --experiment ID --seconds 20 [--spans 6]

Each trace has so many spans and one feedback. The time begins with the first trace.
"""

import argparse
import os
import time

os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"

import mlflow


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiment", required=True)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--spans", type=int, default=6)
    args = parser.parse_args()
    mlflow.set_experiment(experiment_id=args.experiment)
    end, number = time.monotonic() + args.seconds, 0
    while time.monotonic() < end:
        with mlflow.start_span(name=f"written {number}", span_type="AGENT") as root:
            root.set_inputs({"number": number})
            for index in range(args.spans - 1):
                with mlflow.start_span(name=f"step {index}", span_type="TOOL") as child:
                    child.set_outputs({"text": "größer als nötig " * 20})
        mlflow.log_feedback(trace_id=root.trace_id, name="number", value=number)
        print(root.trace_id, flush=True)
        number += 1


if __name__ == "__main__":
    main()
