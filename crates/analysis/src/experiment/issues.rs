//! What goes wrong, each kind by a rule of its own, with traces that show it.

use std::collections::BTreeMap;

use domain::{TraceId, TraceState};
use serde::{Deserialize, Serialize};

use super::seen::Seen;
use super::{Source, examples};
use crate::digest::{Figures, Totals};
use crate::stats::quantile;

/// Of each rule the worst few.
const MAX_OF_KIND: usize = 5;
const SNIPPETS: usize = 3;
const SNIPPET_CHARS: usize = 300;

/// A tool, or a judgement, counts from so many on, and from this part of them.
const ENOUGH: u64 = 2;
const TOOL_ERRORS: f64 = 0.1;
const BAD_JUDGEMENTS: f64 = 0.2;

/// The same call so often is a loop.
const LOOP: u32 = 3;

/// Outliers are looked for among so many traces, and none is slower than slow: no shorter time, or fewer tokens, is one.
const ENOUGH_TRACES: usize = 8;
const SLOW_MS: f64 = 1000.0;
const MANY_TOKENS: f64 = 1000.0;

/// A trace that runs for so long will not end any more.
const STUCK_MS: i64 = 60 * 60 * 1000;

/// What an issue means for users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words themselves")]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Of what makes a trace useless, by the part of traces that it does so to.
    fn of_failures(share: f64) -> Self {
        match share {
            _ if share >= 0.2 => Self::Critical,
            _ if share >= 0.05 => Self::High,
            _ => Self::Medium,
        }
    }

    /// Of what only makes it worse.
    fn of_flaws(share: f64) -> Self {
        match share {
            _ if share >= 0.3 => Self::High,
            _ if share >= 0.1 => Self::Medium,
            _ => Self::Low,
        }
    }
}

/// Something that goes wrong.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DetectedIssue {
    /// `failing_traces`, `failing_tool`, `repeated_tool_calls`, `unanswered`, `empty_retrievals`, `cut_answers`,
    /// `slow_traces`, `many_tokens`, `stuck_traces`, `bad_judgements`, or a model's own word.
    #[cfg_attr(feature = "openapi", schema(example = "failing_tool"))]
    pub issue_type: String,
    /// What it means for users.
    pub severity: Severity,
    /// It in a few words.
    #[cfg_attr(
        feature = "openapi",
        schema(example = "look_up_order fails in 12 % of its calls")
    )]
    pub title: String,
    /// What is meant.
    #[cfg_attr(feature = "openapi", schema(example = "6 of 50 calls failed, in 5 traces."))]
    pub description: String,
    /// Traces of the sample that show it.
    #[cfg_attr(feature = "openapi", schema(example = 5))]
    pub affected_traces: u64,
    /// Some of them.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, example = json!(["tr-6513270e269e0d37f2a74de452e6b438"])))]
    pub example_traces: Vec<TraceId>,
    /// What traces say where it happens.
    #[cfg_attr(feature = "openapi", schema(example = json!(["ConnectionError: no route to host"])))]
    pub problem_snippets: Vec<String>,
    /// Whether it was counted, or a model says so.
    pub source: Source,
}

pub(super) fn detect(totals: &Totals, traces: &[Seen], now_ms: i64) -> Vec<DetectedIssue> {
    let mut found = failing_traces(traces);
    found.extend(failing_tools(totals, traces));
    found.extend(bad_judgements(traces));
    found.extend(loops(traces));
    found.extend(unanswered(traces));
    found.extend(empty_retrievals(traces));
    found.extend(cut_answers(traces));
    found.extend(slow(traces));
    found.extend(many_tokens(traces));
    found.extend(stuck(traces, now_ms));
    sort(&mut found);
    found
}

/// The worst first.
pub(super) fn sort(issues: &mut [DetectedIssue]) {
    issues.sort_by_key(|issue| std::cmp::Reverse((issue.severity, issue.affected_traces)));
}

#[expect(clippy::cast_precision_loss, reason = "a share is shown in percent")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn issue(
    issue_type: &str,
    severity: Severity,
    title: String,
    description: String,
    affected: &[&Seen],
    snippets: impl Iterator<Item = String>,
) -> DetectedIssue {
    let mut problem_snippets: Vec<String> = Vec::new();
    for snippet in snippets.map(|text| text.chars().take(SNIPPET_CHARS).collect()) {
        if problem_snippets.len() < SNIPPETS && !problem_snippets.contains(&snippet) {
            problem_snippets.push(snippet);
        }
    }
    DetectedIssue {
        issue_type: issue_type.to_owned(),
        severity,
        title,
        description,
        affected_traces: affected.len() as u64,
        example_traces: examples(affected.iter().copied()),
        problem_snippets,
        source: Source::Statistics,
    }
}

