//! One row of `assessments`: read among others as JSON, and understood.

use std::collections::BTreeMap;

use domain::{Assessment, AssessmentError, AssessmentSource, AssessmentValue, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::DatabaseError;
use crate::sql::Statement;

/// The columns in the order of [`AssessmentRow`]; those that JSON lacks are numbers.
const COLUMNS: &str =
    "a.assessment_id, a.trace_id, a.name, a.assessment_type, a.value, a.error, a.created_timestamp,
    a.last_updated_timestamp, a.source_type, a.source_id, a.span_id, a.rationale, a.overrides,
    CASE WHEN a.valid THEN 1 ELSE 0 END, a.assessment_metadata";

/// Pushes a query of the assessments of `page.request_id`: a list of [`AssessmentRow`].
pub(crate) fn push_list(statement: &mut Statement) {
    statement.push("SELECT ").begin_list().push(COLUMNS);
    statement.end_list("").pick("", "::text");
    statement.push(" FROM assessments a WHERE a.trace_id = page.request_id");
}

/// Pushes a query of one assessment, `FROM assessments a` with it: an [`AssessmentRow`].
pub(crate) fn push_one(statement: &mut Statement) {
    statement
        .pick("SELECT json_array(", "SELECT json_build_array(")
        .push(COLUMNS);
    statement.pick(") FROM assessments a", ")::text FROM assessments a");
}

/// A row of `assessments`.
#[derive(Debug, Deserialize)]
pub(crate) struct AssessmentRow {
    assessment_id: String,
    trace_id: String,
    name: String,
    assessment_type: String,
    value: String,
    error: Option<String>,
    created_timestamp: i64,
    last_updated_timestamp: i64,
    source_type: String,
    source_id: Option<String>,
    span_id: Option<String>,
    rationale: Option<String>,
    overrides: Option<String>,
    valid: u8,
    assessment_metadata: Option<String>,
}

impl AssessmentRow {
    /// Its place among those of its trace: the first given first.
    pub(crate) fn place(&self) -> (i64, &str) {
        (self.created_timestamp, &self.assessment_id)
    }

    pub(crate) fn into_assessment(self) -> Result<Assessment, DatabaseError> {
        let value = json(&self.value);
        let error = match &self.error {
            Some(text) => Some(serde_json::from_str(text).map_err(|error| unreadable(&error))?),
            None => None,
        };
        let metadata = match &self.assessment_metadata {
            Some(text) => metadata(text)?,
            None => BTreeMap::new(),
        };
        Ok(Assessment {
            value: said(&self.assessment_type, value, error)?,
            assessment_id: self.assessment_id,
            name: self.name,
            trace_id: self.trace_id,
            span_id: self.span_id.filter(|id| !id.is_empty()),
            source: AssessmentSource {
                source_type: self.source_type,
                source_id: self.source_id.unwrap_or_default(),
            },
            create_time: Timestamp::from_unix_ms(self.created_timestamp),
            last_update_time: Timestamp::from_unix_ms(self.last_updated_timestamp),
            rationale: self.rationale,
            metadata,
            overrides: self.overrides.filter(|id| !id.is_empty()),
            valid: self.valid != 0,
        })
    }
}

fn said(
    kind: &str,
    value: Box<RawValue>,
    error: Option<AssessmentError>,
) -> Result<AssessmentValue, DatabaseError> {
    match kind {
        "feedback" => Ok(AssessmentValue::Feedback { value, error }),
        "expectation" => Ok(AssessmentValue::Expectation { value }),
        "issue" => Ok(AssessmentValue::Issue { issue: value }),
        _ => Err(DatabaseError::Unreadable {
            table: "assessments",
            reason: "an assessment of a type that is not known".to_owned(),
        }),
    }
}

/// Python writes `NaN` where JSON has no word: what is no JSON stands for itself, as text.
fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned())
        .or_else(|_| serde_json::value::to_raw_value(text))
        .unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Text to text; what is no text is told as its JSON.
fn metadata(text: &str) -> Result<BTreeMap<String, String>, DatabaseError> {
    let members: BTreeMap<String, Value> = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
    let as_text = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(members
        .into_iter()
        .map(|(key, value)| (key, as_text(value)))
        .collect())
}

fn unreadable(error: &serde_json::Error) -> DatabaseError {
    DatabaseError::Unreadable {
        table: "assessments",
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(
        kind: &str,
        value: &str,
        error: Option<&str>,
        metadata: Option<&str>,
    ) -> Result<Value, DatabaseError> {
        let row = json!([
            "a-1",
            "tr-1",
            "n",
            kind,
            value,
            error,
            1_795_457_393_382_i64,
            1_795_457_393_383_i64,
            "HUMAN",
            "ann",
            null,
            "why",
            "",
            1,
            metadata
        ]);
        let row: AssessmentRow = serde_json::from_value(row).unwrap();
        row.into_assessment()
            .map(|one| serde_json::to_value(one).unwrap())
    }

    #[test]
    fn a_row_is_understood_whatever_it_says() {
        let feedback = row("feedback", "4.0", None, Some(r#"{"round": "2", "n": 3}"#)).unwrap();
        assert_eq!(feedback["feedback"]["value"], json!(4.0));
        assert_eq!(
            feedback["metadata"],
            json!({"n": "3", "rationale": "why", "round": "2"})
        );
        assert_eq!(feedback["valid"], true);
        let error = Some(r#"{"error_code": "E", "error_message": "m"}"#);
        let failed = row("feedback", "null", error, None).unwrap();
        assert_eq!(failed["feedback"]["error"]["error_code"], "E");
        let expectation = row("expectation", r#"["a", {"b": 12345678901234567890}]"#, None, None).unwrap();
        assert_eq!(
            expectation["expectation"]["value"][1]["b"],
            json!(12_345_678_901_234_567_890_u64)
        );
        let issue = row("issue", r#"{"issue_name": "slow"}"#, None, None).unwrap();
        assert_eq!(issue["issue"]["issue_name"], "slow");
    }

    #[test]
    fn what_python_writes_and_json_lacks_stands_as_text() {
        assert_eq!(
            row("feedback", "NaN", None, None).unwrap()["feedback"]["value"],
            "NaN"
        );
    }

    #[test]
    fn a_row_of_another_kind_or_with_broken_json_is_told_without_its_content() {
        for broken in [
            row("rumour", "1", None, None),
            row("feedback", "1", Some("secret"), None),
            row("feedback", "1", None, Some("[\"secret\"]")),
        ] {
            let error = broken.unwrap_err().to_string();
            assert!(
                error.contains("assessments") && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
