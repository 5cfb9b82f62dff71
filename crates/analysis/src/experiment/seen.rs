//! What is kept of each trace of a sample.

use domain::{Timestamp, TraceId, TraceState};
use serde_json::{Value, json};

use crate::digest::{ErrorKind, Form, RepeatedCall, TraceDigest};
use crate::facts::TraceFacts;

const PREVIEW_CHARS: usize = 200;
const MAX_ERRORS: usize = 3;
const MAX_TOOLS: usize = 10;
const MAX_FEEDBACK: usize = 50;

/// Bad judgements of a trace that a model is shown.
const SHOWN_BAD: usize = 3;

/// What was said of a trace.
#[derive(Debug)]
pub(super) struct Judgement {
    pub(super) name: String,
    pub(super) is_bad: bool,
    /// Why, of what is bad.
    pub(super) why: Option<String>,
}

/// What is kept of a trace.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) id: TraceId,
    pub(super) state: TraceState,
    pub(super) begun: Timestamp,
    pub(super) duration_ms: Option<u64>,
    pub(super) tokens: Option<u64>,
    pub(super) conversation: Option<String>,
    pub(super) turns: usize,
    pub(super) calls: u64,
    pub(super) retrievals: u64,
    pub(super) empty_retrievals: u64,
    pub(super) cut_answers: u64,
    pub(super) repeated: Option<RepeatedCall>,
    pub(super) errors: Vec<ErrorKind>,
    /// Tools that failed, and how often.
    pub(super) failed_tools: Vec<(String, u64)>,
    pub(super) is_unanswered: bool,
    /// What was judged.
    pub(super) judged: Vec<Judgement>,
    pub(super) request: Option<String>,
    pub(super) response: Option<String>,
}

impl Seen {
    pub(super) fn of(facts: &TraceFacts, digest: &TraceDigest) -> Self {
        let cut = |text: &Option<String>| {
            text.as_ref()
                .map(|text| text.chars().take(PREVIEW_CHARS).collect())
        };
        let failed = digest
            .calls
            .tools
            .iter()
            .filter(|(_, tool)| tool.figures.errors > 0);
        let judged = facts
            .assessments
            .iter()
            .filter(|one| one.valid)
            .filter_map(|one| {
                let value = one.feedback.as_ref().map(|feedback| &feedback.value)?;
                let is_bad = is_bad(value)?;
                Some(Judgement {
                    name: one.name.clone(),
                    is_bad,
                    why: cut(&one.rationale).filter(|_| is_bad),
                })
            });
        Self {
            id: digest.trace_id.clone(),
            state: digest.state,
            begun: digest.request_time.clone(),
            duration_ms: digest.duration_ms,
            tokens: digest.total_tokens().map(|tokens| tokens.total_tokens),
            conversation: digest.conversation.clone(),
            turns: digest.talk.user_messages,
            calls: digest.calls.count(),
            retrievals: digest.retrievals,
            empty_retrievals: digest.empty_retrievals,
            cut_answers: digest.cut_answers,
            repeated: digest.calls.repeated().cloned(),
            errors: digest.errors.kinds.iter().take(MAX_ERRORS).cloned().collect(),
            failed_tools: failed
                .take(MAX_TOOLS)
                .map(|(name, tool)| (name.to_owned(), tool.figures.errors))
                .collect(),
            is_unanswered: digest.state == TraceState::Ok
                && digest.spans > 0
                && digest.talk.output == Some(Form::Empty),
            judged: judged.take(MAX_FEEDBACK).collect(),
            request: cut(&facts.request_preview),
            response: cut(&facts.response_preview),
        }
    }

    pub(super) fn is_troubled(&self) -> bool {
        self.state == TraceState::Error
            || !self.errors.is_empty()
            || self.is_unanswered
            || self.judged.iter().any(|one| one.is_bad)
    }

    /// What a model is shown of it.
    pub(super) fn excerpt(&self) -> Value {
        let errors = self
            .errors
            .iter()
            .map(|error| json!({"span": error.span, "says": error.snippet}));
        let bad = self.judged.iter().filter(|one| one.is_bad).take(SHOWN_BAD);
        let judged = bad.map(|one| json!({"name": one.name, "because": one.why}));
        json!({
            "trace_id": self.id,
            "state": self.state,
            "duration_ms": self.duration_ms,
            "request": self.request,
            "response": self.response,
            "tool_calls": self.calls,
            "errors": errors.collect::<Vec<_>>(),
            "judged_badly": judged.collect::<Vec<_>>(),
        })
    }
}

/// Whether a judgement is a bad one; `None` of one that is neither good nor bad by itself, such as a number.
fn is_bad(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(is_good) => Some(!is_good),
        Value::String(word) => match word.trim().to_lowercase().as_str() {
            "no" | "fail" | "failed" | "false" | "bad" | "incorrect" | "wrong" | "poor" | "unsafe"
            | "thumbs_down" => Some(true),
            "yes" | "pass" | "passed" | "true" | "good" | "correct" | "right" | "excellent" | "safe"
            | "thumbs_up" => Some(false),
            _ => None,
        },
        _ => None,
    }
}
