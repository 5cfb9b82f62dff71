//! An experiment: what traces and runs are grouped under.

use serde::{Deserialize, Serialize};

/// A tag of an experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExperimentTag {
    /// The tag's name.
    #[cfg_attr(feature = "openapi", schema(example = "team"))]
    pub key: String,
    /// The tag's value.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required, example = "support"))]
    pub value: String,
}

/// An experiment as MLflow describes it. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Experiment {
    /// The experiment's id.
    #[cfg_attr(feature = "openapi", schema(example = "1"))]
    pub experiment_id: String,
    /// The experiment's name, unique in its workspace.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required, example = "agent-quality"))]
    pub name: String,
    /// Where the experiment's artifacts are kept.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required, example = "mlflow-artifacts:/1"))]
    pub artifact_location: String,
    /// `active` or `deleted`.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required, example = "active"))]
    pub lifecycle_stage: String,
    /// When it was made (ms).
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = 1_795_457_376_829_i64))]
    pub creation_time: Option<i64>,
    /// When it last changed (ms).
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = 1_795_457_376_829_i64))]
    pub last_update_time: Option<i64>,
    /// Its tags, in the server's order.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required))]
    pub tags: Vec<ExperimentTag>,
}
