//! Doors to what is measured and fuzzed by itself (feature `doors`); no part of the API.

use bytes::Bytes;
use futures::{StreamExt, stream};

use crate::encoded::Coding;
use crate::error::{ServiceError, UnreadableSpans};
use crate::ports::SpanPieces;
use crate::preview;
use crate::spans::{Arrival, SpanScanner, SpanSet};

/// How many spans are found in a text that arrives in these pieces.
///
/// # Errors
/// When the text is not `{"spans":[…]}`.
pub fn scan(pieces: &[Bytes]) -> Result<usize, UnreadableSpans> {
    let (mut scanner, mut found, mut spans) = (SpanScanner::new(usize::MAX), Vec::new(), 0);
    for piece in pieces {
        scanner.push(piece, &mut found)?;
        spans += found.len();
        found.clear();
    }
    scanner.finish()?;
    Ok(spans)
}

/// The spans that are found in a text that arrives in these pieces, each of so many bytes at most, and how it ended.
pub fn find(pieces: &[Bytes], span_bytes: usize) -> (Vec<Bytes>, Result<(), UnreadableSpans>) {
    let (mut scanner, mut found) = (SpanScanner::new(span_bytes), Vec::new());
    let mut pushed = pieces.iter().map(|piece| scanner.push(piece, &mut found));
    let end = pushed.find(Result::is_err).unwrap_or(Ok(()));
    drop(pushed);
    let end = end.and_then(|()| scanner.finish());
    (found, end)
}

/// The same with each span checked, and the text that they are kept as. They are whatever trace's.
///
/// # Errors
/// When the text is not `{"spans":[…]}`, or a span is no JSON.
pub async fn arrive(pieces: Vec<Bytes>, span_bytes: usize) -> Result<(Vec<Bytes>, Bytes), ServiceError> {
    let pieces = stream::iter(pieces.into_iter().map(Ok)).boxed();
    // An id that no span names by its own.
    let trace = "any".parse().map_err(|_| ServiceError::Interrupted)?;
    let mut arrival = Arrival::new(SpanPieces::Text(pieces), trace, span_bytes);
    let mut spans = Vec::new();
    while let Some(found) = arrival.next().await {
        spans.append(found?);
    }
    arrival.finish()?;
    let document = SpanSet::join(&spans).document();
    Ok((spans, document))
}

/// What was asked, in one line.
pub fn preview_of_request(text: &str) -> Option<String> {
    preview::request(text)
}

/// A text in a coding, as it is kept.
pub async fn encode(coding: Coding, text: Bytes) -> Option<Vec<u8>> {
    coding.encode(&[text]).await.ok()
}
