//! What the service needs of the outside: somewhere to read traces from, and somewhere to write what reviews make.

use async_trait::async_trait;
use domain::{Assessment, AssessmentId, Experiment, ExperimentId, Run, RunId, RunTag, TraceId, TraceInfo};
use mlflow_client::{
    AssessmentUpdate, ClientError, CurrentUser, Flavor, MlflowClient, NewAssessment, NewRun, RunPage,
    RunUpdate, SearchRuns, SearchTraces, SpanBody, TracePage,
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

/// Somewhere to write labels, runs and links.
///
/// Each method's errors are those of the method of the same name on [`MlflowClient`].
#[async_trait]
pub trait TraceSink: Send + Sync + std::fmt::Debug + 'static {
    /// Gives an assessment to a trace.
    async fn create_assessment(
        &self,
        trace: &TraceId,
        new: &NewAssessment,
    ) -> Result<Assessment, ClientError>;
    /// One assessment of a trace.
    async fn get_assessment(&self, trace: &TraceId, id: &AssessmentId) -> Result<Assessment, ClientError>;
    /// Changes an assessment.
    async fn update_assessment(
        &self,
        trace: &TraceId,
        id: &AssessmentId,
        update: &AssessmentUpdate,
    ) -> Result<Assessment, ClientError>;
    /// Makes a run.
    async fn create_run(&self, new: &NewRun) -> Result<Run, ClientError>;
    /// Changes a run.
    async fn update_run(&self, run: &RunId, update: &RunUpdate) -> Result<(), ClientError>;
    /// Sets tags of a run.
    async fn set_run_tags(&self, run: &RunId, tags: &[RunTag]) -> Result<(), ClientError>;
    /// Marks a run as deleted.
    async fn delete_run(&self, run: &RunId) -> Result<(), ClientError>;
    /// Links traces to a run, whether they are or not; a second time does nothing.
    async fn link_traces(&self, run: &RunId, traces: &[TraceId]) -> Result<(), ClientError>;
}

#[async_trait]
impl TraceSink for MlflowClient {
    async fn create_assessment(
        &self,
        trace: &TraceId,
        new: &NewAssessment,
    ) -> Result<Assessment, ClientError> {
        self.create_assessment(trace, new).await
    }

    async fn get_assessment(&self, trace: &TraceId, id: &AssessmentId) -> Result<Assessment, ClientError> {
        self.get_assessment(trace, id).await
    }

    async fn update_assessment(
        &self,
        trace: &TraceId,
        id: &AssessmentId,
        update: &AssessmentUpdate,
    ) -> Result<Assessment, ClientError> {
        self.update_assessment(trace, id, update).await
    }

    async fn create_run(&self, new: &NewRun) -> Result<Run, ClientError> {
        self.create_run(new).await
    }

    async fn update_run(&self, run: &RunId, update: &RunUpdate) -> Result<(), ClientError> {
        self.update_run(run, update).await
    }

    async fn set_run_tags(&self, run: &RunId, tags: &[RunTag]) -> Result<(), ClientError> {
        self.set_run_tags(run, tags).await
    }

    async fn delete_run(&self, run: &RunId) -> Result<(), ClientError> {
        self.delete_run(run).await
    }

    async fn link_traces(&self, run: &RunId, traces: &[TraceId]) -> Result<(), ClientError> {
        self.link_traces(run, traces).await
    }
}