/// Traces that failed, by what their first failure says.
fn failing_traces(traces: &[Seen]) -> Vec<DetectedIssue> {
    let mut groups: BTreeMap<String, Vec<&Seen>> = BTreeMap::new();
    for trace in traces.iter().filter(|trace| trace.state == TraceState::Error) {
        let group = trace
            .errors
            .first()
            .map_or_else(String::new, |error| error.group.clone());
        groups.entry(group).or_default().push(trace);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    let of_group = |group: Vec<&Seen>| {
        let error = group.iter().find_map(|trace| trace.errors.first());
        let what = match error {
            Some(error) if !error.exception.is_empty() => format!("{} in {}", error.exception, error.span),
            Some(error) => format!("a failure in {}", error.span),
            None => "a failure that no span tells".to_owned(),
        };
        let part = share(group.len(), traces.len());
        let snippets = group
            .iter()
            .filter_map(|trace| Some(trace.errors.first()?.snippet.clone()));
        issue(
            "failing_traces",
            Severity::of_failures(part),
            format!("{} of traces fail with {what}", percent(part)),
            format!(
                "{} of {} traces end in an error that says the same, but for numbers and ids.",
                group.len(),
                traces.len()
            ),
            &group,
            snippets,
        )
    };
    groups.into_iter().take(MAX_OF_KIND).map(of_group).collect()
}

/// Tools of which a tenth of the calls fail, two at least.
fn failing_tools(totals: &Totals, traces: &[Seen]) -> Vec<DetectedIssue> {
    let fails = |figures: &Figures| figures.errors >= ENOUGH && figures.error_rate() >= TOOL_ERRORS;
    let mut tools: Vec<_> = totals
        .tools
        .iter()
        .filter(|(_, tool)| fails(&tool.figures))
        .collect();
    tools.sort_by_key(|(_, tool)| std::cmp::Reverse(tool.figures.errors));
    let of_tool = |(name, tool): (&str, &crate::digest::Tool)| {
        let has_failed = |trace: &&Seen| trace.failed_tools.iter().any(|(tool, _)| tool == name);
        let affected: Vec<_> = traces.iter().filter(has_failed).collect();
        let figures = &tool.figures;
        let snippets = affected
            .iter()
            .flat_map(|trace| &trace.errors)
            .filter(|error| error.span == name);
        issue(
            "failing_tool",
            Severity::of_failures(share(affected.len(), traces.len())),
            format!("{name} fails in {} of its calls", percent(figures.error_rate())),
            format!(
                "{} of {} calls failed, in {} traces.",
                figures.errors,
                figures.count,
                affected.len()
            ),
            &affected,
            snippets.map(|error| error.snippet.clone()),
        )
    };
    tools.into_iter().take(MAX_OF_KIND).map(of_tool).collect()
}

/// Names under which a fifth of the judgements is bad, two at least.
fn bad_judgements(traces: &[Seen]) -> Vec<DetectedIssue> {
    #[derive(Default)]
    struct Judged<'a> {
        all: usize,
        bad: usize,
        traces: Vec<&'a Seen>,
    }
    let mut judged: BTreeMap<&str, Judged<'_>> = BTreeMap::new();
    for trace in traces {
        for one in &trace.judged {
            let of_name = judged.entry(&one.name).or_default();
            of_name.all += 1;
            of_name.bad += usize::from(one.is_bad);
            if one.is_bad && of_name.traces.last().is_none_or(|last| last.id != trace.id) {
                of_name.traces.push(trace);
            }
        }
    }
    let of_name = |(name, Judged { all, bad, traces }): (&str, Judged<'_>)| {
        let part = share(bad, all);
        let is_much = bad as u64 >= ENOUGH && part >= BAD_JUDGEMENTS;
        let judgements = traces.iter().flat_map(|trace| &trace.judged);
        let reproaches = judgements
            .filter(|one| one.name == name)
            .filter_map(|one| one.why.clone());
        is_much.then(|| {
            issue(
                "bad_judgements",
                Severity::of_failures(part / 2.0),
                format!("{} of judgements of {name} are bad", percent(part)),
                format!("{bad} of {all} judgements say no, false, fail or the like."),
                &traces,
                reproaches,
            )
        })
    };
    judged.into_iter().filter_map(of_name).take(MAX_OF_KIND).collect()
}

/// Traces that call a tool three times or more with the same inputs.
fn loops(traces: &[Seen]) -> Option<DetectedIssue> {
    let repeats = |trace: &&Seen| trace.repeated.as_ref().is_some_and(|call| call.times >= LOOP);
    let affected: Vec<_> = traces.iter().filter(repeats).collect();
    let most = affected
        .iter()
        .filter_map(|trace| trace.repeated.as_ref())
        .max_by_key(|call| call.times)?;
    let part = share(affected.len(), traces.len());
    let calls = affected.iter().filter_map(|trace| trace.repeated.as_ref());
    Some(issue(
        "repeated_tool_calls",
        Severity::of_flaws(part),
        format!(
            "The same call is made {} times and more in {} of traces",
            LOOP,
            percent(part)
        ),
        format!(
            "Most often {} with the same inputs, {} times in one trace: its answer may not be understood.",
            most.tool, most.times
        ),
        &affected,
        calls.map(|call| format!("{} × {}", call.times, call.tool)),
    ))
}

