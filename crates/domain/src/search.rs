//! What is looked for, and what was found.

use serde::{Deserialize, Serialize};

use crate::ids::ExperimentId;
use crate::run::Run;
use crate::trace::TraceInfo;

/// Which traces to look for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SearchTraces {
    /// In these experiments.
    pub experiment_ids: Vec<ExperimentId>,
    /// MLflow's trace filter, such as `status = 'OK'`.
    pub filter: Option<String>,
    /// How many at most; more than 500 are fetched page by page.
    pub max_results: u32,
    /// Order, such as `timestamp_ms DESC`.
    pub order_by: Vec<String>,
    /// Where the search before ended.
    pub page_token: Option<String>,
}

/// What a search found.
#[derive(Debug)]
pub struct TracePage {
    /// The traces, in the order asked for.
    pub traces: Vec<TraceInfo>,
    /// Where the next page begins; `None` when there is none. The page it names may turn out empty.
    pub next_page_token: Option<String>,
}

/// Which runs to look for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct SearchRuns {
    /// In these experiments.
    pub experiment_ids: Vec<ExperimentId>,
    /// MLflow's run filter, such as `tags.status = 'open'`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// `ACTIVE_ONLY`, `DELETED_ONLY` or `ALL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_view_type: Option<String>,
    /// Runs on one page, 1 to 50000.
    pub max_results: u32,
    /// Order, such as `start_time DESC`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub order_by: Vec<String>,
    /// Where the page before ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

/// One page of runs.
#[derive(Debug, Deserialize)]
pub struct RunPage {
    /// The runs, in the order asked for.
    #[serde(default)]
    pub runs: Vec<Run>,
    /// Where the next page begins; `None` on the last.
    #[serde(default)]
    pub next_page_token: Option<String>,
}
