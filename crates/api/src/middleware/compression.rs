//! Compression by `Accept-Encoding`: gzip, br, zstd.

use http::{Extensions, HeaderMap, StatusCode, Version, header};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{And, Predicate, SizeAbove};

/// Smaller bodies fit into one packet anyway, in bytes.
const SMALLEST: u64 = 1024;

type MayWait = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// Compresses fast rather than small: the reader waits for it on every answer.
pub(super) fn layer() -> CompressionLayer<And<SizeAbove, MayWait>> {
    let predicate = SizeAbove::new(SMALLEST).and(may_wait as MayWait);
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(predicate)
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
