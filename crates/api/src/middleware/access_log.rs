//! One line for each request, written when its body is sent or given up.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};

use service::Waiting;

use super::observe::{Observing, Queued, told};
use super::patience::is_of_reader;
use super::request_id::RequestId;
use super::request_span::{End, RequestSpan};
use crate::metrics::{BrokenOff, Outcome, Route};
use crate::problem::Problem;
use crate::respond::X_CACHE;
use crate::stream::EndedEarly;

/// What the line will say. Never a query string, a body or a header that could hold a secret.
#[derive(Debug)]
pub(super) struct AccessLine {
    begun: Instant,
    request_id: RequestId,
    method: Method,
    path: String,
    /// `None` until there is an answer: who leaves before gets none.
    status: Option<StatusCode>,
    cache: Option<HeaderValue>,
    cause: Option<String>,
    ended_early: Option<EndedEarly>,
    times: Times,
    bytes: u64,
    /// What its head says, where it does: a body of files does not say when it is at its end.
    length: Option<u64>,
    is_whole: bool,
    route: Route,
    span: RequestSpan,
    observing: Arc<Observing>,
}

/// Where the time until an answer began went.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// All of it.
    pub(super) first_byte: Duration,
    /// Waiting for its turn.
    pub(super) queued: Duration,
    /// Waiting for others.
    pub(super) waiting: Waiting,
}

impl AccessLine {
    pub(super) fn begin(
        request: &Request,
        route: Route,
        span: RequestSpan,
        observing: Arc<Observing>,
    ) -> Self {
        Self {
            begun: Instant::now(),
            request_id: RequestId::of(request.headers()),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            status: None,
            cache: None,
            cause: None,
            ended_early: None,
            times: Times::default(),
            bytes: 0,
            length: None,
            is_whole: false,
            route,
            span,
            observing,
        }
    }

    pub(super) fn request_id(&self) -> &RequestId {
        &self.request_id
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn answered(&mut self, response: &Response) {
        self.status = Some(response.status());
        self.cache = response.headers().get(X_CACHE).cloned();
        let problem = response.extensions().get::<Problem>();
        self.cause = problem.map(|problem| {
            problem
                .cause()
                .map_or_else(|| problem.detail().to_owned(), ToString::to_string)
        });
        self.ended_early = response.extensions().get().cloned();
        let length = response.headers().get(CONTENT_LENGTH);
        self.length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let queued = response.extensions().get::<Queued>();
        self.times.queued = queued.map_or(Duration::ZERO, |queued| queued.0);
        self.times.first_byte = self.begun.elapsed();
    }

    pub(super) fn times(&self) -> &Times {
        &self.times
    }

    /// How long the answer was waited for: until it began, or for MLflow by one that began before; by who left, until then.
    fn waited(&self) -> Duration {
        match self.status {
            Some(_) => self.times.first_byte.max(self.times.waiting.so_far()),
            None => self.begun.elapsed(),
        }
    }

    fn broken_off(&self) -> Option<BrokenOff> {
        let began = self.status.is_some_and(|status| status.is_success());
        match self.cause() {
            _ if !began => None,
            Some(_) if self.ended_early.as_ref().is_some_and(EndedEarly::is_of_reader) => {
                Some(BrokenOff::Left)
            }
            Some(_) => Some(BrokenOff::Failed),
            None => (!self.is_whole).then_some(BrokenOff::Left),
        }
    }

    fn has_failed(&self) -> bool {
        let is_error = self.status.is_none_or(|status| status.is_server_error());
        is_error || self.broken_off() == Some(BrokenOff::Failed)
    }

    fn cause(&self) -> Option<&str> {
        let early = self.ended_early.as_ref().and_then(EndedEarly::cause);
        self.cause.as_deref().or(early)
    }

    pub(super) fn span(&self) -> &RequestSpan {
        &self.span
    }

    fn end_span(&self) {
        self.span.end(&End {
            request_id: self.request_id.as_str(),
            status: self.status,
            cache: self.cache.as_ref(),
            cause: self.cause(),
            times: &self.times,
            bytes: self.bytes,
            is_whole: self.is_whole,
            broken_off: self.broken_off(),
        });
    }

    fn count(&self) {
        self.observing.metrics.count(&Outcome {
            method: &self.method,
            route: &self.route,
            status: self.status,
            waited: self.waited(),
            bytes: self.bytes,
            cache: self.cache.as_ref().and_then(|cache| cache.to_str().ok()),
            broken_off: self.broken_off(),
        });
    }
}

impl Drop for AccessLine {
    fn drop(&mut self) {
        self.count();
        if self.status.is_none() {
            self.cause = Some("nobody waited for the answer any more".to_owned());
        }
        let trace_id = self.span.trace_id();
        // Milliseconds to the microsecond: more is noise.
        let ms = |time: Duration| (time.as_secs_f64() * 1_000_000.0).round() / 1000.0;
        macro_rules! line {
            ($level:ident, $message:literal) => {
                tracing::$level!(
                    target: "access",
                    request_id = self.request_id.as_str(),
                    trace_id,
                    method = self.method.as_str(),
                    path = self.path,
                    status = self.status.map(|status| status.as_u16()),
                    bytes = self.bytes,
                    first_byte_ms = ms(self.times.first_byte),
                    queue_ms = told(self.times.queued).map(ms),
                    upstream_ms = told(self.times.waiting.so_far()).map(ms),
                    duration_ms = ms(self.begun.elapsed()),
                    cache = self.cache.as_ref().and_then(|cache| cache.to_str().ok()),
                    whole = self.is_whole,
                    cause = self.cause(),
                    $message
                )
            };
        }
        if self.status.is_some() && self.waited() >= self.observing.slow {
            line!(warn, "slow request");
        } else if self.has_failed() {
            line!(warn, "request");
        } else {
            line!(info, "request");
        }
        self.end_span();
    }
}

/// A body whose bytes are counted for its line.
#[derive(Debug)]
pub(super) struct LoggedBody {
    body: Body,
    line: AccessLine,
}

impl LoggedBody {
    pub(super) fn new(body: Body, mut line: AccessLine) -> Self {
        // Nothing will be polled of an empty body.
        line.is_whole = body.is_end_stream();
        Self { body, line }
    }
}

impl HttpBody for LoggedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self { body, line } = &mut *self;
        // What is still asked of MLflow is of this request.
        let poll = || Pin::new(body).poll_frame(cx);
        let frame = line.span.around_poll(|| line.times.waiting.of_poll(poll));
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                self.line.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                self.line.is_whole = self.body.is_end_stream() || self.line.length == Some(self.line.bytes);
            }
            Poll::Ready(Some(Err(error))) => {
                self.line.is_whole = false;
                // That is no fault of the answer.
                if !is_of_reader(error) {
                    self.line.cause = Some(error.to_string());
                }
            }
            Poll::Ready(None) => self.line.is_whole = true,
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
