//! An assessment as it is answered, alone or inside a `TraceInfoV3`.

use std::collections::BTreeMap;

use domain::{Assessment, AssessmentError, AssessmentSource, AssessmentValue, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Debug, Deserialize)]
pub(crate) struct AssessmentV3 {
    #[serde(default)]
    assessment_id: String,
    #[serde(default)]
    assessment_name: String,
    #[serde(default)]
    trace_id: String,
    span_id: Option<String>,
    source: AssessmentSource,
    create_time: Timestamp,
    last_update_time: Timestamp,
    feedback: Option<FeedbackV3>,
    expectation: Option<ExpectationV3>,
    issue: Option<Box<RawValue>>,
    rationale: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    overrides: Option<String>,
    valid: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct FeedbackV3 {
    value: Option<Box<RawValue>>,
    error: Option<AssessmentError>,
}

#[derive(Debug, Deserialize)]
struct ExpectationV3 {
    value: Option<Box<RawValue>>,
    serialized_value: Option<SerializedValue>,
}

#[derive(Debug, Deserialize)]
struct SerializedValue {
    value: String,
}

fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

impl ExpectationV3 {
    /// Lists and objects always come as JSON text; a text that is no JSON stands for itself.
    fn into_value(self) -> Box<RawValue> {
        match (self.value, self.serialized_value) {
            (Some(value), _) => value,
            (None, Some(SerializedValue { value })) => RawValue::from_string(value.clone())
                .or_else(|_| serde_json::value::to_raw_value(&value))
                .unwrap_or_else(|_| null()),
            (None, None) => null(),
        }
    }
}

impl From<AssessmentV3> for Assessment {
    fn from(wire: AssessmentV3) -> Self {
        let value = match (wire.expectation, wire.issue, wire.feedback) {
            (Some(expectation), _, _) => AssessmentValue::Expectation {
                value: expectation.into_value(),
            },
            (None, Some(issue), _) => AssessmentValue::Issue { issue },
            (None, None, Some(FeedbackV3 { value, error })) => AssessmentValue::Feedback {
                value: value.unwrap_or_else(null),
                error,
            },
            (None, None, None) => AssessmentValue::Feedback {
                value: null(),
                error: None,
            },
        };
        Self {
            assessment_id: wire.assessment_id,
            name: wire.assessment_name,
            trace_id: wire.trace_id,
            span_id: wire.span_id.filter(|id| !id.is_empty()),
            source: wire.source,
            create_time: wire.create_time,
            last_update_time: wire.last_update_time,
            value,
            rationale: wire.rationale,
            metadata: wire.metadata,
            overrides: wire.overrides.filter(|id| !id.is_empty()),
            valid: wire.valid.unwrap_or(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rendered(members: &serde_json::Value) -> serde_json::Value {
        let mut wire = json!({
            "assessment_id": "a-1", "assessment_name": "n", "trace_id": "tr-1",
            "source": {"source_type": "HUMAN", "source_id": "ann"},
            "create_time": "2026-11-23T18:09:53.382Z", "last_update_time": "2026-11-23T18:09:53.382Z",
        });
        wire.as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        let wire: AssessmentV3 = serde_json::from_value(wire).unwrap();
        serde_json::to_value(Assessment::from(wire)).unwrap()
    }

    #[test]
    fn an_expectation_is_decoded_from_its_text() {
        let serialized =
            json!({"serialization_format": "JSON_FORMAT", "value": "[\"a\", 12345678901234567890]"});
        let body = rendered(&json!({"expectation": {"serialized_value": serialized}, "rationale": "why"}));
        assert_eq!(
            body["expectation"],
            json!({"value": ["a", 12_345_678_901_234_567_890_u64]})
        );
        assert_eq!(
            (&body["name"], &body["assessment_name"]),
            (&json!("n"), &json!("n"))
        );
        assert_eq!(body["metadata"]["rationale"], "why");
        assert_eq!(body["create_time_ms"], 1_795_457_393_382_i64);
        assert_eq!(body["valid"], true);
    }

    #[test]
    fn a_text_that_is_no_json_stands_for_itself() {
        let serialized = json!({"serialization_format": "JSON_FORMAT", "value": "{oops"});
        assert_eq!(
            rendered(&json!({"expectation": {"serialized_value": serialized}}))["expectation"]["value"],
            "{oops"
        );
    }

    #[test]
    fn a_feedback_keeps_value_and_error() {
        let error = json!({"error_code": "TIMEOUT", "error_message": "judge"});
        let body = rendered(&json!({"feedback": {"value": null, "error": error}, "valid": false}));
        assert_eq!(body["feedback"], json!({"value": null, "error": error}));
        assert_eq!(body["valid"], false);
    }
}
