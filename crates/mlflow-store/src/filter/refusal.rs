//! Why a filter, an order or a page token is not accepted, in one message for the user.

/// What is wrong with a request, and what is possible instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

impl Refusal {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// The longest part of a user's text that a message repeats, in characters.
const MAX_EXCERPT: usize = 80;

/// The start of a text, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    let mut characters = text.chars();
    let mut start: String = characters.by_ref().take(MAX_EXCERPT).collect();
    if characters.next().is_some() {
        start.push('…');
    }
    start
}

/// The entries of a list, as a sentence names them: `a`, `b` and `c`.
pub(crate) fn listing(entries: &[&str]) -> String {
    match entries {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_stay_short() {
        assert_eq!(excerpt("größe"), "größe");
        let long = "ß".repeat(100);
        assert_eq!(excerpt(&long).chars().count(), 81);
        assert_eq!(listing(&["a", "b", "c"]), "a, b and c");
        assert_eq!(listing(&["a"]), "a");
        assert_eq!(listing(&[]), "");
    }
}
