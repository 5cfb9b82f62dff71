//! What the service needs of the outside: somewhere to read traces from.

use async_trait::async_trait;
use domain::{Experiment, ExperimentId, Run, RunId, TraceId, TraceInfo};
use mlflow_client::{
    ClientError, CurrentUser, Flavor, MlflowClient, RunPage, SearchRuns, SearchTraces, SpanBody, TracePage,
};

/// Somewhere to read traces, runs and experiments from.
///
/// Nothing is cached below this line and nothing is retried above it. Each method's errors are those of the method of
/// the same name on [`MlflowClient`].
#[async_trait]
pub trait TraceSource: Send + Sync + std::fmt::Debug + 'static {
    /// Traces that match, without spans.
    async fn search_traces(&self, search: &SearchTraces) -> Result<TracePage, ClientError>;
    /// One trace, without spans.
    async fn get_trace_info(&self, id: &TraceId) -> Result<TraceInfo, ClientError>;
    /// Many traces without spans, unknown ones left out; `None` where that takes a call for each.
    async fn get_trace_infos(&self, ids: &[TraceId]) -> Result<Option<Vec<TraceInfo>>, ClientError>;
    /// A trace's spans as they arrive.
    async fn open_spans(&self, id: &TraceId) -> Result<SpanBody, ClientError>;
    /// One experiment.
    async fn get_experiment(&self, id: &ExperimentId) -> Result<Experiment, ClientError>;
    /// One run.
    async fn get_run(&self, id: &RunId) -> Result<Run, ClientError>;
    /// One page of runs.
    async fn search_runs(&self, search: &SearchRuns) -> Result<RunPage, ClientError>;
    /// The owner of our credentials; `None` where the source knows no users.
    async fn current_user(&self) -> Result<Option<CurrentUser>, ClientError>;
}

#[async_trait]
impl TraceSource for MlflowClient {
    async fn search_traces(&self, search: &SearchTraces) -> Result<TracePage, ClientError> {
        self.search_traces(search).await
    }

    async fn get_trace_info(&self, id: &TraceId) -> Result<TraceInfo, ClientError> {
        self.get_trace_info(id).await
    }

    async fn get_trace_infos(&self, ids: &[TraceId]) -> Result<Option<Vec<TraceInfo>>, ClientError> {
        self.get_trace_infos(ids).await
    }

    async fn open_spans(&self, id: &TraceId) -> Result<SpanBody, ClientError> {
        self.open_spans(id).await
    }

    async fn get_experiment(&self, id: &ExperimentId) -> Result<Experiment, ClientError> {
        self.get_experiment(id).await
    }

    async fn get_run(&self, id: &RunId) -> Result<Run, ClientError> {
        self.get_run(id).await
    }

    async fn search_runs(&self, search: &SearchRuns) -> Result<RunPage, ClientError> {
        self.search_runs(search).await
    }

    async fn current_user(&self) -> Result<Option<CurrentUser>, ClientError> {
        match self.server().flavor {
            Flavor::Databricks => self.current_user().await.map(Some),
            Flavor::OpenSource => Ok(None),
        }
    }
}
