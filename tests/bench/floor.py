"""The floor: the review app's backend as it was, in short. FastAPI over MLflow's SDK, every span of every trace each time.

    MLFLOW_TRACKING_URI=… uvicorn --app-dir tests/bench floor:app

Its handlers are coroutines that call the SDK, which blocks: one user at a time, as it was.
"""

import json
import os

import mlflow
from fastapi import FastAPI, HTTPException
from fastapi.middleware.gzip import GZipMiddleware
from mlflow import MlflowClient
from mlflow.entities import Trace
from mlflow.exceptions import MlflowException
from pydantic import BaseModel

app = FastAPI()
app.add_middleware(GZipMiddleware, minimum_size=1024)
client = MlflowClient()
mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])


class Search(BaseModel):
    """The body of a search as the frontend sends it."""

    experiment_ids: list[str] | None = None
    filter: str | None = None
    run_id: str | None = None
    max_results: int = 1000
    page_token: str | None = None
    order_by: list[str] | None = None


def as_dict(trace: Trace) -> dict:
    """A trace in the form that the frontend reads."""
    return {"info": trace.info.to_dict(), "data": {"spans": [span.to_dict() for span in trace.data.spans]}}


@app.get("/health")
async def health() -> dict:
    return {"status": "healthy"}


@app.post("/api/mlflow/search-traces")
async def search_traces(search: Search) -> dict:
    found = client.search_traces(
        locations=search.experiment_ids or [os.environ["MLFLOW_EXPERIMENT_ID"]],
        filter_string=search.filter,
        run_id=search.run_id,
        max_results=search.max_results,
        order_by=search.order_by,
        page_token=search.page_token,
    )
    return {"traces": [as_dict(trace) for trace in found], "next_page_token": found.token}


@app.get("/api/mlflow/traces/{trace_id}")
async def get_trace(trace_id: str) -> dict:
    try:
        return json.loads(json.dumps(as_dict(client.get_trace(trace_id))))
    except MlflowException as error:
        raise HTTPException(404, str(error)) from error