/// Traces that end well and say nothing.
fn unanswered(traces: &[Seen]) -> Option<DetectedIssue> {
    let affected: Vec<_> = traces.iter().filter(|trace| trace.is_unanswered).collect();
    let part = share(affected.len(), traces.len());
    (!affected.is_empty()).then(|| {
        issue(
            "unanswered",
            Severity::of_failures(part),
            format!("{} of traces end well and give nothing", percent(part)),
            "Their root has no output, or an empty one, and no error tells why.".to_owned(),
            &affected,
            affected.iter().filter_map(|trace| trace.request.clone()),
        )
    })
}

/// Retrievals that find nothing, in two traces at least.
fn empty_retrievals(traces: &[Seen]) -> Option<DetectedIssue> {
    let affected: Vec<_> = traces.iter().filter(|trace| trace.empty_retrievals > 0).collect();
    let retrieving = traces.iter().filter(|trace| trace.retrievals > 0).count();
    let part = share(affected.len(), retrieving);
    (affected.len() as u64 >= ENOUGH).then(|| {
        issue(
            "empty_retrievals",
            Severity::of_flaws(part),
            format!("{} of traces that retrieve find nothing", percent(part)),
            "What is answered then has no ground.".to_owned(),
            &affected,
            affected.iter().filter_map(|trace| trace.request.clone()),
        )
    })
}

/// Answers that end where the model was not allowed to go on.
fn cut_answers(traces: &[Seen]) -> Option<DetectedIssue> {
    let affected: Vec<_> = traces.iter().filter(|trace| trace.cut_answers > 0).collect();
    let part = share(affected.len(), traces.len());
    (!affected.is_empty()).then(|| {
        issue(
            "cut_answers",
            Severity::of_flaws(part),
            format!("A model's answer is cut off in {} of traces", percent(part)),
            "It stopped at a limit of tokens (finish_reason length, or max_tokens).".to_owned(),
            &affected,
            affected.iter().filter_map(|trace| trace.response.clone()),
        )
    })
}

/// Beyond this a value is an outlier: three times the distance of the quartiles above the upper one (Tukey 1977, far out).
fn far_out(mut values: Vec<f64>, least: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let (low, high) = (quantile(&values, 0.25)?, quantile(&values, 0.75)?);
    (values.len() >= ENOUGH_TRACES).then(|| (high - low).mul_add(3.0, high).max(least))
}

#[expect(clippy::cast_precision_loss, reason = "outliers are told by few digits")]
fn outliers(traces: &[Seen], of: fn(&Seen) -> Option<u64>, least: f64) -> Option<(f64, Vec<&Seen>)> {
    let value = |trace: &Seen| of(trace).map(|value| value as f64);
    let limit = far_out(traces.iter().filter_map(value).collect(), least)?;
    let mut affected: Vec<_> = traces
        .iter()
        .filter(|trace| value(trace).is_some_and(|value| value > limit))
        .collect();
    affected.sort_by_key(|trace| std::cmp::Reverse(of(trace)));
    (!affected.is_empty()).then_some((limit, affected))
}

fn slow(traces: &[Seen]) -> Option<DetectedIssue> {
    let (limit, affected) = outliers(traces, |trace| trace.duration_ms, SLOW_MS)?;
    let part = share(affected.len(), traces.len());
    let times = affected
        .iter()
        .filter_map(|trace| Some(format!("{} ms", trace.duration_ms?)));
    Some(issue(
        "slow_traces",
        Severity::of_flaws(2.0 * part),
        format!("{} of traces take far longer than the others", percent(part)),
        format!("More than {limit:.0} ms: three times the distance of the quartiles above the upper one."),
        &affected,
        times,
    ))
}

fn many_tokens(traces: &[Seen]) -> Option<DetectedIssue> {
    let (limit, affected) = outliers(traces, |trace| trace.tokens, MANY_TOKENS)?;
    let part = share(affected.len(), traces.len());
    let tokens = affected
        .iter()
        .filter_map(|trace| Some(format!("{} tokens", trace.tokens?)));
    Some(issue(
        "many_tokens",
        Severity::of_flaws(part),
        format!("{} of traces take far more tokens than the others", percent(part)),
        format!("More than {limit:.0}: three times the distance of the quartiles above the upper one."),
        &affected,
        tokens,
    ))
}

/// Traces that began over an hour ago and have not ended.
fn stuck(traces: &[Seen], now_ms: i64) -> Option<DetectedIssue> {
    let is_stuck = |trace: &&Seen| {
        let begun = trace.begun.unix_ms().unwrap_or(now_ms);
        trace.state == TraceState::InProgress && now_ms - begun > STUCK_MS
    };
    let affected: Vec<_> = traces.iter().filter(is_stuck).collect();
    let part = share(affected.len(), traces.len());
    (!affected.is_empty()).then(|| {
        issue(
            "stuck_traces",
            Severity::of_failures(part),
            format!("{} of traces never end", percent(part)),
            "They began more than an hour ago and are still in progress: whoever traced them may have crashed.".to_owned(),
            &affected,
            affected.iter().filter_map(|trace| trace.request.clone()),
        )
    })
}
