//! Doors to what is measured and fuzzed by itself (feature `doors`); no part of the API.

use bytes::Bytes;

use crate::wire::otlp::TraceAnswer;

/// An answer of `traces/get` as the text of MLflow's dictionary format.
///
/// # Errors
/// When it is no such answer.
pub fn otlp_to_dictionary(answer: &[u8]) -> Result<Bytes, serde_json::Error> {
    serde_json::from_slice::<TraceAnswer>(answer)?.into_dictionary()
}
