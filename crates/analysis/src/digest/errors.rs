//! What failed, by what it says, numbers and ids left out: equal failures of different requests are one.

use domain::span::SpanView;

const MAX_KINDS: usize = 20;
const KIND_CHARS: usize = 160;
const SNIPPET_CHARS: usize = 300;

/// A kind of failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorKind {
    /// What tells it from others: its class, and what it says without numbers and ids.
    pub group: String,
    /// The class of the exception; empty where it is not said.
    pub exception: String,
    /// The span that failed, and its type.
    pub span: String,
    /// Its type.
    pub span_type: String,
    /// What it said first.
    pub snippet: String,
    /// How often.
    pub count: u64,
}

/// What failed in a trace.
#[derive(Debug, Clone, Default)]
pub struct Errors {
    /// In the order they were met. A failure that passes through many spans is one.
    pub kinds: Vec<ErrorKind>,
    /// Spans that failed.
    pub spans: u64,
}

impl Errors {
    pub(super) fn add(&mut self, span: &SpanView<'_>, span_type: &str) {
        self.spans += 1;
        let exception = span.exception().unwrap_or_default();
        let status = span.status();
        let said = if status.message().is_empty() {
            exception.message.as_str()
        } else {
            status.message()
        };
        // Status messages begin with the class, by MLflow's SDK.
        let group = grouped(
            said.strip_prefix(&exception.kind)
                .unwrap_or(said)
                .trim_start_matches([':', ' ']),
        );
        let class = first(&exception.kind, KIND_CHARS);
        let group = format!("{class}: {group}");
        if let Some(kind) = self.kinds.iter_mut().find(|kind| kind.group == group) {
            kind.count += 1;
            // Spans stand before what they call: the last is where it began.
            first(span.name(), KIND_CHARS).clone_into(&mut kind.span);
            span_type.clone_into(&mut kind.span_type);
        } else if self.kinds.len() < MAX_KINDS {
            self.kinds.push(ErrorKind {
                group,
                exception: class.to_owned(),
                span: first(span.name(), KIND_CHARS).to_owned(),
                span_type: span_type.to_owned(),
                snippet: first(said, SNIPPET_CHARS).to_owned(),
                count: 1,
            });
        }
    }
}

/// So many characters of a text at most.
fn first(text: &str, chars: usize) -> &str {
    let end = text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// What a message says, each number or id in it as `#`; so long as two words of full length at most.
fn grouped(message: &str) -> String {
    let mut group = String::new();
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_';
    let mut rest = message;
    while let Some(letter) = rest.chars().next() {
        if group.chars().count() >= KIND_CHARS {
            break;
        }
        let end = if is_part(letter) {
            rest.find(|letter| !is_part(letter))
        } else {
            Some(letter.len_utf8())
        };
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        let is_id = word.chars().any(|letter| letter.is_ascii_digit());
        group.push_str(if is_id { "#" } else { first(word, KIND_CHARS) });
        rest = after;
    }
    group
}
