//! Runs.

use domain::{ExperimentId, Run, RunId};
use serde::{Deserialize, Serialize};

use crate::client::MlflowClient;
use crate::error::ClientError;
use crate::transport::Call;

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

#[derive(Deserialize)]
struct Answer {
    run: Run,
}

impl MlflowClient {
    /// One run.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the server does not know it.
    pub async fn get_run(&self, id: &RunId) -> Result<Run, ClientError> {
        let call = Call::get("runs.get", "/api/2.0/mlflow/runs/get").query("run_id", id.as_str());
        Ok(self.transport().json::<Answer>(&call).await?.run)
    }

    /// One page of the runs of some experiments.
    ///
    /// # Errors
    /// [`ClientError::Rejected`] when the server cannot read the filter.
    pub async fn search_runs(&self, search: &SearchRuns) -> Result<RunPage, ClientError> {
        let call = Call::read_by_post("runs.search", "/api/2.0/mlflow/runs/search", search)?;
        let mut page: RunPage = self.transport().json(&call).await?;
        page.next_page_token = page.next_page_token.filter(|token| !token.is_empty());
        Ok(page)
    }
}
