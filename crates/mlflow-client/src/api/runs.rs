//! Runs. The routes are the same on MLflow 2, 3 and Databricks.

use std::time::{SystemTime, UNIX_EPOCH};

use domain::{ExperimentId, NewRun, Run, RunId, RunPage, RunStatus, RunTag, RunUpdate, SearchRuns};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::client::MlflowClient;
use crate::error::ClientError;
use crate::transport::Call;

/// The most tags MLflow takes in one `runs/log-batch` (3.17.2: 101 are 400 "can contain at most 100 tags").
const MAX_TAGS: usize = 100;

#[derive(Serialize)]
struct CreateBody<'a> {
    experiment_id: &'a ExperimentId,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    start_time: i64,
    #[serde(skip_serializing_if = "<[RunTag]>::is_empty")]
    tags: &'a [RunTag],
}

#[derive(Serialize)]
struct UpdateBody<'a> {
    run_id: &'a RunId,
    #[serde(flatten)]
    update: &'a RunUpdate,
}

#[derive(Serialize)]
struct TagsBody<'a> {
    run_id: &'a RunId,
    tags: &'a [RunTag],
}

#[derive(Serialize)]
struct DeleteBody<'a> {
    run_id: &'a RunId,
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

    /// Makes a run. Not idempotent: each call makes one more.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the server does not know the experiment.
    pub async fn create_run(&self, new: &NewRun) -> Result<Run, ClientError> {
        let body = CreateBody {
            experiment_id: &new.experiment_id,
            run_name: new.run_name.as_deref(),
            user_id: new.user_id.as_deref(),
            // Without it MLflow sets 0, which is 1970; its SDK sends the time as well.
            start_time: new.start_time.unwrap_or_else(unix_ms),
            tags: &new.tags,
        };
        let call = Call::write("runs.create", Method::POST, "/api/2.0/mlflow/runs/create", &body)?;
        Ok(self.transport().json::<Answer>(&call).await?.run)
    }

    /// Changes a run. Idempotent. One that ends without a time ends now, as the SDK has it.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the server does not know it, [`ClientError::Rejected`] when it was deleted.
    pub async fn update_run(&self, id: &RunId, update: &RunUpdate) -> Result<(), ClientError> {
        let mut update = *update;
        if update.status.is_some_and(RunStatus::is_terminal) {
            update.end_time = update.end_time.or_else(|| Some(unix_ms()));
        }
        let body = UpdateBody {
            run_id: id,
            update: &update,
        };
        let call = Call::write("runs.update", Method::POST, "/api/2.0/mlflow/runs/update", &body)?;
        self.transport().done(&call.idempotent()).await
    }

    /// Sets tags of a run, 100 with each call, one call after the other. Idempotent; when one call fails, the tags of
    /// those before it are set. Without tags nothing is sent.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the server does not know the run, [`ClientError::Rejected`] when it refuses a tag
    /// or the run was deleted.
    pub async fn set_run_tags(&self, id: &RunId, tags: &[RunTag]) -> Result<(), ClientError> {
        for tags in tags.chunks(MAX_TAGS) {
            let body = TagsBody { run_id: id, tags };
            let path = "/api/2.0/mlflow/runs/log-batch";
            let call = Call::write("runs.log_batch", Method::POST, path, &body)?;
            self.transport().done(&call.idempotent()).await?;
        }
        Ok(())
    }

    /// Deletes a run: MLflow keeps it, marked as deleted. Idempotent; a run deleted before is no error.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the server does not know it.
    pub async fn delete_run(&self, id: &RunId) -> Result<(), ClientError> {
        let body = DeleteBody { run_id: id };
        let call = Call::write("runs.delete", Method::POST, "/api/2.0/mlflow/runs/delete", &body)?;
        self.transport().done(&call.idempotent()).await
    }
}

fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "runs_tests.rs"]
mod tests;
