//! Tells one trace: a clock that goes on, and spans that are opened and closed as it does. So a child always lies
//! within its parent.

use crate::json::{Json, object};
use crate::random::Random;
use crate::record::{Event, Span, Usage};
use crate::story::shop::Model;

/// Letters of a text to a token, about.
const LETTERS: usize = 4;

/// Where a tool failed, and with what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exception {
    pub(crate) kind: &'static str,
    pub(crate) message: &'static str,
    pub(crate) file: &'static str,
    pub(crate) line: u32,
    /// The statement that raised it.
    pub(crate) statement: &'static str,
}

#[derive(Debug)]
pub(crate) struct Telling {
    pub(crate) random: Random,
    now_ns: i64,
    open: Vec<Span>,
    /// In the order they ended, as MLflow stores them.
    ended: Vec<Span>,
}

impl Telling {
    pub(crate) fn begin(random: Random, now_ns: i64) -> Self {
        Self {
            random,
            now_ns,
            open: Vec::new(),
            ended: Vec::new(),
        }
    }

    pub(crate) fn now_ns(&self) -> i64 {
        self.now_ns
    }

    /// The spans that ended; those still open were never stored.
    pub(crate) fn finish(self) -> Vec<Span> {
        self.ended
    }

    /// Opens a span within the one that is open.
    pub(crate) fn open(&mut self, name: &'static str, kind: &'static str, inputs: Json) {
        self.pass_us(200, 2_500);
        let span = Span {
            id: self.random.next(),
            parent: self.open.last().map(|parent| parent.id),
            name,
            kind,
            started_ns: self.now_ns,
            ended_ns: self.now_ns,
            inputs,
            outputs: None,
            attributes: Vec::new(),
            events: Vec::new(),
            model: None,
            usage: None,
            error: None,
        };
        self.open.push(span);
    }

    /// Lets some milliseconds pass.
    pub(crate) fn pass(&mut self, from_ms: u32, to_ms: u32) {
        self.pass_us(from_ms * 1_000, to_ms * 1_000);
    }

    fn pass_us(&mut self, from: u32, to: u32) {
        // No clock of a computer shows round microseconds.
        let nanoseconds = self.random.between(0, 1_000);
        self.now_ns += i64::from(self.random.between(from, to)) * 1_000 + i64::from(nanoseconds);
    }

    pub(crate) fn note(&mut self, key: &'static str, value: Json) {
        if let Some(span) = self.open.last_mut() {
            span.attributes.push((key, value));
        }
    }

    pub(crate) fn event(&mut self, name: &'static str, attributes: Json) {
        let time_ns = self.now_ns;
        if let Some(span) = self.open.last_mut() {
            span.events.push(Event {
                name,
                time_ns,
                attributes,
            });
        }
    }

    /// Closes the span that was opened last.
    pub(crate) fn close(&mut self, outputs: Json) {
        self.pass_us(100, 1_500);
        if let Some(mut span) = self.open.pop() {
            span.outputs = Some(outputs);
            span.ended_ns = self.now_ns;
            self.ended.push(span);
        }
    }

    /// Closes the span of a model's call, which used as many tokens as its texts have.
    pub(crate) fn close_model(&mut self, model: &Model, outputs: Json) {
        if let Some(span) = self.open.last_mut() {
            span.model = Some(model.name);
            if model.is_chat {
                let (input_tokens, output_tokens) = (tokens(&span.inputs), tokens(&outputs));
                span.usage = Some(Usage {
                    input_tokens,
                    output_tokens,
                    input_cost: cost(input_tokens, model.cents_per_million_in),
                    output_cost: cost(output_tokens, model.cents_per_million_out),
                });
            }
        }
        self.close(outputs);
    }

    /// Closes the span that was opened last with an exception, as `with mlflow.start_span` does.
    pub(crate) fn fail(&mut self, exception: &Exception) {
        let name = self.open.last().map(|span| span.name).unwrap_or_default();
        let Exception { kind, message, .. } = exception;
        let stacktrace = format!(
            "Traceback (most recent call last):\n  File \"/app/support_agent/agent.py\", line 88, in call_tool\n    \
             return tool(**arguments)\n  File \"/app/{}\", line {}, in {name}\n    {}\n{kind}: {message}\n",
            exception.file, exception.line, exception.statement,
        );
        let attributes = object! {
            "exception.message": *message,
            "exception.type": *kind,
            "exception.stacktrace": stacktrace,
        };
        self.event("exception", attributes);
        self.pass_us(100, 1_500);
        if let Some(mut span) = self.open.pop() {
            span.error = Some(format!("{kind}: {message}"));
            span.ended_ns = self.now_ns;
            self.ended.push(span);
        }
    }
}

fn tokens(value: &Json) -> i64 {
    let letters = value.to_string().chars().count();
    i64::try_from(letters / LETTERS).unwrap_or_default() + 3
}

fn cost(tokens: i64, cents_per_million: u32) -> f64 {
    // A trace's tokens are far fewer than an `i32` holds.
    f64::from(i32::try_from(tokens).unwrap_or(i32::MAX)) * f64::from(cents_per_million) / 1e8
}
