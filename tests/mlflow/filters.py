"""The traces and runs that the tests of filters search: each property is had by some and not by all.

Called by seed.py. Everything is decided by a trace's number, so that what a filter finds can be worked out by hand.
"""

import json

import mlflow
import stored
from mlflow import MlflowClient
from mlflow.entities import AssessmentSource, Dataset, DatasetInput, InputTag, Metric, Param, RunStatus, RunTag
from mlflow.entities.assessment import IssueReference
from mlflow.entities.span import LiveSpan
from mlflow.tracing.provider import with_active_span

TRACES = 36
RUNS = 14
BEGUN_MS = 1_795_400_000_000
STEP_MS = 60_000
NAMES = ["support_agent", "billing agent", "größe-prüfer", "O'Brien bot", "100%_done"]
TEAMS = ["care", "billing", "größe"]
USERS = ["li@example.com", "müller@example.com", "+49 30 901820"]
ISSUE = "iss-late-answers"


def seed(client: MlflowClient) -> dict[str, object]:
    """Fills two experiments; their ids, and the words that stand in filters for what is known only now."""
    experiment = mlflow.set_experiment("filters").experiment_id
    run_a = client.create_run(experiment, run_name="session a").info.run_id
    run_b = client.create_run(experiment, run_name="session b").info.run_id
    ids = [_trace(number, experiment, run_a) for number in range(TRACES)]
    client.link_traces_to_run([one for number, one in enumerate(ids) if number % 6 == 3], run_a)
    client.link_traces_to_run([one for number, one in enumerate(ids) if number % 10 == 4], run_b)
    for number, trace_id in enumerate(ids):
        _assess(number, trace_id)
    prompt = mlflow.genai.register_prompt("filters-greeting", "Hello {{name}}")
    for trace_id in ids[:12:5]:
        client.link_prompt_versions_to_trace([prompt], trace_id)
    ids += _without_spans(experiment)
    words = {f"t{number}": trace_id for number, trace_id in enumerate(ids)}
    words |= {f"ms{number}": str(_begun_ms(number)) for number in range(TRACES)}
    words |= {"run_a": run_a, "run_b": run_b, "prompt": f"{prompt.name}/{prompt.version}", "issue": ISSUE}
    runs_experiment, runs = _runs(client)
    words |= {f"r{number}": run for number, run in enumerate(runs)}
    return {"experiment_id": experiment, "trace_ids": ids, "words": words, "runs_experiment_id": runs_experiment}


def _begun_ms(number: int) -> int:
    # Two begin at the same time: there the id decides.
    return BEGUN_MS + STEP_MS * (10 if number == 11 else number)


def _trace(number: int, experiment: str, run: str) -> str:
    begun = _begun_ms(number) * 1_000_000
    tags = {"team": TEAMS[number % 3], "my key": ["v1", "v 2", "V1", "w"][number % 4]}
    tags |= {"pct": ["100%", "1000"][number % 2], "under": ["a_b", "axb", "A_B"][number % 3]}
    tags |= {"n": str(number), "dotted.name": ["x.y", "x-y"][number % 2]}
    tags |= {"quote": ["it's", 'say "hi"', "plain"][number % 3], "back\\slash": ["C:\\x", "C:/x"][number % 2]}
    if number % 8 == 0:
        tags |= {"empty": "", "emoji": "🙂"}
    metadata = {"mine": str(number % 3), "mlflow.trace.user": USERS[number % 3]}
    if number % 5:
        metadata["mlflow.trace.session"] = f"session-{number % 4}"
    if number % 6 == 2:
        metadata["mlflow.sourceRun"] = run
    if number % 3 == 0:
        cost = {"input_cost": 0.5, "output_cost": number / 4, "total_cost": 0.5 + number / 4}
        metadata["mlflow.trace.cost"] = json.dumps(cost)
    if number % 4 == 0:
        usage = {"input_tokens": 100 + number, "output_tokens": 7, "total_tokens": 107 + number}
        metadata["mlflow.trace.tokenUsage"] = json.dumps(usage)
    root = mlflow.start_span_no_context(
        NAMES[number % 5], span_type="AGENT", inputs={"question": f"Wo ist Bestellung {number}?"}, tags=tags,
        metadata=metadata, experiment_id=experiment, start_time_ns=begun,
    )  # fmt: skip
    if number % 3 == 1:
        with with_active_span(root):
            mlflow.update_current_trace(client_request_id="request/ü" if number == 4 else f"req-{number}")
    _children(number, root, begun)
    root.set_outputs({"answer": ["Sie kommt am Freitag.", "It is on its way 🚚", "Not known"][number % 3]})
    if number % 7 == 0:
        root.set_status("ERROR")
    root.end(end_time_ns=begun + (1 + number * 37 % 500) * 1_000_000)
    return root.trace_id


