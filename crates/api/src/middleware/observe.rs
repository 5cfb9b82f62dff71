//! What is known of every request: its id, its time, its log line.

use std::time::Instant;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue};

use super::access_log::{AccessLine, LoggedBody};
use super::request_id::{RequestId, X_REQUEST_ID};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Gives the request an id, the response that id and the time until it began (`server-timing: total;dur=<ms>`), and
/// logs one line once the body is sent or given up.
pub(super) async fn observe(mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let mut line = AccessLine::begin(begun, &id, &request);
    let response = next.run(request).await;
    line.answered(&response);
    let (mut parts, body) = response.into_parts();
    parts.headers.insert(X_REQUEST_ID, id.header_value());
    let timing = format!("total;dur={:.3}", begun.elapsed().as_secs_f64() * 1000.0);
    parts.headers.extend(
        HeaderValue::try_from(timing)
            .ok()
            .map(|timing| (SERVER_TIMING, timing)),
    );
    Response::from_parts(parts, axum::body::Body::new(LoggedBody::new(body, line)))
}
