//! Spans, found in a text while it arrives.

use std::collections::HashMap;

use bytes::Bytes;
use domain::span_text;
use futures::FutureExt;
use serde::Deserialize;
use serde_json::value::RawValue;
use service::UnreadableSpans;
use service::doors::{arrive, find};

use crate::is_json;

/// The limit of the product, and one that is soon reached.
const LIMITS: [usize; 2] = [64 << 20, 24];

/// The longest name of a member beside `spans`.
const KEY_LIMIT: usize = 64;

/// Wherever the text is cut, the same spans are found and it ends in the same way; they are what the parser finds, where it
/// finds any; and what is kept is JSON with them in it.
pub(crate) fn run(data: &[u8]) {
    let whole = Bytes::copy_from_slice(data);
    for limit in LIMITS {
        let one = found(std::slice::from_ref(&whole), limit);
        assert!(one.0.iter().all(|span| span.len() <= limit), "too large");
        for length in [1, 3, 7, 64] {
            assert_eq!(
                found(&cut(&whole, length), limit),
                one,
                "pieces of {length}, limit {limit}"
            );
        }
    }
    let arrived = arrived(vec![whole.clone()]);
    for length in [1, 7] {
        assert_eq!(self::arrived(cut(&whole, length)), arrived, "pieces of {length}");
    }
    let expected = parsed(data);
    let Some((spans, document)) = arrived else {
        assert!(expected.is_none(), "refused: {:?}", found(&[whole], LIMITS[0]).1);
        return;
    };
    assert!(
        expected.is_none_or(|expected| expected == spans),
        "other spans than the parser's"
    );
    assert!(!document.contains(&b'\n'), "more than one line");
    assert_eq!(parsed(&document), Some(spans), "what is kept");
}

fn cut(text: &Bytes, length: usize) -> Vec<Bytes> {
    let starts = (0..text.len()).step_by(length);
    starts
        .map(|start| text.slice(start..text.len().min(start + length)))
        .collect()
}

fn found(pieces: &[Bytes], limit: usize) -> (Vec<Bytes>, Option<String>) {
    let (spans, end) = find(pieces, limit);
    (spans, end.err().map(|error: UnreadableSpans| error.to_string()))
}

/// The spans and what is kept of them. A text with two faults may be refused for either, by how it is cut.
fn arrived(pieces: Vec<Bytes>) -> Option<(Vec<Bytes>, Bytes)> {
    // All that is waited for is there.
    arrive(pieces, LIMITS[0]).now_or_never()?.ok()
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    spans: Vec<&'a RawValue>,
}

/// The spans that the parser finds, checked; none where it finds something else, or where the scanner may be stricter: names of
/// members are not unescaped, and may be only so long.
fn parsed(text: &[u8]) -> Option<Vec<Bytes>> {
    let text = std::str::from_utf8(text).ok()?;
    let members: HashMap<&str, &RawValue> = serde_json::from_str(text).ok()?;
    if !text.trim_start().starts_with('{') || members.keys().any(|name| name.len() > KEY_LIMIT) {
        return None;
    }
    let answer: Answer<'_> = serde_json::from_str(text).ok()?;
    let mut spans = answer.spans.iter().map(|span| span.get());
    if !spans
        .clone()
        .all(|span| span.starts_with('{') && is_json(span.as_bytes()))
    {
        return None;
    }
    spans.try_fold(Vec::new(), |mut all, span| {
        all.push(span_text::checked(Bytes::copy_from_slice(span.as_bytes()))?);
        Some(all)
    })
}
