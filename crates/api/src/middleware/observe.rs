//! What is known of every request: its id, its time, its log line.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderName, HeaderValue};

use super::access_log::{AccessLine, LoggedBody};
use super::request_id::{RequestId, X_REQUEST_ID};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// A request that is being answered.
pub(super) struct Observed(AccessLine);

impl Observed {
    /// Gives the request an id. One line is logged when the answer's body is sent or given up, or when this is dropped
    /// because nobody waits for an answer.
    pub(super) fn begin(request: &Request) -> Self {
        Self(AccessLine::begin(request))
    }

    pub(super) fn id(&self) -> &RequestId {
        self.0.request_id()
    }

    pub(super) fn path(&self) -> &str {
        self.0.path()
    }

    /// Gives the response the request's id and the time until it began (`server-timing: total;dur=<ms>`).
    pub(super) fn end(self, response: Response) -> Response {
        let Self(mut line) = self;
        line.answered(&response);
        let (mut parts, body) = response.into_parts();
        parts
            .headers
            .insert(X_REQUEST_ID, line.request_id().header_value());
        let us = line.first_byte().as_micros();
        let timing = HeaderValue::try_from(format!("total;dur={}.{:03}", us / 1000, us % 1000));
        parts
            .headers
            .extend(timing.ok().map(|timing| (SERVER_TIMING, timing)));
        Response::from_parts(parts, Body::new(LoggedBody::new(body, line)))
    }
}
