//! Doors to what is measured by itself (feature `bench`); no part of the API.

use bytes::Bytes;

use crate::encoded::Coding;
use crate::error::UnreadableSpans;
use crate::preview;
use crate::spans::SpanScanner;

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

/// What was asked, in one line.
pub fn preview_of_request(text: &str) -> Option<String> {
    preview::request(text)
}

/// A text in a coding, as it is kept.
pub async fn encode(coding: Coding, text: Bytes) -> Option<Vec<u8>> {
    coding.encode(&[text]).await.ok()
}
