//! A trace, gone through span by span: what is kept of it hangs on how many kinds of things it holds, not on its size.

mod bounded;
mod calls;
mod errors;
mod figures;
mod talk;
mod totals;

use std::collections::HashMap;

use domain::span::{SPAN_INPUTS, SPAN_OUTPUTS, SpanView};
use domain::{SpanId, Timestamp, TraceId, TraceState};
use serde::Deserialize;
use serde_json::Value;

use crate::facts::TraceFacts;

pub use bounded::Bounded;
pub use calls::{Calling, Calls, RepeatedCall, Tool};
pub use errors::{ErrorKind, Errors};
pub use figures::{Cost, Figures, Latency, Tokens};
pub use talk::{Form, Talk};
pub use totals::Totals;

/// Kinds of things that are told apart.
const MAX_TYPES: usize = 100;
const MAX_NAMES: usize = 1000;

/// Spans whose depth is looked up; those of further parents are not counted.
const MAX_PLACED: usize = 100_000;

/// Inputs and outputs are read up to this size, in bytes of JSON text.
const MAX_READ: usize = 256 << 10;

/// What is kept of a trace.
#[derive(Debug, Clone)]
pub struct TraceDigest {
    /// The trace's id.
    pub trace_id: TraceId,
    /// Where it stands in its life.
    pub state: TraceState,
    /// When it began.
    pub request_time: Timestamp,
    /// How long it took, in ms; `None` while it runs.
    pub duration_ms: Option<u64>,
    /// Its conversation, where it belongs to one (`mlflow.trace.session`).
    pub conversation: Option<String>,
    /// Its spans.
    pub spans: u64,
    /// Those that are not of the known shapes, or hold more than is read.
    pub spans_unread: u64,
    /// By type, such as `TOOL`.
    pub types: Bounded<Figures>,
    /// By name.
    pub names: Bounded<u64>,
    /// How deep its tree is; a root alone is 1.
    pub depth: u32,
    /// What its tools were called with, how often and when.
    pub calls: Calls,
    /// What failed.
    pub errors: Errors,
    /// What was said.
    pub talk: Talk,
    /// Retrievals.
    pub retrievals: u64,
    /// Those that found nothing.
    pub empty_retrievals: u64,
    /// Answers of models that were cut off by a limit on their length.
    pub cut_answers: u64,
    /// Tokens of the whole trace, as MLflow counts them, else of its spans together.
    pub tokens: Option<Tokens>,
    /// What it cost, likewise.
    pub cost: Option<Cost>,
    depths: HashMap<SpanId, u32>,
}

impl TraceDigest {
    /// A trace of which no span was seen yet.
    pub fn new(facts: &TraceFacts) -> Self {
        let metadata = |key: &str| facts.trace_metadata.get(key).map(String::as_str);
        Self {
            trace_id: facts.trace_id.clone(),
            state: facts.state,
            request_time: facts.request_time.clone(),
            duration_ms: facts.execution_duration_ms,
            conversation: metadata("mlflow.trace.session").map(str::to_owned),
            spans: 0,
            spans_unread: 0,
            types: Bounded::new(MAX_TYPES),
            names: Bounded::new(MAX_NAMES),
            depth: 0,
            calls: Calls::default(),
            errors: Errors::default(),
            talk: Talk::default(),
            retrievals: 0,
            empty_retrievals: 0,
            cut_answers: 0,
            tokens: metadata("mlflow.trace.tokenUsage").and_then(read),
            cost: metadata("mlflow.trace.cost").and_then(read),
            depths: HashMap::new(),
        }
    }

