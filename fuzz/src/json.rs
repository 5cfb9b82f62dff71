//! Whether a text is JSON, and what is mended of a span's text.

use bytes::Bytes;
use domain::doors::is_surely_json;
use domain::span_text::checked;

use crate::is_json;

/// Deeper than this the parser is asked.
const MAX_DEPTH: usize = 64;

/// The walk says what the parser says. What is checked is an object of JSON on one line, and every such object passes, as it
/// came where nothing is to mend.
pub(crate) fn run(data: &[u8]) {
    let is_valid = is_json(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let is_sure = is_surely_json(text);
        assert!(is_valid || !is_sure, "taken for JSON");
        assert!(
            is_sure || !is_valid || depth(data) > MAX_DEPTH,
            "not taken for JSON"
        );
    }
    let span = checked(Bytes::copy_from_slice(data));
    let is_object = data.trim_ascii_start().starts_with(b"{");
    assert!(span.is_some() || !(is_valid && is_object), "an object is refused");
    assert!(span.is_none() || is_object, "what is no object passes");
    let Some(span) = span else {
        return;
    };
    assert!(is_json(&span), "what is no JSON passes");
    assert!(
        !span.contains(&b'\n') && !span.contains(&b'\r'),
        "more than one line"
    );
    assert_eq!(
        checked(span.clone()),
        Some(span.clone()),
        "checked is not checked for good"
    );
    let may_be_mended = data.contains(&b'\n') || data.contains(&b'\r') || is_of_mlflow_2(data);
    assert!(!is_valid || may_be_mended || span == data, "changed for nothing");
}

/// Its spans have a member of this name.
fn is_of_mlflow_2(span: &[u8]) -> bool {
    let name = b"\"context\"";
    span.windows(name.len()).any(|window| window == name)
}

/// How deep arrays and objects go in a text that is JSON.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut is_escaped) = (0_usize, 0, false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
