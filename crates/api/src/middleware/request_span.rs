//! The span of a request, by OpenTelemetry's conventions for HTTP servers: in the trace of whoever asks, where they say which.
//! Of a request it says no more than the access log: its route and path, never its query, its body or who asked.

use axum::extract::Request;
use futures::future::Either;
use http::{HeaderValue, StatusCode};
use opentelemetry::trace::{FutureExt, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_http::HeaderExtractor;

use super::access_log::Times;
use crate::metrics::{BrokenOff, OTHER, method};

/// The span of a request, where it is traced.
#[derive(Debug, Default)]
pub(super) struct RequestSpan(Option<Context>);

impl RequestSpan {
    /// Begins the span, in the trace that `traceparent` names, else in a new one. Whether it is recorded says whoever began the
    /// trace, else `OTEL_TRACES_SAMPLER`.
    pub(super) fn begin(request: &Request, route: &str) -> Self {
        let headers = HeaderExtractor(request.headers());
        let parent = global::get_text_map_propagator(|propagator| propagator.extract(&headers));
        let tracer = global::tracer("trace-server");
        let route = (route != OTHER).then(|| route.to_owned());
        let method = match method(request.method()) {
            OTHER => "_OTHER",
            known => known,
        };
        let name = match &route {
            Some(route) => format!("{method} {route}"),
            None => method.to_owned(),
        };
        let path = request.uri().path().to_owned();
        let attributes = [
            Some(KeyValue::new("http.request.method", method)),
            Some(KeyValue::new("url.path", path)),
            // TLS ends before us.
            Some(KeyValue::new("url.scheme", "http")),
            route.map(|route| KeyValue::new("http.route", route)),
        ];
        let span = tracer
            .span_builder(name)
            .with_kind(SpanKind::Server)
            .with_attributes(attributes.into_iter().flatten())
            .start_with_context(&tracer, &parent);
        Self(Some(parent.with_span(span)))
    }

    /// What is done for the request is of its trace.
    pub(super) fn around<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        match &self.0 {
            Some(context) => Either::Left(work.with_context(context.clone())),
            None => Either::Right(work),
        }
    }

    /// The same for one poll of its answer.
    pub(super) fn around_poll<T>(&self, poll: impl FnOnce() -> T) -> T {
        let _attached = self.0.clone().map(Context::attach);
        poll()
    }

    /// The trace, where it is recorded: 32 hexadecimal digits.
    pub(super) fn trace_id(&self) -> Option<String> {
        let context = self.0.as_ref()?;
        let span = context.span();
        span.is_recording()
            .then(|| span.span_context().trace_id().to_string())
    }

    /// Ends it with what is known of the answer.
    pub(super) fn end(&self, end: &End<'_>) {
        let Some(context) = &self.0 else {
            return;
        };
        let span = context.span();
        if span.is_recording() {
            span.set_attributes(end.attributes());
            if end.failure().is_some() {
                span.set_status(Status::error(end.cause.unwrap_or_default().to_owned()));
            }
        }
        span.end();
    }
}

/// What is known of a request at its end.
pub(super) struct End<'a> {
    pub(super) request_id: &'a str,
    /// `None` where nobody waited for an answer.
    pub(super) status: Option<StatusCode>,
    pub(super) cache: Option<&'a HeaderValue>,
    pub(super) cause: Option<&'a str>,
    pub(super) times: &'a Times,
    pub(super) bytes: u64,
    pub(super) is_whole: bool,
    pub(super) broken_off: Option<BrokenOff>,
}

impl End<'_> {
    /// How it failed: by a status of ours, because nobody waited, or in the middle of the answer.
    fn failure(&self) -> Option<String> {
        match self.status {
            None => Some("given_up".to_owned()),
            Some(status) if status.is_server_error() => Some(status.as_u16().to_string()),
            Some(_) => self.broken_off.map(|_| "broken_off".to_owned()),
        }
    }

    fn attributes(&self) -> impl Iterator<Item = KeyValue> {
        let ms = |time: std::time::Duration| time.as_secs_f64() * 1000.0;
        let status = self.status.map(|status| i64::from(status.as_u16()));
        let cache = self.cache.and_then(|cache| cache.to_str().ok());
        let bytes = i64::try_from(self.bytes).unwrap_or(i64::MAX);
        [
            Some(KeyValue::new(
                "trace_server.request_id",
                self.request_id.to_owned(),
            )),
            status.map(|status| KeyValue::new("http.response.status_code", status)),
            self.failure().map(|how| KeyValue::new("error.type", how)),
            cache.map(|cache| KeyValue::new("trace_server.cache", cache.to_owned())),
            Some(KeyValue::new("http.response.body.size", bytes)),
            Some(KeyValue::new("trace_server.whole", self.is_whole)),
            Some(KeyValue::new("trace_server.queue_ms", ms(self.times.queued))),
            Some(KeyValue::new(
                "trace_server.upstream_ms",
                ms(self.times.waiting.so_far()),
            )),
            Some(KeyValue::new(
                "trace_server.first_byte_ms",
                ms(self.times.first_byte),
            )),
        ]
        .into_iter()
        .flatten()
    }
}
