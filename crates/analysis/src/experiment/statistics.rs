//! Figures of a sample.

use std::collections::BTreeMap;

use domain::{Timestamp, TraceState};
use serde::Serialize;

use super::seen::Seen;
use crate::digest::{Cost, Latency, Tokens, Totals};
use crate::patterns::{Patterns, SpanFigures, statistics};
use crate::stats::Sample;

const MAX_ASSESSMENTS: usize = 50;

/// Figures of a sample.
#[derive(Debug, Clone, Serialize)]
pub struct Statistics {
    pub(super) traces: u64,
    /// The oldest and the newest.
    pub(super) from: Option<Timestamp>,
    pub(super) to: Option<Timestamp>,
    pub(super) ok: u64,
    pub(super) errors: u64,
    pub(super) running: u64,
    /// The part that failed, 0 to 1.
    pub(super) error_rate: f64,
    pub(super) latency_ms: Option<Latency>,
    /// Of all traces of which they are known, and of how many.
    pub(super) tokens: Option<Tokens>,
    pub(super) tokens_per_trace: Option<Latency>,
    pub(super) traces_with_tokens: u64,
    /// In USD.
    pub(super) cost: Option<Cost>,
    pub(super) traces_with_cost: u64,
    pub(super) spans: u64,
    pub(super) spans_unread: u64,
    pub(super) by_type: BTreeMap<String, SpanFigures>,
    pub(super) by_tool: BTreeMap<String, SpanFigures>,
    /// Messages of the user in each trace in which one says something.
    pub(super) turns_per_trace: Option<Latency>,
    /// Conversations of more than one trace (`mlflow.trace.session`).
    pub(super) conversations: u64,
    pub(super) traces_per_conversation: Option<Latency>,
    pub(super) assessments: Vec<AssessmentCount>,
    /// What kind of agent it is, as `analyze-patterns` tells it.
    pub(super) patterns: Patterns,
}

/// What was judged under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssessmentCount {
    pub(super) name: String,
    pub(super) good: u64,
    pub(super) bad: u64,
}

impl Statistics {
    pub(super) fn of(totals: &Totals, traces: &[Seen]) -> Self {
        let in_state = |state: TraceState| traces.iter().filter(|trace| trace.state == state).count() as u64;
        let figures = |numbers: &mut dyn Iterator<Item = u64>| {
            let mut sample = Sample::default();
            #[expect(clippy::cast_precision_loss, reason = "counts are shown with few digits")]
            numbers.for_each(|number| sample.add(number as f64));
            Latency::of(&sample)
        };
        let mut conversations: BTreeMap<&str, u64> = BTreeMap::new();
        for trace in traces {
            if let Some(conversation) = &trace.conversation {
                *conversations.entry(conversation).or_default() += 1;
            }
        }
        let begun = || traces.iter().map(|trace| &trace.begun);
        let by_time = |time: &&Timestamp| time.unix_ms();
        #[expect(clippy::cast_precision_loss, reason = "a share is shown in percent")]
        let error_rate = totals.failed as f64 / totals.traces.max(1) as f64;
        Self {
            traces: totals.traces,
            from: begun().min_by_key(by_time).cloned(),
            to: begun().max_by_key(by_time).cloned(),
            ok: in_state(TraceState::Ok),
            errors: totals.failed,
            running: totals.running,
            error_rate,
            latency_ms: Latency::of(&totals.times),
            tokens: (totals.traces_with_tokens > 0).then_some(totals.tokens),
            tokens_per_trace: figures(&mut traces.iter().filter_map(|trace| trace.tokens)),
            traces_with_tokens: totals.traces_with_tokens,
            cost: (totals.traces_with_cost > 0).then_some(totals.cost),
            traces_with_cost: totals.traces_with_cost,
            spans: totals.spans,
            spans_unread: totals.spans_unread,
            by_type: statistics(totals.types.iter()),
            by_tool: statistics(totals.tools.iter().map(|(name, tool)| (name, &tool.figures))),
            turns_per_trace: figures(
                &mut traces
                    .iter()
                    .map(|trace| trace.turns as u64)
                    .filter(|turns| *turns > 0),
            ),
            conversations: conversations.values().filter(|count| **count > 1).count() as u64,
            traces_per_conversation: figures(&mut conversations.values().copied()),
            assessments: assessments(traces),
            patterns: Patterns::of(totals, 0),
        }
    }
}

fn assessments(traces: &[Seen]) -> Vec<AssessmentCount> {
    let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for one in traces.iter().flat_map(|trace| &trace.judged) {
        let (good, bad) = counts.entry(&one.name).or_default();
        *if one.is_bad { bad } else { good } += 1;
    }
    let mut all: Vec<_> = counts
        .into_iter()
        .map(|(name, (good, bad))| AssessmentCount {
            name: name.to_owned(),
            good,
            bad,
        })
        .collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.good + one.bad));
    all.truncate(MAX_ASSESSMENTS);
    all
}
