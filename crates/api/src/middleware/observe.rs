//! What is known of every request: its id, where its time went, its log line and its count.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderName, HeaderValue};

use super::access_log::{AccessLine, LoggedBody};
use super::is_of_watchers;
use super::request_id::{RequestId, X_REQUEST_ID};
use super::request_span::RequestSpan;
use crate::metrics::{RequestMetrics, Routes};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Less is not told: a header is bytes too.
const TOLD_FROM: Duration = Duration::from_micros(100);

/// A time that is worth telling.
pub(super) fn told(time: Duration) -> Option<Duration> {
    (time >= TOLD_FROM).then_some(time)
}

/// Sees every request.
#[derive(Debug, Clone)]
pub(crate) struct Observer(Arc<Observing>);

#[derive(Debug)]
pub(super) struct Observing {
    pub(super) metrics: RequestMetrics,
    routes: Routes,
    pub(super) slow: Duration,
    is_traced: bool,
}

/// How long a request waited for its turn; said of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Queued(pub(super) Duration);

impl Observer {
    /// One that takes longer than `slow` until its answer begins is warned of. Where `is_traced`, each is a span, but those of
    /// watchers.
    pub(crate) fn new(metrics: RequestMetrics, routes: Routes, slow: Duration, is_traced: bool) -> Self {
        Self(Arc::new(Observing {
            metrics,
            routes,
            slow,
            is_traced,
        }))
    }

    /// Gives the request an id. One line is logged when the answer's body is sent or given up, or when this is dropped
    /// because nobody waits for an answer.
    pub(super) fn begin(&self, request: &Request) -> Observed {
        let path = request.uri().path();
        let route = self.0.routes.of(path);
        let span = if self.0.is_traced && !is_of_watchers(path) {
            RequestSpan::begin(request, route.name())
        } else {
            RequestSpan::default()
        };
        Observed(AccessLine::begin(request, route, span, Arc::clone(&self.0)))
    }
}

/// A request that is being answered.
pub(super) struct Observed(AccessLine);

impl Observed {
    pub(super) fn id(&self) -> &RequestId {
        self.0.request_id()
    }

    pub(super) fn path(&self) -> &str {
        self.0.path()
    }

    /// Does what the request asks for: in its trace, and how long it waits for others is noted.
    pub(super) async fn around<T>(&self, work: impl Future<Output = T>) -> T {
        let waiting = self.0.times().waiting.clone();
        self.0.span().around(waiting.of(work)).await
    }

    /// Gives the response the request's id, and where the time until it began went, in ms: `server-timing: total;dur=…`,
    /// `queue` (waiting for its turn), `upstream` (waiting for MLflow, or for somebody else's call of it).
    pub(super) fn end(self, response: Response) -> Response {
        let Self(mut line) = self;
        line.answered(&response);
        let (mut parts, body) = response.into_parts();
        parts
            .headers
            .insert(X_REQUEST_ID, line.request_id().header_value());
        let times = line.times();
        let mut timing = String::with_capacity(64);
        let first = ("total", times.first_byte);
        let further = [("queue", times.queued), ("upstream", times.waiting.so_far())];
        let further = further
            .into_iter()
            .filter_map(|(name, time)| Some((name, told(time)?)));
        for (name, time) in [first].into_iter().chain(further) {
            let comma = if timing.is_empty() { "" } else { ", " };
            let us = time.as_micros();
            // A text takes any writing.
            let _ = write!(timing, "{comma}{name};dur={}.{:03}", us / 1000, us % 1000);
        }
        let timing = HeaderValue::try_from(timing);
        parts
            .headers
            .extend(timing.ok().map(|timing| (SERVER_TIMING, timing)));
        Response::from_parts(parts, Body::new(LoggedBody::new(body, line)))
    }
}