def _children(number: int, root: LiveSpan, begun: int) -> None:
    if number % 2 == 0:
        attributes = {"tool.kind": ["db", "http"][number // 2 % 2], "retries": number % 5}
        tool = _child("look_up_order", "TOOL", root, attributes, begun)
        if number % 4 == 0:
            tool.set_status("ERROR")
        tool.end(outputs={"order": number}, end_time_ns=begun + 500_000)
    if number % 3 == 0:
        attributes = {"llm.model": ["gpt-4o-mini", "claude-größer"][number // 3 % 2], "tool.kind": "none"}
        model = _child("chat_model", "CHAT_MODEL", root, attributes, begun)
        model.end(outputs={"text": f"Answer number {number}"}, end_time_ns=begun + 900_000)


def _child(name: str, kind: str, root: LiveSpan, attributes: dict[str, object], begun: int) -> LiveSpan:
    return mlflow.start_span_no_context(
        name, span_type=kind, parent_span=root, attributes=attributes, start_time_ns=begun
    )


def _assess(number: int, trace_id: str) -> None:
    human = AssessmentSource("HUMAN", "ann@example.com")

    def feedback(name: str, value: object, metadata: dict[str, str] | None = None) -> str:
        given = mlflow.log_feedback(trace_id=trace_id, name=name, value=value, source=human, metadata=metadata)
        return given.assessment_id

    if number % 2 == 0:
        feedback("quality", ["good", "bad", "größer", "Good"][number // 2 % 4])
    if number % 3 == 0:
        feedback("stars", number % 7 + 0.5 * (number % 2))
    if number % 4 == 1:
        feedback("is_ok", number % 8 == 1)
    if number % 9 == 2:
        feedback("my label", 'say "ja" – it\'s')
        feedback("facts", ["a", 2])
    if number in (6, 7):
        # What it says first counts no more.
        first = feedback("changed", "before")
        mlflow.override_feedback(trace_id=trace_id, assessment_id=first, value="after")
    if number == 13:
        # Of the whole session, which is session-1.
        feedback("mood", "calm", {"mlflow.trace.session": "session-1"})
    if number % 10 == 7:
        mlflow.log_assessment(trace_id, IssueReference(issue_id=ISSUE, issue_name="Late answers"))
    if number % 5 == 1:
        mlflow.log_expectation(trace_id=trace_id, name="answer", value=["Freitag", "möglich"][number % 2], source=human)
        mlflow.log_expectation(trace_id=trace_id, name="count", value=number, source=human)


def _without_spans(experiment: str) -> list[str]:
    """Traces that no span tells of: still going on, without a name, and one in a state that means nothing."""
    at = {"request_time": "2026-11-23T05:00:00.250Z"}
    return [
        stored.without_any_span(experiment, state="IN_PROGRESS", request_preview="still thinking", **at),
        stored.without_any_span(experiment, state="IN_PROGRESS", tags={"team": "care"}, **at),
        stored.without_any_span(experiment, state="STATE_UNSPECIFIED", tags={}, **at),
        stored.without_any_span(experiment, state="OK", execution_duration="0s", client_request_id="req-4", **at),
    ]


def _runs(client: MlflowClient) -> tuple[str, list[str]]:
    """An experiment of runs, and them in the order they were made."""
    experiment, runs = client.create_experiment("filter-runs"), []
    for number in range(RUNS):
        begun = BEGUN_MS + STEP_MS * (number // 2)
        tags = {"team": TEAMS[number % 3], "my key": ["v1", "v 2"][number % 2], "mlflow.user": USERS[number % 3]}
        if number % 4 == 0:
            tags["mlflow.customRenderer"] = "chat"
        name = f"{NAMES[number % 5]} {number}"
        run = client.create_run(experiment, start_time=begun, tags=tags, run_name=name).info.run_id
        loss = {3: float("nan"), 6: float("inf"), 9: float("-inf")}.get(number, number / 10)
        metrics = [Metric("loss", loss, begun, 0), Metric("my metric", -number, begun, 0)]
        if number % 2:
            metrics += [Metric("steps", step, begun + step, step) for step in range(3)]
        if number % 4 == 1:
            dataset = Dataset(["train set", "größe"][number // 4 % 2], f"digest{number}", "local", "{}")
            client.log_inputs(run, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
        params = [Param("model", ["gpt-4o", "claude", "größe"][number % 3]), Param("top k", str(number))]
        client.log_batch(run, metrics, params[: 1 + number % 2], [RunTag("even", "")] if number % 2 == 0 else [])
        if number % 5:
            status = RunStatus.to_string([RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED][number % 3])
            client.set_terminated(run, status=status, end_time=begun + 1_000 * number)
        if number in (5, 10):
            client.delete_run(run)
        runs.append(run)
    return experiment, runs
