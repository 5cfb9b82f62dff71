//! From an answer of the service to an HTTP response.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use service::{Answer, AnswerBody, CacheStatus, Fingerprint, Origin, Services};

use crate::extract::Conditions;
use crate::state::AppState;
use crate::stream::{Ending, SegmentedBody, coalesced};

/// The response's header for how an answer was come by.
pub const X_CACHE: http::HeaderName = http::HeaderName::from_static("x-cache");

/// Answers may be kept by the browser alone, and only shown after asking us whether they changed.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("private, no-cache");

/// RFC 9111 retired the header; RFC 5861's readers know it, and nothing else says it as plainly.
const STALE: HeaderValue = HeaderValue::from_static("110 - \"Response is Stale\"");

/// JSON bytes with their origin and, where they are whole, an `ETag`; 304 when the reader has them already. What is kept
/// encoded, for this view of the data, leaves as it is kept; what is not is encoded while it is sent, by a layer further out.
pub async fn json(
    answer: Answer,
    conditions: &Conditions,
    services: &Services,
    state: &AppState,
) -> Response {
    let mut headers = origin_headers(answer.origin);
    if let AnswerBody::Whole { fingerprint, .. } = answer.body {
        headers.extend(etag(fingerprint));
        if conditions.has(fingerprint) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(coding) = conditions.coding
        && let Some(text) = services.encoded(&answer, coding).await
    {
        headers.insert(
            header::CONTENT_ENCODING,
            HeaderValue::from_static(coding.as_str()),
        );
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        return whole(headers, vec![text], state).await;
    }
    match answer.body {
        AnswerBody::Whole { pieces, .. } => whole(headers, pieces, state).await,
        AnswerBody::Arriving(stream) => {
            // An error breaks the connection off: the reader must not take a part for the whole.
            let stream = coalesced(Ending::new(stream, state.ending().clone()));
            (headers, Body::from_stream(stream)).into_response()
        }
    }
}

async fn whole(headers: HeaderMap, pieces: Vec<Bytes>, state: &AppState) -> Response {
    match SegmentedBody::admitted(pieces, state.admission()).await {
        Ok(body) => (headers, Body::new(body)).into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// `x-cache`, `age` in whole seconds and `cache-control`; a `warning` on what is older than it should be.
pub fn origin_headers(origin: Origin) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([
        (header::CACHE_CONTROL, CACHE_CONTROL),
        (header::AGE, origin.age.as_secs().into()),
        (X_CACHE, HeaderValue::from_static(origin.status.as_str())),
    ]);
    if origin.status == CacheStatus::Stale {
        headers.insert(header::WARNING, STALE);
    }
    headers
}

fn etag(fingerprint: Fingerprint) -> Option<(header::HeaderName, HeaderValue)> {
    Some((header::ETAG, HeaderValue::from_str(&fingerprint.to_etag()).ok()?))
}
