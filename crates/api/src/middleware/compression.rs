//! Content codings: an answer is encoded while it is sent. What is kept encoded comes encoded already.

use std::convert::Infallible;
use std::future::ready;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body::Body as _;
use service::{Coding, SMALLEST_ENCODED};
use tower::{Layer, ServiceExt, service_fn};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

/// Encodes what is worth it. All else passes by: the body that the library makes takes 6 KB, encoded or not, and is moved a
/// dozen times on its way out, which costs a fifth of an answer from the cache.
pub(super) async fn encode(mut response: Response, coding: Option<Coding>, is_head: bool) -> Response {
    if !is_worth_it(&response, is_head) {
        return response;
    }
    let (headers, vary) = (
        response.headers_mut(),
        HeaderValue::from_static("accept-encoding"),
    );
    let Some(coding) = coding.map(|coding| HeaderValue::from_static(coding.as_str())) else {
        headers.append(header::VARY, vary);
        return response;
    };
    if is_head {
        // The body is gone already; what it would come with is said all the same.
        headers.append(header::VARY, vary);
        headers.insert(header::CONTENT_ENCODING, coding);
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::ACCEPT_RANGES);
        return response;
    }
    let mut asked = Request::new(Body::empty());
    asked.headers_mut().insert(header::ACCEPT_ENCODING, coding);
    let mut response = Some(response);
    // Called once.
    let answering = service_fn(move |_| ready(Ok::<_, Infallible>(response.take().unwrap_or_default())));
    let encoding = CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(|_, _, _: &HeaderMap, _: &_| true)
        .layer(answering);
    match encoding.oneshot(asked).await {
        Ok(response) => response.into_response(),
        Err(never) => match never {},
    }
}

/// Whether encoding it would help, and hold nothing up: the encoders keep bytes back until a block is full, and what is read
/// line by line while it arrives must not wait.
fn is_worth_it(response: &Response, is_head: bool) -> bool {
    let (headers, status) = (response.headers(), response.status());
    let is_bodiless = status == StatusCode::NOT_MODIFIED || status == StatusCode::NO_CONTENT;
    if is_bodiless
        || headers.contains_key(header::CONTENT_ENCODING)
        || headers.contains_key(header::CONTENT_RANGE)
    {
        return false;
    }
    let is_of = |kind: &str| {
        let content_type = headers.get(header::CONTENT_TYPE);
        content_type.is_some_and(|value| value.as_bytes().starts_with(kind.as_bytes()))
    };
    let is_small = |bytes: u64| bytes < SMALLEST_ENCODED as u64;
    !(length(response, is_head).is_some_and(is_small)
        || is_of("application/x-ndjson")
        || is_of("text/event-stream")
        || is_of("image/"))
}

/// The length of the body, of the one that is not sent as well.
fn length(response: &Response, is_head: bool) -> Option<u64> {
    let said = response.headers().get(header::CONTENT_LENGTH);
    let said = said.and_then(|length| length.to_str().ok()?.parse().ok());
    said.or_else(|| response.body().size_hint().exact().filter(|_| !is_head))
}
