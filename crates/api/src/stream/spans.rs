//! Spans while they arrive, in the form the reader asks for.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderValue, header};
use service::{Origin, ServiceError, SpanStream};

use super::{Ending, coalesced};
use crate::problem::Problem;
use crate::respond::origin_headers;
use crate::state::AppState;

/// A silent event stream is kept open by a comment at this pace: proxies close silent connections, often after 60 s.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The forms that streamed spans can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamForm {
    /// `application/x-ndjson`: one span a line.
    Ndjson,
    /// `application/json`: `{"spans":[…]}`.
    Json,
    /// `text/event-stream`: an event for each span.
    EventStream,
}

impl StreamForm {
    /// All forms, the one that is meant when the reader takes any first.
    const ALL: [Self; 3] = [Self::Ndjson, Self::Json, Self::EventStream];

    /// All forms, as a client is told that accepts none.
    pub const OFFERED: &str = "application/x-ndjson, application/json, text/event-stream";

    fn matches(self, range: &str) -> bool {
        match self {
            Self::Ndjson => matches!(
                range,
                "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/*" | "*/*"
            ),
            Self::Json => range == "application/json",
            Self::EventStream => matches!(range, "text/event-stream" | "text/*"),
        }
    }

    /// The form that `Accept` prefers, by weight, then by order.
    ///
    /// # Errors
    /// 406 when it allows none.
    pub fn accepted(headers: &HeaderMap) -> Result<Self, Problem> {
        let values: Vec<_> = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        let accept = values.join(",");
        if accept.trim().is_empty() {
            return Ok(Self::Ndjson);
        }
        let mut best: Option<(f32, Self)> = None;
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let range = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts
                .find_map(|part| part.strip_prefix("q=")?.parse().ok())
                .unwrap_or(1.0);
            let form = Self::ALL.into_iter().find(|form| form.matches(&range));
            if let Some(form) = form.filter(|_| weight > best.map_or(0.0, |(weight, _)| weight)) {
                best = Some((weight, form));
            }
        }
        best.map(|(_, form)| form)
            .ok_or_else(|| Problem::not_acceptable(Self::OFFERED))
    }
}

/// Why a stream ended early, where it says so in its own last line or event: its status was sent long before. Said of a response.
#[derive(Debug, Clone, Default)]
pub struct EndedEarly(Arc<OnceLock<Early>>);

#[derive(Debug)]
struct Early {
    cause: String,
    is_of_reader: bool,
}

impl EndedEarly {
    fn because(&self, error: &ServiceError) {
        // It ends once.
        let _ = self.0.set(Early {
            cause: error.to_string(),
            is_of_reader: error.is_of_reader(),
        });
    }

    /// The cause, for the log; `None` while it goes well.
    pub fn cause(&self) -> Option<&str> {
        self.0.get().map(|early| early.cause.as_str())
    }

    /// Whether its reader was too slow.
    pub fn is_of_reader(&self) -> bool {
        self.0.get().is_some_and(|early| early.is_of_reader)
    }
}

/// Spans as NDJSON or as events. An error, once spans are under way, is the last line `{"error":{"code","message"}}` or
/// the last event `error`; a whole NDJSON stream has no such line, a whole event stream ends with the event `end`.
pub fn stream_spans(spans: SpanStream, origin: Origin, form: StreamForm, state: &AppState) -> Response {
    let headers = origin_headers(origin);
    let early = EndedEarly::default();
    let told = Extension(early.clone());
    let batches = Ending::new(batches(spans), state.ending().clone());
    let batches = batches.inspect_err(move |error| early.because(error));
    match form {
        StreamForm::EventStream => {
            let sse = Sse::new(events(batches)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
            (headers, told, sse).into_response()
        }
        StreamForm::Ndjson | StreamForm::Json => {
            let content_type = (
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/x-ndjson"),
            );
            let body = Body::from_stream(coalesced(lines(batches)));
            (headers, told, [content_type], body).into_response()
        }
    }
}

type Batch = Result<Vec<Bytes>, ServiceError>;

fn batches(spans: SpanStream) -> impl Stream<Item = Batch> + Send {
    stream::unfold(
        spans,
        |mut spans| async move { Some((spans.next().await?, spans)) },
    )
}

fn lines(
    batches: impl Stream<Item = Batch> + Send,
) -> impl Stream<Item = Result<Bytes, ServiceError>> + Send {
    const NEWLINE: Bytes = Bytes::from_static(b"\n");
    let lines = batches.map(|batch| match batch {
        Ok(spans) => spans.into_iter().flat_map(|span| [span, NEWLINE]).collect(),
        Err(error) => vec![error_line(&error)],
    });
    lines.flat_map(stream::iter).map(Ok)
}

fn error_line(error: &ServiceError) -> Bytes {
    let mut line = BytesMut::from(error_json(error).as_bytes());
    line.put_u8(b'\n');
    line.freeze()
}

fn error_json(error: &ServiceError) -> String {
    serde_json::json!({"error": {"code": error.code(), "message": error.public_message()}}).to_string()
}

fn events(
    batches: impl Stream<Item = Batch> + Send,
) -> impl Stream<Item = Result<Event, axum::Error>> + Send {
    let ended = batches.map(Some).chain(stream::iter([None]));
    let events = ended.scan((0_usize, false), |(count, failed), batch| {
        let events = match batch {
            Some(Ok(spans)) => spans
                .iter()
                .map(|span| {
                    *count += 1;
                    event("span", &String::from_utf8_lossy(span))
                })
                .collect(),
            Some(Err(error)) => {
                *failed = true;
                vec![event("error", &error_json(&error))]
            }
            None if *failed => Vec::new(),
            None => vec![event("end", &serde_json::json!({ "spans": count }).to_string())],
        };
        std::future::ready(Some(stream::iter(events)))
    });
    events.flatten().map(Ok)
}

fn event(name: &str, data: &str) -> Event {
    Event::default().event(name).data(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_range_that_is_offered_wins() {
        for (accept, expected) in [
            ("", Some(StreamForm::Ndjson)),
            ("*/*", Some(StreamForm::Ndjson)),
            ("application/json", Some(StreamForm::Json)),
            ("Application/JSON; charset=utf-8", Some(StreamForm::Json)),
            ("text/event-stream", Some(StreamForm::EventStream)),
            (
                "application/json;q=0.5, text/event-stream;q=0.9",
                Some(StreamForm::EventStream),
            ),
            (
                "text/html, application/xhtml+xml, */*;q=0.8",
                Some(StreamForm::Ndjson),
            ),
            ("application/json;q=0", None),
            ("image/png", None),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            assert_eq!(StreamForm::accepted(&headers).ok(), expected, "{accept}");
        }
    }
}
