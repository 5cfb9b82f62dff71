"""Fills a running MLflow 3.17 server with the sample traces and says in a JSON file what was made.

    MLFLOW_TRACKING_URI=… seed.py --out seed.json

    {"experiment_id", "empty_experiment_id", "other_experiment_id", "run_id",
     "trace_ids": […], "run_trace_ids": […], "other_trace_ids": […], "named": {"big": "tr-…", …},
     "filters": {"experiment_id", "runs_experiment_id", "trace_ids": […], "words": {"run_a": …}}}
"""

import argparse
import json
import os
import random
from pathlib import Path

os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"

import agent
import filters
import mlflow
import shapes
import stored
from mlflow import MlflowClient
from mlflow.entities import AssessmentError, AssessmentSource, AssessmentSourceType, Link

CONVERSATIONS = 28
TURNS = 3
USERS = ["li@example.com", "müller@example.com", "+49 30 901820"]
RUN_TRACES = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    rng = random.Random(20261124)
    client = MlflowClient()

    other = mlflow.set_experiment("billing-bot").experiment_id
    other_traces = [agent.answer(index, rng) for index in range(3)]
    empty = client.create_experiment("nothing-yet")

    experiment = mlflow.set_experiment("support-agent-review").experiment_id
    conversations = [converse(index, rng) for index in range(CONVERSATIONS)]
    named = {
        "rag": conversations[0],
        "non_ascii": conversations[2],
        "error": failing(rng),
        "all_types": shapes.every_type(),
        "big": shapes.big(rng, spans=120, span_bytes=9_500),
        "deep": shapes.deep(40),
        "wide": shapes.wide(300),
        "links": linked(conversations[0]),
        "assessments": assessed(rng),
        "no_previews": without_previews(),
        "long_text": shapes.long_text(),
        "in_progress": stored.in_progress(experiment),
        "running": shapes.running(),
        "no_spans": stored.without_spans(experiment),
        "artifact": stored.as_artifact(experiment, spans=5, span_bytes=800),
    }
    trace_ids = list(dict.fromkeys([*conversations, *named.values()]))
    client.set_terminated(client.create_run(experiment, run_name="Labeling session: week 46").info.run_id)
    run = session_run(client, experiment, conversations[:RUN_TRACES])
    seed = {
        "experiment_id": experiment,
        "empty_experiment_id": empty,
        "other_experiment_id": other,
        "run_id": run,
        "trace_ids": trace_ids,
        "run_trace_ids": conversations[:RUN_TRACES],
        "other_trace_ids": other_traces,
        "named": named,
        "filters": filters.seed(client),
    }
    out.write_text(json.dumps(seed, indent=2) + "\n")


def converse(index: int, rng: random.Random) -> str:
    """One turn of a user's session, with tags and some feedback."""
    session, turn = divmod(index, TURNS)
    about = {"mlflow.trace.session": f"session-{session:02}", "mlflow.trace.user": USERS[session % len(USERS)]}
    trace_id = agent.answer(index, rng, turns=1 + turn, metadata=about)
    mlflow.set_trace_tag(trace_id, "team", ["care", "billing", "größe"][index % 3])
    if index % 2 == 0:
        mlflow.log_feedback(
            trace_id=trace_id,
            name="relevance",
            value=index % 4 == 0,
            source=AssessmentSource(AssessmentSourceType.HUMAN, "ann@example.com"),
            rationale="Answers the question – präzise. 👍",
        )
    return trace_id


def failing(rng: random.Random) -> str:
    """A trace in state ERROR, the exception as an event."""
    try:
        agent.answer(0, rng, fails=True)
    except ConnectionError:
        return mlflow.get_last_active_trace_id()
    raise AssertionError("the tool did not fail")


def linked(other: str) -> str:
    """Spans that link to another trace; session, user and ids set from within."""
    with mlflow.start_span(name="handoff", links=[Link(other, "00000000000000ab", {"reason": "escalation", "n": 3})]) as root:
        mlflow.update_current_trace(
            tags={"empty": "", "emoji": "🙂"},
            metadata={"mlflow.trace.session": "session-ä-1", "mlflow.trace.user": "user@example.com", "mine": "1"},
            client_request_id="request-4711/ü",
            request_preview="asked in short",
            response_preview="answered in short",
        )
        root.set_inputs({"to": "human"})
        with mlflow.start_span(name="receive") as child:
            child.add_link(Link(other, "00000000000000cd"))
        return root.trace_id


def assessed(rng: random.Random) -> str:
    """Every kind of assessment on one trace."""
    trace_id = agent.answer(5, rng)
    human = AssessmentSource(AssessmentSourceType.HUMAN, "ann@example.com")
    judge = AssessmentSource(AssessmentSourceType.LLM_JUDGE, "openai:/gpt-4o")
    code = AssessmentSource(AssessmentSourceType.CODE, "checks.py")
    span_id = mlflow.get_trace(trace_id).data.spans[1].span_id

    def feedback(name: str, value: object, source: AssessmentSource = human, **more: object) -> str:
        return mlflow.log_feedback(trace_id=trace_id, name=name, value=value, source=source, **more).assessment_id

    feedback("is_polite", True, rationale="Freundlich, ohne Floskeln.")
    feedback("stars", 4, metadata={"reviewer.round": "2", "größe": "M"})
    feedback("score", 0.1 + 0.2, judge, rationale='It says "so".\nTwice.')
    feedback("label", "gut 👍")
    feedback("tags", ["kurz", "klar"], code)
    feedback("by_part", {"tone": "calm", "facts": 3, "done": True}, judge)
    feedback("on_span", False, code, span_id=span_id)
    feedback("no_value", None, judge, error=AssessmentError("JUDGE_TIMEOUT", "no answer in 30 s", None))
    first = feedback("changed", "bad", rationale="first thought")
    mlflow.override_feedback(trace_id=trace_id, assessment_id=first, value="good", rationale="second thought")
    for name, value in [
        ("expected_answer", "Payment by invoice is possible."),
        ("expected_count", 3),
        ("expected_facts", ["invoice", "14 Tage", "möglich"]),
        ("expected_object", {"pay": {"by": ["invoice"], "days": 14}}),
    ]:
        mlflow.log_expectation(trace_id=trace_id, name=name, value=value, source=human)
    return trace_id


def without_previews() -> str:
    """Neither inputs nor outputs at the root: previews must come from the spans."""
    with mlflow.start_span(name="router", span_type="CHAIN") as root:
        with mlflow.start_span(name="model", span_type="CHAT_MODEL") as model:
            model.set_inputs({"messages": [{"role": "user", "content": "Wo ist mein Paket?"}]})
            model.set_outputs({"choices": [{"message": {"role": "assistant", "content": "Unterwegs zu Ihnen."}}]})
        return root.trace_id


def session_run(client: MlflowClient, experiment: str, trace_ids: list[str]) -> str:
    """The run of a labeling session, with its traces linked to it."""
    run = client.create_run(experiment, run_name="Labeling session: week 47", tags={"mlflow.customRenderer": "chat"})
    client.log_param(run.info.run_id, "reviewers", "2")
    client.log_metric(run.info.run_id, "progress", 0.25, step=1)
    client.link_traces_to_run(trace_ids, run.info.run_id)
    client.set_terminated(run.info.run_id)
    return run.info.run_id


if __name__ == "__main__":
    main()
