//! What a value breaks, in words that name the field.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// A field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {rule}")]
pub struct BrokenRule {
    /// The field, with its path: `categorical.options[1]`.
    pub field: String,
    /// The rule, as a sentence that goes on after the field's name: "must not be empty".
    pub rule: String,
}

impl BrokenRule {
    /// The rule that a field breaks.
    pub fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            rule: rule.into(),
        }
    }
}

/// The longest name of anything, in characters; MLflow keeps the names of assessments up to this.
pub const MAX_NAME: usize = 250;

/// Refuses a text that is empty, too long (in characters), or holds what cannot be shown.
///
/// # Errors
/// The rule that it breaks.
pub fn check_text(field: &str, text: &str, max_chars: usize) -> Result<(), BrokenRule> {
    if text.trim().is_empty() {
        return Err(BrokenRule::new(field, "must not be empty"));
    }
    if text.chars().count() > max_chars {
        return Err(BrokenRule::new(
            field,
            format!("must be at most {max_chars} characters long"),
        ));
    }
    // Databases refuse NUL; the others would break a line where a name is shown.
    if text.chars().any(char::is_control) {
        return Err(BrokenRule::new(field, "must hold no control characters"));
    }
    Ok(())
}

/// Refuses the one character that no database keeps.
///
/// # Errors
/// The rule that it breaks.
pub fn check_storable(field: &str, text: &str) -> Result<(), BrokenRule> {
    if text.contains('\0') {
        return Err(BrokenRule::new(field, "must hold no NUL"));
    }
    Ok(())
}

/// Reads null as if it were not there.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a text that another server stored; one that is no such value of ours is as if it were not there.
pub(crate) fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
{
    let text: Option<String> = Option::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()))
}

/// The names of the members that a change sets.
pub(crate) fn changed<const N: usize>(members: [(&'static str, bool); N]) -> Vec<&'static str> {
    let set = members.into_iter().filter(|(_, is_set)| *is_set);
    set.map(|(name, _)| name).collect()
}
