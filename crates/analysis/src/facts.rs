//! What is looked at of a trace without its spans, read from the text that the API writes of it.

use std::collections::BTreeMap;

use domain::{AssessmentSource, Timestamp, TraceId, TraceState};
use serde::Deserialize;
use serde_json::Value;

/// A trace without its spans.
#[derive(Debug, Clone, Deserialize)]
pub struct TraceFacts {
    /// The trace's id.
    pub trace_id: TraceId,
    /// Where it stands in its life.
    pub state: TraceState,
    /// When it began.
    pub request_time: Timestamp,
    /// How long it took, in ms; `None` while it runs.
    #[serde(default)]
    pub execution_duration_ms: Option<u64>,
    /// Metadata set when the trace was made: token usage, cost, session, user stand here.
    #[serde(default)]
    pub trace_metadata: BTreeMap<String, String>,
    /// Tags; `mlflow.traceName` stands here.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Feedback and expectations given to it.
    #[serde(default)]
    pub assessments: Vec<AssessmentFacts>,
    /// The request in short.
    #[serde(default)]
    pub request_preview: Option<String>,
    /// The response in short.
    #[serde(default)]
    pub response_preview: Option<String>,
}

/// A feedback or an expectation.
#[derive(Debug, Clone, Deserialize)]
pub struct AssessmentFacts {
    /// What is assessed: the label's name.
    pub name: String,
    /// Who gave it.
    pub source: AssessmentSource,
    /// Present on a feedback.
    #[serde(default)]
    pub feedback: Option<Valued>,
    /// Present on an expectation.
    #[serde(default)]
    pub expectation: Option<Valued>,
    /// Why, in the giver's words.
    #[serde(default)]
    pub rationale: Option<String>,
    /// When it was given, in ms since the Unix epoch.
    #[serde(default)]
    pub create_time_ms: Option<i64>,
    /// When it last changed, in ms since the Unix epoch.
    #[serde(default)]
    pub last_update_time_ms: Option<i64>,
    /// False once another assessment replaced this one.
    #[serde(default = "yes")]
    pub valid: bool,
}

/// What an assessment says.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Valued {
    /// Any JSON; null where there is an error instead.
    #[serde(default)]
    pub value: Value,
}

fn yes() -> bool {
    true
}

impl TraceFacts {
    /// Reads what the API writes of a trace.
    ///
    /// # Errors
    /// When the text is another.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }
}

impl AssessmentFacts {
    /// What it says; `None` where it says nothing: an error of a judge, an issue.
    pub fn value(&self) -> Option<&Value> {
        let valued = self.feedback.as_ref().or(self.expectation.as_ref())?;
        (!valued.value.is_null()).then_some(&valued.value)
    }

    /// Whether a person gave it.
    pub fn is_of_human(&self) -> bool {
        self.source.source_type == "HUMAN"
    }
}
