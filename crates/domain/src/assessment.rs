//! Feedback and expectations given to a trace.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::timestamp::Timestamp;

/// Who or what gave an assessment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AssessmentSource {
    /// `HUMAN`, `LLM_JUDGE`, `CODE` or `SOURCE_TYPE_UNSPECIFIED`.
    #[cfg_attr(feature = "openapi", schema(example = "HUMAN"))]
    pub source_type: String,
    /// The user's name, the judge's model or the code's name.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required, example = "ann@example.com"))]
    pub source_id: String,
}

/// Why a feedback could not be given (a judge that failed, for example).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AssessmentError {
    /// The kind of error, as its source named it.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = "JUDGE_TIMEOUT"))]
    pub error_code: String,
    /// The error's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = "no answer in 30 s"))]
    pub error_message: Option<String>,
    /// Where it happened, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = "Traceback (most recent call last): …"))]
    pub stack_trace: Option<String>,
}

/// The two kinds of assessment that people give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AssessmentKind {
    /// A judgement of what the agent did.
    Feedback,
    /// What the agent should have done.
    Expectation,
}

/// The metadata that the frontend reads the rationale from.
pub const RATIONALE: &str = "rationale";

/// What an assessment says. Values are any JSON and keep the text they came with (`4.0` stays `4.0`).
#[derive(Debug, Clone)]
pub enum AssessmentValue {
    /// A judgement of what the agent did.
    Feedback {
        /// The judgement; JSON null when there is an error instead.
        value: Box<RawValue>,
        /// Why there is no judgement.
        error: Option<AssessmentError>,
    },
    /// What the agent should have done.
    Expectation {
        /// The expected value, decoded where MLflow sent it as JSON text (`serialized_value`).
        value: Box<RawValue>,
    },
    /// An issue that MLflow linked to the trace; passed on unread.
    Issue {
        /// The issue as MLflow sends it.
        issue: Box<RawValue>,
    },
}

/// A feedback or an expectation given to a trace.
#[derive(Debug, Clone)]
pub struct Assessment {
    /// `a-` and 32 hex digits.
    pub assessment_id: String,
    /// What is assessed: the label's name.
    pub name: String,
    /// The trace it belongs to.
    pub trace_id: String,
    /// The span it belongs to; `None` for the whole trace.
    pub span_id: Option<String>,
    /// Who gave it.
    pub source: AssessmentSource,
    /// When it was given.
    pub create_time: Timestamp,
    /// When it last changed.
    pub last_update_time: Timestamp,
    /// What it says.
    pub value: AssessmentValue,
    /// Why, in the giver's words.
    pub rationale: Option<String>,
    /// Further facts, text to text.
    pub metadata: BTreeMap<String, String>,
    /// The id of the assessment that this one replaces.
    pub overrides: Option<String>,
    /// False once another assessment replaced this one.
    pub valid: bool,
}

impl Assessment {
    /// Its kind; `None` for an issue, which people do not give.
    pub fn kind(&self) -> Option<AssessmentKind> {
        match self.value {
            AssessmentValue::Feedback { .. } => Some(AssessmentKind::Feedback),
            AssessmentValue::Expectation { .. } => Some(AssessmentKind::Expectation),
            AssessmentValue::Issue { .. } => None,
        }
    }
}

impl Serialize for Assessment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        AssessmentBody::from(self).serialize(serializer)
    }
}

/// An assessment as the API writes it.
///
/// The frontend reads the name under two names and the rationale from the metadata, so both stand twice.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Assessment))]
struct AssessmentBody<'a> {
    /// `a-` and 32 hex digits.
    #[cfg_attr(feature = "openapi", schema(example = "a-62f7d4f6e9a04b7c8a6c9d9f0c1e2b3a"))]
    assessment_id: &'a str,
    /// What is assessed: the label's name.
    #[cfg_attr(feature = "openapi", schema(example = "correctness"))]
    name: &'a str,
    /// The same as `name`.
    #[cfg_attr(feature = "openapi", schema(example = "correctness"))]
    assessment_name: &'a str,
    /// The trace it belongs to.
    #[cfg_attr(feature = "openapi", schema(example = "tr-6513270e269e0d37f2a74de452e6b438"))]
    trace_id: &'a str,
    /// The span it belongs to; absent for the whole trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = "0c5c7fd0a6a3a450"))]
    span_id: Option<&'a str>,
    /// Who gave it.
    source: &'a AssessmentSource,
    /// When it was given (RFC 3339).
    #[cfg_attr(feature = "openapi", schema(example = "2026-11-23T18:09:40.120Z", value_type = String))]
    create_time: &'a Timestamp,
    /// The same in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "openapi", schema(example = 1_795_457_380_120_i64))]
    create_time_ms: Option<i64>,
    /// When it last changed (RFC 3339).
    #[cfg_attr(feature = "openapi", schema(example = "2026-11-23T18:09:40.120Z", value_type = String))]
    last_update_time: &'a Timestamp,
    /// The same in milliseconds since the Unix epoch.
    #[cfg_attr(feature = "openapi", schema(example = 1_795_457_380_120_i64))]
    last_update_time_ms: Option<i64>,
    /// Present on a feedback.
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback: Option<FeedbackBody<'a>>,
    /// Present on an expectation.
    #[serde(skip_serializing_if = "Option::is_none")]
    expectation: Option<ExpectationBody<'a>>,
    /// Present on an issue that MLflow linked to the trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    issue: Option<&'a RawValue>,
    /// Why, in the giver's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = "Answers the question."))]
    rationale: Option<&'a str>,
    /// Further facts; `rationale` is repeated here.
    #[cfg_attr(feature = "openapi", schema(example = json!({"rationale": "Answers the question."}), value_type = BTreeMap<String, String>))]
    metadata: BTreeMap<&'a str, &'a str>,
    /// The id of the assessment that this one replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = "a-0d9d2b1c7e8f4a5b9c3d2e1f0a9b8c7d"))]
    overrides: Option<&'a str>,
    /// False once another assessment replaced this one.
    valid: bool,
}

