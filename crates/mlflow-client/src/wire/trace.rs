//! Trace infos: `TraceInfoV3`, and the older form of MLflow 2.

use std::collections::BTreeMap;

use domain::{ExperimentId, Timestamp, TraceId, TraceInfo, TraceLocation, TraceState};
use serde::Deserialize;

use super::assessment::AssessmentV3;

#[derive(Debug, Deserialize)]
pub(crate) struct TraceInfoV3 {
    trace_id: TraceId,
    client_request_id: Option<String>,
    trace_location: TraceLocation,
    request_time: Timestamp,
    execution_duration: Option<String>,
    #[serde(default = "unspecified")]
    state: TraceState,
    #[serde(default)]
    trace_metadata: BTreeMap<String, String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    assessments: Vec<AssessmentV3>,
    request_preview: Option<String>,
    response_preview: Option<String>,
}

fn unspecified() -> TraceState {
    TraceState::StateUnspecified
}

impl From<TraceInfoV3> for TraceInfo {
    fn from(wire: TraceInfoV3) -> Self {
        let mut info = Self {
            trace_id: wire.trace_id,
            client_request_id: wire.client_request_id,
            trace_location: wire.trace_location,
            request_time: wire.request_time,
            execution_duration: None,
            execution_duration_ms: None,
            state: wire.state,
            trace_metadata: wire.trace_metadata,
            tags: wire.tags,
            assessments: wire.assessments.into_iter().map(Into::into).collect(),
            request_preview: wire.request_preview,
            response_preview: wire.response_preview,
        };
        info.set_execution_duration(wire.execution_duration);
        info
    }
}

/// MLflow 2's form; answered by 3.x servers too.
#[derive(Debug, Deserialize)]
pub(crate) struct TraceInfoV2 {
    request_id: TraceId,
    experiment_id: ExperimentId,
    timestamp_ms: i64,
    execution_time_ms: Option<u64>,
    #[serde(default = "unspecified")]
    status: TraceState,
    #[serde(default)]
    request_metadata: Vec<Pair>,
    #[serde(default)]
    tags: Vec<Pair>,
}

#[derive(Debug, Deserialize)]
struct Pair {
    key: String,
    #[serde(default)]
    value: String,
}

fn map(pairs: Vec<Pair>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|pair| (pair.key, pair.value)).collect()
}

impl From<TraceInfoV2> for TraceInfo {
    fn from(wire: TraceInfoV2) -> Self {
        let mut info = Self {
            trace_id: wire.request_id,
            client_request_id: None,
            trace_location: TraceLocation::experiment(wire.experiment_id),
            request_time: Timestamp::from_unix_ms(wire.timestamp_ms),
            execution_duration: None,
            execution_duration_ms: None,
            state: wire.status,
            trace_metadata: map(wire.request_metadata),
            tags: map(wire.tags),
            assessments: Vec::new(),
            request_preview: None,
            response_preview: None,
        };
        info.set_execution_duration_ms(wire.execution_time_ms);
        info
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_forms_of_one_trace_say_the_same() {
        let v3: TraceInfoV3 = serde_json::from_value(json!({
            "trace_id": "tr-1", "request_time": "2026-11-23T18:09:36.829Z", "execution_duration": "0.045s",
            "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "1"}},
            "state": "OK", "trace_metadata": {"m": "1"}, "tags": {"t": "2"},
        }))
        .unwrap();
        let v2: TraceInfoV2 = serde_json::from_value(json!({
            "request_id": "tr-1", "experiment_id": "1", "timestamp_ms": 1_795_457_376_829_i64,
            "execution_time_ms": 45, "status": "OK",
            "request_metadata": [{"key": "m", "value": "1"}], "tags": [{"key": "t", "value": "2"}],
        }))
        .unwrap();
        let [v3, v2] = [TraceInfo::from(v3), v2.into()].map(|info| serde_json::to_value(info).unwrap());
        assert_eq!(v3, v2);
        assert_eq!(v3["execution_duration_ms"], 45);
    }
}
