//! A span's text is checked once, where it comes in: what leaves here is valid JSON on one line, in the shape of MLflow 3.

use bytes::Bytes;
use memchr::{memchr2, memmem};
use serde::de::IgnoredAny;

use crate::json_check::is_surely_json;
use crate::span_v2;

/// Checks a span and mends the two things that Python writes and JSON does not have or a line-based format cannot
/// hold: bare `NaN`, `Infinity` and `-Infinity` (they become text, as protobuf's JSON has them) and line breaks
/// between tokens (they become spaces). `None` when it is not a JSON object even so.
pub fn checked(span: Bytes) -> Option<Bytes> {
    // A database keeps any value where a span's text belongs.
    if !span.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let span = if memchr2(b'\n', b'\r', &span).is_some() {
        on_one_line(&span)
    } else {
        span
    };
    if is_json(&span) {
        return Some(in_new_shape(&span).unwrap_or(span));
    }
    let has_word = [&b"NaN"[..], b"Infinity"]
        .iter()
        .any(|word| memmem::find(&span, word).is_some());
    let mended = has_word.then(|| with_quoted_non_finite(&span))?;
    is_json(&mended).then(|| in_new_shape(&mended).unwrap_or(mended))
}

/// A span of MLflow 2 rewritten; `None` for all others, of which nearly all are known by a glance.
fn in_new_shape(span: &[u8]) -> Option<Bytes> {
    memmem::find(span, b"\"context\"")?;
    Some(span_v2::to_v3(std::str::from_utf8(span).ok()?)?.into())
}

fn is_json(text: &[u8]) -> bool {
    // `from_slice` would not look at the encoding of strings it ignores.
    simdutf8::basic::from_utf8(text)
        .is_ok_and(|text| is_surely_json(text.as_bytes()) || serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// Within a JSON string a line break is always escaped, so a bare one stands between tokens.
fn on_one_line(span: &[u8]) -> Bytes {
    span.iter()
        .map(|byte| {
            if matches!(byte, b'\n' | b'\r') {
                b' '
            } else {
                *byte
            }
        })
        .collect()
}

fn with_quoted_non_finite(span: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(span.len() + 16);
    let (mut in_string, mut escaped, mut rest) = (false, false, span);
    while let Some((&byte, tail)) = rest.split_first() {
        if !in_string {
            let word = [&b"-Infinity"[..], b"Infinity", b"NaN"]
                .into_iter()
                .find(|word| rest.starts_with(word));
            if let Some(word) = word {
                out.push(b'"');
                out.extend_from_slice(word);
                out.push(b'"');
                rest = &rest[word.len()..];
                continue;
            }
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            _ => {}
        }
        out.push(byte);
        rest = tail;
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::SpanView;

    #[test]
    fn a_valid_span_is_not_touched() {
        let span = Bytes::from_static(br#"{"a": "NaN \" Infinity", "b": 1795457376829984805}"#);
        assert_eq!(checked(span.clone()).unwrap().as_ptr(), span.as_ptr());
    }

    #[test]
    fn pythons_numbers_that_json_lacks_become_text() {
        let span = Bytes::from_static(br#"{"e": [NaN, -Infinity,Infinity], "s": "NaN \" NaN"}"#);
        let expected = r#"{"e": ["NaN", "-Infinity","Infinity"], "s": "NaN \" NaN"}"#;
        assert_eq!(checked(span).unwrap(), expected);
    }

    #[test]
    fn line_breaks_between_tokens_become_spaces() {
        let span = Bytes::from_static(b"{\n  \"a\": \"x\\ny\"\r\n}");
        assert_eq!(checked(span).unwrap(), "{   \"a\": \"x\\ny\"  }");
    }

    #[test]
    fn a_span_of_mlflow_2_is_rewritten() {
        let old =
            br#"{"context": {"span_id": "0c5c7fd0a6a3a450", "trace_id": "00"}, "attributes": {"n": NaN}}"#;
        let new = checked(Bytes::from_static(old)).unwrap();
        assert_eq!(
            SpanView::parse(std::str::from_utf8(&new).unwrap()).unwrap().id(),
            "DFx/0KajpFA=".parse().ok()
        );
        let words =
            Bytes::from_static(br#"{"span_id": "DFx/0KajpFA=", "attributes": {"context": "\"context\""}}"#);
        assert_eq!(checked(words.clone()), Some(words));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            &b"{\"a\":}"[..],
            b"{\"a\":\"\xff\"}",
            b"{\"a\":NaNa}",
            b"{\"a\" 1}",
            b"{\"a\":01}",
            b"7",
            b"[{}]",
            b"",
        ] {
            assert_eq!(checked(Bytes::copy_from_slice(text)), None, "{text:?}");
        }
    }
}