/// A judgement of what the agent did.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Feedback))]
struct FeedbackBody<'a> {
    /// Any JSON; null when there is an error instead.
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value))]
    value: &'a RawValue,
    /// Why there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a AssessmentError>,
}

/// What the agent should have done.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Expectation))]
struct ExpectationBody<'a> {
    /// Any JSON, decoded.
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value))]
    value: &'a RawValue,
}

impl<'a> From<&'a Assessment> for AssessmentBody<'a> {
    fn from(a: &'a Assessment) -> Self {
        let mut metadata: BTreeMap<&str, &str> = a
            .metadata
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        // MLflow drops the rationale of an expectation; then it stands in the metadata alone.
        let rationale = a.rationale.as_deref().or(metadata.get(RATIONALE).copied());
        if let Some(rationale) = rationale {
            metadata.insert(RATIONALE, rationale);
        }
        let mut body = Self {
            assessment_id: &a.assessment_id,
            name: &a.name,
            assessment_name: &a.name,
            trace_id: &a.trace_id,
            span_id: a.span_id.as_deref(),
            source: &a.source,
            create_time: &a.create_time,
            create_time_ms: a.create_time.unix_ms(),
            last_update_time: &a.last_update_time,
            last_update_time_ms: a.last_update_time.unix_ms(),
            feedback: None,
            expectation: None,
            issue: None,
            rationale,
            metadata,
            overrides: a.overrides.as_deref(),
            valid: a.valid,
        };
        match &a.value {
            AssessmentValue::Feedback { value, error } => {
                body.feedback = Some(FeedbackBody {
                    value,
                    error: error.as_ref(),
                });
            }
            AssessmentValue::Expectation { value } => body.expectation = Some(ExpectationBody { value }),
            AssessmentValue::Issue { issue } => body.issue = Some(issue),
        }
        body
    }
}

/// An assessment to give to a trace.
#[derive(Debug, Clone)]
pub struct NewAssessment {
    /// What is assessed: the label's name.
    pub name: String,
    /// A feedback or an expectation.
    pub kind: AssessmentKind,
    /// What it says. Of a feedback MLflow keeps numbers as doubles (`4` comes back as `4.0`) and objects in any order;
    /// of an expectation only numbers that stand alone. MLflow refuses null for an expectation.
    pub value: Box<RawValue>,
    /// Who gives it. MLflow takes any `source_type`, and makes one it does not know `SOURCE_TYPE_UNSPECIFIED`.
    pub source: AssessmentSource,
    /// Why, in the giver's words. Of an expectation MLflow (3.17.2) does not keep it, and says nothing; `metadata` it
    /// keeps of both kinds.
    pub rationale: Option<String>,
    /// Further facts.
    pub metadata: BTreeMap<String, String>,
}

/// How an assessment changes. Its name and its source stay.
#[derive(Debug, Clone)]
pub struct AssessmentUpdate {
    /// The kind it has; MLflow refuses another.
    pub kind: AssessmentKind,
    /// What it says now, as in [`NewAssessment`].
    pub value: Box<RawValue>,
    /// Why, in the giver's words, as in [`NewAssessment`]; `None` keeps what stands, an empty text empties it.
    pub rationale: Option<String>,
    /// Further facts to set; those under other names stay.
    pub metadata: BTreeMap<String, String>,
}

#[cfg(feature = "openapi")]
mod schema {
    use super::{Assessment, AssessmentBody};
    use utoipa::openapi::{RefOr, schema::Schema};
    use utoipa::{PartialSchema, ToSchema};

    impl PartialSchema for Assessment {
        fn schema() -> RefOr<Schema> {
            AssessmentBody::schema()
        }
    }

    impl ToSchema for Assessment {
        fn name() -> std::borrow::Cow<'static, str> {
            "Assessment".into()
        }

        fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
            AssessmentBody::schemas(schemas);
        }
    }
}
