//! A run: a named set of traces, metrics, params and tags within an experiment.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A run's identity and life. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunInfo {
    /// The run's id.
    #[cfg_attr(feature = "openapi", schema(example = "0369c1902ac742509073ee058e6c6756"))]
    pub run_id: String,
    /// The same as `run_id`, under its older name.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = "0369c1902ac742509073ee058e6c6756"))]
    pub run_uuid: String,
    /// The experiment it belongs to.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = "1"))]
    pub experiment_id: String,
    /// The run's name.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = "Labeling session: week 47"))]
    pub run_name: String,
    /// Who made it.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = "ann"))]
    pub user_id: String,
    /// `RUNNING`, `SCHEDULED`, `FINISHED`, `FAILED` or `KILLED`.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = "RUNNING"))]
    pub status: String,
    /// When it began (ms).
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = 1_795_457_376_829_i64))]
    pub start_time: Option<i64>,
    /// When it ended (ms); absent while it runs.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = 1_795_460_976_829_i64))]
    pub end_time: Option<i64>,
    /// Where its artifacts are kept.
    #[serde(default)]
    #[cfg_attr(
        feature = "openapi",
        schema(example = "mlflow-artifacts:/1/0369c1902ac742509073ee058e6c6756/artifacts")
    )]
    pub artifact_uri: String,
    /// `active` or `deleted`.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = "active"))]
    pub lifecycle_stage: String,
}

/// A metric of a run: the latest value logged under its key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunMetric {
    /// The metric's name.
    #[cfg_attr(feature = "openapi", schema(example = "progress"))]
    pub key: String,
    /// A number, or the text `NaN`, `Infinity` or `-Infinity`, as MLflow sends it.
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value))]
    pub value: Box<RawValue>,
    /// When it was logged (ms).
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = 1_795_457_376_829_i64))]
    pub timestamp: Option<i64>,
    /// The step it was logged at.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = 1))]
    pub step: i64,
}

/// A parameter of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunParam {
    /// The parameter's name.
    #[cfg_attr(feature = "openapi", schema(example = "reviewers"))]
    pub key: String,
    /// The parameter's value.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = "2"))]
    pub value: String,
}

/// A tag of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunTag {
    /// The tag's name; the frontend reads `mlflow.customRenderer`.
    #[cfg_attr(feature = "openapi", schema(example = "mlflow.customRenderer"))]
    pub key: String,
    /// The tag's value.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = "chat"))]
    pub value: String,
}

/// What was logged to a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunData {
    /// The latest value of each metric.
    #[serde(default)]
    pub metrics: Vec<RunMetric>,
    /// Parameters.
    #[serde(default)]
    pub params: Vec<RunParam>,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<RunTag>,
}

/// A run as MLflow describes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Run {
    /// Identity and life.
    pub info: RunInfo,
    /// Metrics, params and tags.
    #[serde(default)]
    pub data: RunData,
    /// Datasets and models the run read; passed on as MLflow sends it.
    #[serde(default = "empty_object")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub inputs: serde_json::Value,
    /// Models the run made; passed on as MLflow sends it.
    #[serde(default = "empty_object")]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub outputs: serde_json::Value,
}

fn empty_object() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}
