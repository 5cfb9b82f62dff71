//! Identifiers, parsed once at the edge; past it an id is known to be safe in a path and in a filter.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// An identifier that does not follow the rule of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must be {rule}")]
pub struct InvalidId {
    /// The kind of identifier, as the API names it: `trace_id`, `run_id`, …
    pub kind: &'static str,
    /// The rule that the text broke, as the end of a sentence that begins "must be".
    pub rule: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal, $is_id:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let is_id: fn(&str) -> bool = $is_id;
                if text.is_empty() || text.len() > $max || !is_id(text) {
                    return Err(InvalidId { kind: $kind, rule: $rule });
                }
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

fn is_word(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// A number that fits MLflow's database, written as MLflow writes it: `03` would be another text for the same.
fn is_number(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_plain && text.parse::<i64>().is_ok()
}

id!(
    /// A trace: `tr-` and 32 hex digits since MLflow 2.14; other servers use bare hex.
    TraceId,
    "trace_id",
    64,
    is_word,
    "1 to 64 letters, digits, '-' or '_' (such as tr-6513270e269e0d37f2a74de452e6b438)"
);

id!(
    /// A run: 32 hex digits on MLflow.
    RunId,
    "run_id",
    64,
    is_word,
    "1 to 64 letters, digits, '-' or '_' (such as 0369c1902ac742509073ee058e6c6756)"
);

id!(
    /// An experiment. Always a number: MLflow answers 500 to a search with any other text.
    ExperimentId,
    "experiment_id",
    19,
    is_number,
    "a number of up to 19 digits (such as 1)"
);

id!(
    /// An assessment: `a-` and 32 hex digits.
    AssessmentId,
    "assessment_id",
    64,
    is_word,
    "1 to 64 letters, digits, '-' or '_' (such as a-62f7d4f6e9a04b7c8a6c9d9f0c1e2b3a)"
);

id!(
    /// A review app: 32 hex digits.
    ReviewAppId,
    "review_app_id",
    64,
    is_word,
    "1 to 64 letters, digits, '-' or '_' (such as 4b2f0d6c8e1a4f7d9c3b5a7e6f8d0c1b)"
);

id!(
    /// A labeling session: 32 hex digits.
    LabelingSessionId,
    "labeling_session_id",
    64,
    is_word,
    "1 to 64 letters, digits, '-' or '_' (such as 9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a)"
);

id!(
    /// An item of a labeling session: 32 hex digits.
    ItemId,
    "item_id",
    64,
    is_word,
    "1 to 64 letters, digits, '-' or '_' (such as 0f1e2d3c4b5a69788796a5b4c3d2e1f0)"
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepts_the_ids_mlflow_makes() {
        assert!("tr-6513270e269e0d37f2a74de452e6b438".parse::<TraceId>().is_ok());
        assert!("0369c1902ac742509073ee058e6c6756".parse::<RunId>().is_ok());
        for id in ["0", "864510938212345678", "9223372036854775807"] {
            assert!(id.parse::<ExperimentId>().is_ok(), "{id}");
        }
        for id in ["", "03", "9223372036854775808", "1e3", "-1", "+1", "١"] {
            assert!(id.parse::<ExperimentId>().is_err(), "{id}");
        }
    }

    #[test]
    fn names_the_rule_that_was_broken() {
        let error = "abc".parse::<ExperimentId>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "experiment_id must be a number of up to 19 digits (such as 1)"
        );
    }

    proptest! {
        #[test]
        fn an_accepted_id_is_safe_in_a_path_and_in_a_filter(text in ".{0,80}") {
            if let Ok(id) = text.parse::<RunId>() {
                prop_assert!(!id.as_str().contains(['/', '\'', '"', '%', '.', ' ', '\\', '\n']));
                prop_assert_eq!(id.as_str(), text);
            }
        }
    }
}