    /// Takes in a span; one that is `None` is not of the known shapes.
    pub fn add(&mut self, span: Option<&SpanView<'_>>) {
        self.spans += 1;
        let Some(span) = span else {
            self.spans_unread += 1;
            return;
        };
        let kind = span.span_type().unwrap_or_else(|| "UNKNOWN".to_owned());
        let (inputs, outputs) = (self.part(span, SPAN_INPUTS), self.part(span, SPAN_OUTPUTS));
        let is_error = span.status().is_error();
        let mut figures = Figures::default();
        figures.count(is_error, duration_ms(span));
        figures.add_usage(
            usage(span, "mlflow.chat.tokenUsage"),
            usage(span, "mlflow.llm.cost"),
        );
        self.types.entry(&kind).add(&figures);
        *self.names.entry(span.name()) += 1;
        self.place(span);
        if is_error {
            self.errors.add(span, &kind);
        }
        match kind.as_str() {
            "TOOL" => self.calls.add(span, inputs.value(), &figures),
            "RETRIEVER" => {
                self.retrievals += 1;
                self.empty_retrievals += u64::from(!is_error && outputs.is_nothing());
            }
            "CHAT_MODEL" | "LLM" => self.cut_answers += u64::from(outputs.value().is_some_and(is_cut)),
            _ => {}
        }
        let talks = span.is_root() || matches!(kind.as_str(), "AGENT" | "CHAT_MODEL" | "LLM" | "CHAIN");
        if talks {
            self.talk.add(&inputs, &outputs, span.is_root());
        }
    }

    /// Tokens of the whole trace.
    pub fn total_tokens(&self) -> Option<Tokens> {
        self.tokens.or_else(|| {
            self.types
                .iter()
                .filter_map(|(_, figures)| figures.tokens)
                .reduce(Tokens::and)
        })
    }

    /// What the whole trace cost, in USD.
    pub fn total_cost(&self) -> Option<Cost> {
        self.cost.or_else(|| {
            self.types
                .iter()
                .filter_map(|(_, figures)| figures.cost)
                .reduce(Cost::and)
        })
    }

    fn part(&mut self, span: &SpanView<'_>, key: &str) -> Part {
        match span.attributes().raw(key) {
            None => Part::Absent,
            Some(raw) if raw.get().len() > MAX_READ => {
                self.spans_unread += 1;
                Part::Unread
            }
            Some(_) => {
                let text = span.attributes().text(key);
                text.and_then(|text| read(&text)).map_or(Part::Unread, Part::Read)
            }
        }
    }

    fn place(&mut self, span: &SpanView<'_>) {
        let above = match span.parent_id() {
            None => 0,
            // One whose parent is not there, or not yet, counts from there.
            Some(parent) => self.depths.get(&parent).copied().unwrap_or(1),
        };
        self.depth = self.depth.max(above + 1);
        if let Some(id) = span.id().filter(|_| self.depths.len() < MAX_PLACED) {
            self.depths.insert(id, above + 1);
        }
    }
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    serde_json::from_str(text).ok()
}

fn usage<T: serde::de::DeserializeOwned>(span: &SpanView<'_>, key: &str) -> Option<T> {
    read(&span.attributes().text(key)?).and_then(|value: Value| serde_json::from_value(value).ok())
}

#[expect(clippy::cast_precision_loss, reason = "a millionth of a nanosecond")]
fn duration_ms(span: &SpanView<'_>) -> Option<f64> {
    let (start, end) = (span.start_ns()?, span.end_ns()?);
    Some(end.saturating_sub(start) as f64 / 1e6)
}

/// What a span was given, or gave.
#[derive(Debug)]
enum Part {
    /// It does not say.
    Absent,
    /// More than is read, or no JSON.
    Unread,
    Read(Value),
}

impl Part {
    fn value(&self) -> Option<&Value> {
        match self {
            Self::Read(value) => Some(value),
            Self::Absent | Self::Unread => None,
        }
    }

    /// Whether it is surely nothing.
    fn is_nothing(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Unread => false,
            Self::Read(value) => is_nothing(value),
        }
    }
}

/// Whether a retrieval found nothing.
fn is_nothing(outputs: &Value) -> bool {
    match outputs {
        Value::Null => true,
        Value::Array(found) => found.is_empty(),
        Value::Object(members) => {
            let lists = ["documents", "results", "docs"]
                .iter()
                .filter_map(|name| members.get(*name)?.as_array());
            members.is_empty() || lists.into_iter().any(Vec::is_empty)
        }
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// Whether a model stopped because it was not allowed to go on: as `OpenAI`, Anthropic and `LangChain` say it.
fn is_cut(outputs: &Value) -> bool {
    let said = [
        "/choices/0/finish_reason",
        "/stop_reason",
        "/finish_reason",
        "/generations/0/0/generation_info/finish_reason",
    ];
    let mut said = said
        .iter()
        .filter_map(|pointer| outputs.pointer(pointer)?.as_str());
    said.any(|reason| matches!(reason, "length" | "max_tokens"))
}

#[cfg(test)]
pub(crate) mod tests;
