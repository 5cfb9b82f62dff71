//! Doors to what is fuzzed by itself (feature `doors`); no part of the API.

use serde::de::DeserializeOwned;

use crate::extract;
use crate::problem::Problem;

/// A request's body, read as what its route takes.
///
/// # Errors
/// When it is no JSON, or breaks a rule.
pub fn read_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    extract::parse(body)
}
