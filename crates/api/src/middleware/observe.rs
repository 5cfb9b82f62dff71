//! What is known of every request: its id, its time, its log line.

use std::time::Instant;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderName, HeaderValue};

use super::access_log::{AccessLine, LoggedBody};
use super::request_id::{RequestId, X_REQUEST_ID};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// A request that is being answered.
pub(super) struct Observed {
    begun: Instant,
    line: AccessLine,
}

impl Observed {
    /// Gives the request an id. One line is logged when the answer's body is sent or given up, or when this is dropped
    /// because nobody waits for an answer.
    pub(super) fn begin(request: &Request) -> Self {
        let begun = Instant::now();
        let line = AccessLine::begin(begun, RequestId::of(request.headers()), request);
        Self { begun, line }
    }

    pub(super) fn id(&self) -> &RequestId {
        self.line.request_id()
    }

    pub(super) fn path(&self) -> &str {
        self.line.path()
    }

    /// Gives the response the request's id and the time until it began (`server-timing: total;dur=<ms>`).
    pub(super) fn end(self, response: Response) -> Response {
        let Self { begun, mut line } = self;
        line.answered(&response);
        let (mut parts, body) = response.into_parts();
        parts
            .headers
            .insert(X_REQUEST_ID, line.request_id().header_value());
        let us = begun.elapsed().as_micros();
        let timing = HeaderValue::try_from(format!("total;dur={}.{:03}", us / 1000, us % 1000));
        parts
            .headers
            .extend(timing.ok().map(|timing| (SERVER_TIMING, timing)));
        Response::from_parts(parts, Body::new(LoggedBody::new(body, line)))
    }
}
