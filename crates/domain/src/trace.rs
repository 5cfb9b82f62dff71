//! What is known of a trace without its spans.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::assessment::Assessment;
use crate::ids::{ExperimentId, TraceId};
use crate::timestamp::{Timestamp, format_proto_duration, parse_proto_duration};

/// Where a trace stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TraceState {
    /// Ended well.
    Ok,
    /// Ended with an error.
    Error,
    /// Still running: it may gain spans at any moment.
    InProgress,
    /// The server did not say.
    #[serde(other)]
    StateUnspecified,
}

impl TraceState {
    /// Whether the trace has ended, so that its spans are not expected to change any more.
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Ok | Self::Error)
    }
}

/// The experiment a trace was logged to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExperimentLocation {
    /// The experiment's id.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "1"))]
    pub experiment_id: ExperimentId,
}

/// Where a trace is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TraceLocation {
    /// `MLFLOW_EXPERIMENT`, or `INFERENCE_TABLE` on Databricks.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(example = "MLFLOW_EXPERIMENT"))]
    pub kind: String,
    /// Present when `type` is `MLFLOW_EXPERIMENT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mlflow_experiment: Option<ExperimentLocation>,
    /// Present when `type` is `INFERENCE_TABLE`; passed on as Databricks sends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub inference_table: Option<serde_json::Value>,
}

impl TraceLocation {
    /// The location of a trace logged to an MLflow experiment.
    pub fn experiment(experiment_id: ExperimentId) -> Self {
        Self {
            kind: "MLFLOW_EXPERIMENT".to_owned(),
            mlflow_experiment: Some(ExperimentLocation { experiment_id }),
            inference_table: None,
        }
    }
}

/// A trace without its spans: MLflow's `TraceInfoV3` and what the frontend needs beside it.
///
/// Maps are ordered by key, so that equal infos render to equal bytes.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TraceInfo {
    /// The trace's id.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "tr-6513270e269e0d37f2a74de452e6b438"))]
    pub trace_id: TraceId,
    /// The id the traced application gave to its request, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = "request-4711"))]
    pub client_request_id: Option<String>,
    /// Where the trace is kept.
    pub trace_location: TraceLocation,
    /// When the trace began (RFC 3339, UTC, milliseconds).
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "2026-11-23T18:09:36.829Z"))]
    pub request_time: Timestamp,
    /// How long the trace took, as MLflow writes it (seconds with the suffix `s`); absent while it runs.
    #[cfg_attr(feature = "openapi", schema(example = "0.045s"))]
    pub execution_duration: Option<String>,
    /// The same in whole milliseconds, cut as MLflow's SDK does.
    #[cfg_attr(feature = "openapi", schema(example = 45))]
    pub execution_duration_ms: Option<u64>,
    /// Where the trace stands in its life.
    pub state: TraceState,
    /// Metadata set when the trace was made; immutable.
    #[cfg_attr(feature = "openapi", schema(example = json!({"mlflow.trace.session": "session-1"})))]
    pub trace_metadata: BTreeMap<String, String>,
    /// Tags; mutable.
    #[cfg_attr(feature = "openapi", schema(example = json!({"mlflow.traceName": "support_agent"})))]
    pub tags: BTreeMap<String, String>,
    /// Feedback and expectations given to the trace, in the server's order.
    pub assessments: Vec<Assessment>,
    /// The request in short: MLflow's own preview, else one derived from the trace (at most 200 characters).
    #[cfg_attr(feature = "openapi", schema(example = "Where is my order 4711?"))]
    pub request_preview: Option<String>,
    /// The response in short: MLflow's own preview, else one derived from the trace (at most 200 characters).
    #[cfg_attr(feature = "openapi", schema(example = "It arrives on Friday."))]
    pub response_preview: Option<String>,
}

impl TraceInfo {
    /// Sets the duration from MLflow's text; a text that is no duration is kept and has no milliseconds.
    pub fn set_execution_duration(&mut self, text: Option<String>) {
        self.execution_duration_ms = text
            .as_deref()
            .and_then(parse_proto_duration)
            .and_then(|duration| u64::try_from(duration.as_millis()).ok());
        self.execution_duration = text;
    }

    /// Sets the duration from milliseconds, as MLflow 2.x gives it.
    pub fn set_execution_duration_ms(&mut self, ms: Option<u64>) {
        self.execution_duration = ms.map(format_proto_duration);
        self.execution_duration_ms = ms;
    }

    /// The number of spans the trace was logged with, where MLflow says it
    /// (metadata `mlflow.trace.sizeStats`, since 3.2).
    pub fn expected_span_count(&self) -> Option<usize> {
        #[derive(Deserialize)]
        struct SizeStats {
            num_spans: usize,
        }
        let stats = self.trace_metadata.get("mlflow.trace.sizeStats")?;
        serde_json::from_str::<SizeStats>(stats)
            .ok()
            .map(|stats| stats.num_spans)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_state_is_unspecified_and_not_finished() {
        let state: TraceState = serde_json::from_str("\"PAUSED\"").unwrap();
        assert_eq!(state, TraceState::StateUnspecified);
        assert!(!state.is_finished());
        assert_eq!(
            serde_json::to_string(&TraceState::InProgress).unwrap(),
            "\"IN_PROGRESS\""
        );
    }
}
