//! What a comparison or an order is about: a key, and the kind of thing that has it.

use super::refusal::Refusal;

/// `tags.x`, ``tags.`my key` ``, `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// What stands before the first dot.
    pub(super) entity: Option<String>,
    /// What follows, without the quotes around it.
    pub(super) name: String,
}

impl Key {
    /// Takes a key apart as MLflow does: at the first dot, wherever it is.
    pub(super) fn new(written: &str) -> Result<Self, Refusal> {
        let (entity, name) = match written.split_once('.') {
            Some((entity, name)) => (Some(without(entity, '`').to_owned()), name),
            None => (None, written),
        };
        // One pair of straight quotes is taken away, then one of backticks.
        let bare = match name.chars().next() {
            Some(quote @ ('\'' | '"')) => without(name, quote),
            _ => name,
        };
        let name = without(bare, '`');
        if name.is_empty() {
            return Err(Refusal::new(format!("`{written}` names no key")));
        }
        Ok(Self {
            entity,
            name: name.to_owned(),
        })
    }
}

/// A text without the quotes around it, if it has them.
pub(super) fn without(text: &str, quote: char) -> &str {
    text.strip_prefix(quote)
        .and_then(|rest| rest.strip_suffix(quote))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_apart_as_mlflow_does() {
        let cases = [
            ("status", None, "status"),
            ("`status`", None, "status"),
            ("\"status\"", None, "status"),
            ("tags.x", Some("tags"), "x"),
            ("`tags`.`my key`", Some("tags"), "my key"),
            ("tags.\"my.key\"", Some("tags"), "my.key"),
            ("tags.'a'", Some("tags"), "a"),
            ("tags.'\"a\"'", Some("tags"), "\"a\""),
            ("tags.\"`a`\"", Some("tags"), "a"),
            ("tags.`\"a\"`", Some("tags"), "\"a\""),
            ("tags.a.b", Some("tags"), "a.b"),
            ("tags.x.", Some("tags"), "x."),
            ("`tags.x`", Some("`tags"), "x`"),
            (
                "span.attributes.`llm.model`",
                Some("span"),
                "attributes.`llm.model`",
            ),
            ("tags.`a``b`", Some("tags"), "a``b"),
        ];
        for (written, entity, name) in cases {
            let key = Key::new(written).unwrap();
            assert_eq!(
                (key.entity.as_deref(), key.name.as_str()),
                (entity, name),
                "{written}"
            );
        }
        for nameless in ["tags.", "tags.``", "tags.\"\"", "``"] {
            assert!(Key::new(nameless).is_err(), "{nameless}");
        }
    }
}
