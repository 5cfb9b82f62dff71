//! Doors to what is fuzzed by itself (feature `doors`); no part of the API.

/// Whether a text is taken for JSON without asking the parser.
pub fn is_surely_json(text: &str) -> bool {
    crate::json_check::is_surely_json(text.as_bytes())
}
