"""Prints an artifact of a run, as MLflow's SDK reads it: read_artifact.py RUN PATH."""

import sys

import mlflow

run, path = sys.argv[1:]
sys.stdout.write(mlflow.artifacts.load_text(f"runs:/{run}/{path}"))
