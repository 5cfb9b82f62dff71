//! A run: a named set of traces, metrics, params and tags within an experiment.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::ids::ExperimentId;

/// A run's identity and life. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunInfo {
    /// The run's id.
    #[cfg_attr(feature = "openapi", schema(example = "0369c1902ac742509073ee058e6c6756"))]
    pub run_id: String,
    /// The same as `run_id`, under its older name.
    #[serde(default)]
    #[cfg_attr(
        feature = "openapi",
        schema(required, example = "0369c1902ac742509073ee058e6c6756")
    )]
    pub run_uuid: String,
    /// The experiment it belongs to.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required, example = "1"))]
    pub experiment_id: String,
    /// The run's name.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required, example = "Labeling session: week 47"))]
    pub run_name: String,
    /// Who made it.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required, example = "ann"))]
    pub user_id: String,
    /// `RUNNING`, `SCHEDULED`, `FINISHED`, `FAILED` or `KILLED`.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required, example = "RUNNING"))]
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
        schema(
            required,
            example = "mlflow-artifacts:/1/0369c1902ac742509073ee058e6c6756/artifacts"
        )
    )]
    pub artifact_uri: String,
    /// `active` or `deleted`.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required, example = "active"))]
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
    #[cfg_attr(feature = "openapi", schema(required, example = 1))]
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
    #[cfg_attr(feature = "openapi", schema(required, example = "2"))]
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
    #[cfg_attr(feature = "openapi", schema(required))]
    pub metrics: Vec<RunMetric>,
    /// Parameters.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required))]
    pub params: Vec<RunParam>,
    /// Tags.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required))]
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
    #[cfg_attr(feature = "openapi", schema(required))]
    pub data: RunData,
    /// Datasets and models the run read; passed on as MLflow sends it.
    #[serde(default = "empty_object")]
    #[cfg_attr(feature = "openapi", schema(required, value_type = Object))]
    pub inputs: serde_json::Value,
    /// Models the run made; passed on as MLflow sends it.
    #[serde(default = "empty_object")]
    #[cfg_attr(feature = "openapi", schema(required, value_type = Object))]
    pub outputs: serde_json::Value,
}

fn empty_object() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

/// A run to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    /// In this experiment.
    pub experiment_id: ExperimentId,
    /// Its name; MLflow makes one up unless given.
    pub run_name: Option<String>,
    /// Who makes it. MLflow's page shows the tag `mlflow.user` instead.
    pub user_id: Option<String>,
    /// When it began (ms since the Unix epoch); now unless given.
    pub start_time: Option<i64>,
    /// Its first tags.
    pub tags: Vec<RunTag>,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RunStatus {
    /// It goes on; every new run begins so.
    Running,
    /// It is to begin later.
    Scheduled,
    /// It ended well.
    Finished,
    /// It failed.
    Failed,
    /// It was stopped.
    Killed,
}

impl RunStatus {
    /// Whether the run has ended.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Killed)
    }

    /// The word the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Scheduled => "SCHEDULED",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
        }
    }
}

/// How a run changes; what is `None` stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RunUpdate {
    /// How far it has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RunStatus>,
    /// When it ended (ms since the Unix epoch).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<i64>,
}
