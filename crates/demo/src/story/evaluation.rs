//! The run that judged traces in the night.

use crate::json::object;
use crate::random::Random;
use crate::record::{Experiment, Link, Run, Trace};
use crate::story::review::{CORRECTNESS, JUDGE, RELEVANCE};
use crate::story::shop::LARGE;

pub(crate) const NAME: &str = "Nightly evaluation";

/// How many traces it judged.
const TRACES: usize = 20;

const HOURS_AGO: i64 = 10;
const MS_PER_HOUR: i64 = 3_600_000;

/// How long the judge takes for a trace.
const MS_PER_TRACE: i64 = 4_200;

/// Judges the newest traces there were, by the run instead of as they came in.
pub(crate) fn run(experiment: &Experiment, traces: &mut [Trace], now_ms: i64, random: &mut Random) -> Run {
    let id = random.hex();
    let started_ms = now_ms - HOURS_AGO * MS_PER_HOUR;
    let mut judged: Vec<_> = traces
        .iter_mut()
        .filter(|trace| can_be_judged(trace, started_ms))
        .collect();
    judged.sort_by_key(|trace| std::cmp::Reverse(trace.started_ns));
    judged.truncate(TRACES);

    let mut judged_ms = started_ms;
    for trace in &mut judged {
        judged_ms += MS_PER_TRACE;
        mark(trace, &id, judged_ms);
    }
    let count = judged.len();
    let links = judged.iter().map(|trace| Link {
        id: random.hex(),
        trace_id: trace.id(),
    });
    let ms = judged.iter().map(|trace| duration_ms(trace));
    Run {
        links: links.collect(),
        metrics: vec![
            ("correctness/mean", mean(&judged, CORRECTNESS)),
            ("relevance/mean", mean(&judged, RELEVANCE)),
            ("latency_ms/mean", ms.sum::<f64>() / float(count)),
            ("traces", float(count)),
        ],
        name: NAME,
        experiment_id: experiment.id,
        artifact_uri: format!("{}/{id}/artifacts", experiment.artifact_location()),
        user: "nightly",
        started_ms,
        ended_ms: judged_ms + MS_PER_TRACE,
        params: [
            ("agent_version", "2.3.1"),
            ("judge_model", JUDGE),
            ("knowledge_base", "2026-47"),
            ("model", LARGE.name),
            ("temperature", "0.2"),
        ]
        .map(|(key, value)| (key, value.to_owned()))
        .to_vec(),
        tags: [
            ("mlflow.runName", NAME),
            ("mlflow.runType", "genai_evaluate"),
            ("mlflow.source.name", "support_agent/evaluate.py"),
            ("mlflow.source.type", "LOCAL"),
            ("mlflow.user", "nightly"),
            ("schedule", "0 2 * * *"),
        ]
        .map(|(key, value)| (key, value.to_owned()))
        .to_vec(),
        id,
    }
}

/// It was over by then, the judge had an opinion, and nobody another.
fn can_be_judged(trace: &Trace, by_ms: i64) -> bool {
    let is_over = trace.ended_ns.is_some_and(|end| end / 1_000_000 < by_ms);
    let is_scored = trace
        .assessments
        .iter()
        .any(|assessment| assessment.name == RELEVANCE);
    is_over && is_scored && trace.assessments.iter().all(|assessment| assessment.is_valid)
}

fn mark(trace: &mut Trace, run_id: &str, judged_ms: i64) {
    let by_judge = trace.assessments.iter_mut();
    for assessment in by_judge.filter(|assessment| assessment.source_id == JUDGE) {
        let metadata = object! { "mlflow.assessment.sourceRunId": run_id };
        assessment.metadata = Some(metadata.to_string());
        assessment.run_id = Some(run_id.to_owned());
        assessment.created_ms = judged_ms;
    }
}

fn mean(traces: &[&mut Trace], name: &str) -> f64 {
    let all = traces.iter().flat_map(|trace| &trace.assessments);
    let of_name = all.filter(|assessment| assessment.name == name);
    let values: Vec<_> = of_name
        .filter_map(|assessment| assessment.aggregate().0)
        .collect();
    values.iter().sum::<f64>() / float(values.len())
}

fn duration_ms(trace: &Trace) -> f64 {
    let ns = trace.ended_ns.unwrap_or(trace.started_ns) - trace.started_ns;
    // No trace takes weeks.
    f64::from(i32::try_from(ns / 1_000_000).unwrap_or(i32::MAX))
}

/// There are few of all that is counted here, and at least one.
fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count.max(1)).unwrap_or(u32::MAX))
}
