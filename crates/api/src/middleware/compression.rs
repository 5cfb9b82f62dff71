//! Compression by `Accept-Encoding` while an answer is sent: gzip, br, zstd. What is kept encoded comes encoded already.

use std::convert::Infallible;
use std::future::ready;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{Extensions, HeaderMap, HeaderValue, StatusCode, Version, header};
use tower::{Layer, ServiceExt, service_fn};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, Predicate, SizeAbove};

/// Smaller bodies fit into one packet anyway, in bytes.
const SMALLEST: u64 = 1024;

type MayWait = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;
type IsWorthIt = And<SizeAbove, MayWait>;

/// What the reader takes, as it says.
pub(super) fn accepted(headers: &HeaderMap) -> Vec<HeaderValue> {
    headers.get_all(header::ACCEPT_ENCODING).iter().cloned().collect()
}

/// Has the library encode what it has to. All else passes it by: the body that it makes takes 6 KB, encoded or not, and is
/// moved a dozen times on its way out, which costs a fifth of an answer from the cache.
pub(super) async fn compress(mut response: Response, accepted: Vec<HeaderValue>) -> Response {
    if response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    if accepted.is_empty() {
        if is_worth_it().should_compress(&response) {
            let vary = HeaderValue::from_static("accept-encoding");
            response.headers_mut().append(header::VARY, vary);
        }
        return response;
    }
    // What was accepted is all that the layer looks at.
    let mut asked = Request::new(Body::empty());
    for value in accepted {
        asked.headers_mut().append(header::ACCEPT_ENCODING, value);
    }
    let mut response = Some(response);
    // Called once.
    let answering = service_fn(move |_| ready(Ok::<_, Infallible>(response.take().unwrap_or_default())));
    let compressing = CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(is_worth_it())
        .layer(answering);
    match compressing.oneshot(asked).await {
        Ok(response) => response.into_response(),
        Err(never) => match never {},
    }
}

fn is_worth_it() -> IsWorthIt {
    SizeAbove::new(SMALLEST).and(may_wait as MayWait)
}

/// The encoders hold bytes back until a block is full. What is read line by line while it arrives must not wait.
fn may_wait(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .map_or(&b""[..], |value| value.as_bytes());
    !(content_type.starts_with(b"application/x-ndjson")
        || content_type.starts_with(b"text/event-stream")
        || content_type.starts_with(b"image/"))
}
