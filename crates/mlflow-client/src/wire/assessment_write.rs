//! An assessment as it is sent. It is not the form it comes back in.

use std::collections::BTreeMap;

use domain::{AssessmentKind, AssessmentSource};
use serde::Serialize;
use serde_json::value::RawValue;

/// Up to here a double holds every integer.
const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;

/// A new assessment, or what of one changes. The ids stand in the path, and here because MLflow's SDK sends them.
#[derive(Debug, Serialize)]
pub(crate) struct AssessmentWrite<'a> {
    pub(crate) trace_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) assessment_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) assessment_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<&'a AssessmentSource>,
    #[serde(flatten)]
    pub(crate) value: ValueWrite<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rationale: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: &'a BTreeMap<String, String>,
}

/// What an assessment says. One of the two is there.
#[derive(Debug, Serialize)]
pub(crate) struct ValueWrite<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback: Option<FeedbackWrite<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expectation: Option<ExpectationWrite<'a>>,
}

#[derive(Debug, Serialize)]
struct FeedbackWrite<'a> {
    value: &'a RawValue,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum ExpectationWrite<'a> {
    Value(&'a RawValue),
    SerializedValue {
        serialization_format: &'static str,
        value: &'a str,
    },
}

impl<'a> ValueWrite<'a> {
    /// The value as the server takes it; `None` when no double can hold one of its numbers, not even nearly.
    ///
    /// Such a number (`1e400`) becomes infinite in MLflow 3.17.2. Stored as an expectation it makes every later answer
    /// that holds its trace a 500, those of a whole search included, so it must not be sent at all.
    pub(crate) fn new(kind: AssessmentKind, value: &'a RawValue) -> Option<Self> {
        serde_json::from_str::<serde_json::Value>(value.get()).ok()?;
        let (feedback, expectation) = match kind {
            AssessmentKind::Feedback => (Some(FeedbackWrite { value }), None),
            AssessmentKind::Expectation => (None, Some(ExpectationWrite::new(value))),
        };
        Some(Self {
            feedback,
            expectation,
        })
    }
}

impl<'a> ExpectationWrite<'a> {
    /// A plain value is a protobuf `Value` to the server: its numbers are doubles, its objects have no order. What
    /// that would change goes as JSON text instead.
    fn new(value: &'a RawValue) -> Self {
        let text = value.get();
        let is_plain = match text.as_bytes().first() {
            Some(b'[' | b'{') => false,
            Some(b'-' | b'0'..=b'9') => is_same_as_a_double(text),
            _ => true,
        };
        if is_plain {
            Self::Value(value)
        } else {
            Self::SerializedValue {
                serialization_format: "JSON_FORMAT",
                value: text,
            }
        }
    }
}

/// Whether a number of JSON means the same once it was a double.
fn is_same_as_a_double(number: &str) -> bool {
    number.parse().is_ok_and(|double: f64| {
        double.abs() <= EXACT_INTEGERS && decimal(number) == decimal(&format!("{double:e}"))
    })
}

/// A number's digits from the first to the last that is not 0, and the power of ten of the last: one pair for `10`,
/// `10.0` and `1e1`. The sign is left out; it is never lost.
fn decimal(number: &str) -> Option<(String, i64)> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
    let exponent = exponent
        .parse::<i64>()
        .ok()?
        .checked_sub_unsigned(fraction.len() as u64)?;
    let short = digits.trim_end_matches('0');
    if short.is_empty() {
        return Some((String::new(), 0));
    }
    let power = exponent.checked_add_unsigned((digits.len() - short.len()) as u64)?;
    Some((short.trim_start_matches('0').to_owned(), power))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn written(kind: AssessmentKind, text: &str) -> Option<Value> {
        let value = RawValue::from_string(text.to_owned()).unwrap();
        ValueWrite::new(kind, &value).map(|write| serde_json::to_value(write).unwrap())
    }

    fn expectation(text: &str) -> Value {
        written(AssessmentKind::Expectation, text).unwrap()["expectation"].take()
    }

    fn as_text(text: &str) -> Value {
        json!({"serialized_value": {"serialization_format": "JSON_FORMAT", "value": text}})
    }

    #[test]
    fn what_a_protobuf_value_keeps_is_sent_plain() {
        for text in [
            "\"größe\"",
            "\"[1]\"",
            "true",
            "null",
            "4",
            "-0",
            "0.0",
            "-12.50",
            "0.1",
            "1e3",
            "1E-7",
            "9007199254740992",
            "-9007199254740992",
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(expectation(text), json!({ "value": value }), "{text}");
        }
    }

    #[test]
    fn what_a_protobuf_value_would_change_is_sent_as_its_text() {
        for text in [
            "9007199254740993",
            "-9007199254740993",
            "12345678901234567890",
            "1e300",
            "0.12345678901234567890123",
            "1e-400",
            "[]",
            "{}",
            r#"["a",["b",[1,{"c":[]}]]]"#,
            r#"{"z":1,"a":{"n":9007199254740993}}"#,
        ] {
            assert_eq!(expectation(text), as_text(text));
        }
    }

    #[test]
    fn a_feedback_is_sent_as_it_is() {
        for text in ["9007199254740993", r#"{"z":1,"a":[]}"#, "null", "\"x\""] {
            let value = RawValue::from_string(text.to_owned()).unwrap();
            let write = ValueWrite::new(AssessmentKind::Feedback, &value).unwrap();
            assert_eq!(
                serde_json::to_string(&write).unwrap(),
                format!(r#"{{"feedback":{{"value":{text}}}}}"#)
            );
        }
    }

    #[test]
    fn a_number_that_becomes_infinite_is_not_sent() {
        let many_digits = "9".repeat(400);
        for text in ["1e400", "-1e400", "[{\"a\":1e400}]", &many_digits] {
            assert!(written(AssessmentKind::Expectation, text).is_none(), "{text}");
            assert!(written(AssessmentKind::Feedback, text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_number_of_15_digits_survives_a_double(
            text in "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,9})?([eE][+-]?[0-9])?"
        ) {
            let sent = expectation(&text);
            prop_assert!(sent.get("value").is_some(), "{}", sent);
        }

        #[test]
        fn every_integer_is_kept(n in any::<i64>()) {
            let is_exact = n.unsigned_abs() <= 1 << 53;
            prop_assert_eq!(expectation(&n.to_string()).get("value").is_some(), is_exact);
        }
    }
}
