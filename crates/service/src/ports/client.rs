//! An MLflow server, or a workspace, as somewhere to read and write.

use std::collections::HashMap;

use async_trait::async_trait;
use breaker::BreakerReport;
use bytes::Bytes;
use domain::{
    Assessment, AssessmentId, AssessmentUpdate, Experiment, ExperimentId, NewAssessment, NewRun, Run, RunId,
    RunPage, RunTag, RunUpdate, SearchRuns, SearchTraces, TraceId, TraceInfo, TracePage,
};
use futures::StreamExt;
use mlflow_client::{CurrentUser, Flavor, MlflowClient};

use super::{DataVersion, SpanBody, SpanPieces, TraceSink, TraceSource};
use crate::upstream::UpstreamError;

impl From<mlflow_client::SpanBody> for SpanBody {
    fn from(body: mlflow_client::SpanBody) -> Self {
        let text = body.chunks.map(|piece| piece.map_err(UpstreamError::from));
        Self {
            content_length: body.content_length,
            largest_span: None,
            pieces: SpanPieces::Text(text.boxed()),
        }
    }
}

#[async_trait]
impl TraceSource for MlflowClient {
    async fn search_traces(&self, search: &SearchTraces) -> Result<TracePage, UpstreamError> {
        Ok(self.search_traces(search).await?)
    }

    async fn get_trace_info(&self, id: &TraceId) -> Result<TraceInfo, UpstreamError> {
        Ok(self.get_trace_info(id).await?)
    }

    async fn get_trace_infos(&self, ids: &[TraceId]) -> Result<Option<Vec<TraceInfo>>, UpstreamError> {
        Ok(self.get_trace_infos(ids).await?)
    }

    async fn open_spans(&self, id: &TraceId) -> Result<SpanBody, UpstreamError> {
        Ok(self.open_spans(id).await?.into())
    }

    async fn read_many_spans(
        &self,
        _: &[TraceId],
        _: usize,
    ) -> Result<Option<HashMap<TraceId, Vec<Bytes>>>, UpstreamError> {
        Ok(None)
    }

    async fn get_experiment(&self, id: &ExperimentId) -> Result<Experiment, UpstreamError> {
        Ok(self.get_experiment(id).await?)
    }

    async fn get_run(&self, id: &RunId) -> Result<Run, UpstreamError> {
        Ok(self.get_run(id).await?)
    }

    async fn get_artifact(&self, run: &Run, path: &str) -> Result<Option<Bytes>, UpstreamError> {
        Ok(self.get_artifact(run, path).await?)
    }

    async fn search_runs(&self, search: &SearchRuns) -> Result<RunPage, UpstreamError> {
        Ok(self.search_runs(search).await?)
    }

    async fn current_user(&self) -> Result<Option<CurrentUser>, UpstreamError> {
        match self.server().flavor {
            Flavor::Databricks => Ok(Some(self.current_user().await?)),
            Flavor::OpenSource => Ok(None),
        }
    }

    async fn data_version(&self) -> Result<Option<DataVersion>, UpstreamError> {
        Ok(None)
    }

    fn breakers(&self) -> Vec<(&'static str, BreakerReport)> {
        let [server, cloud_store] = self.breakers();
        match self.server().flavor {
            Flavor::OpenSource => vec![("mlflow", server)],
            Flavor::Databricks => vec![("databricks", server), ("cloud_store", cloud_store)],
        }
    }
}

#[async_trait]
impl TraceSink for MlflowClient {
    async fn create_assessment(
        &self,
        trace: &TraceId,
        new: &NewAssessment,
    ) -> Result<Assessment, UpstreamError> {
        Ok(self.create_assessment(trace, new).await?)
    }

    async fn get_assessment(&self, trace: &TraceId, id: &AssessmentId) -> Result<Assessment, UpstreamError> {
        Ok(self.get_assessment(trace, id).await?)
    }

    async fn update_assessment(
        &self,
        trace: &TraceId,
        id: &AssessmentId,
        update: &AssessmentUpdate,
    ) -> Result<Assessment, UpstreamError> {
        Ok(self.update_assessment(trace, id, update).await?)
    }

    async fn create_run(&self, new: &NewRun) -> Result<Run, UpstreamError> {
        Ok(self.create_run(new).await?)
    }

    async fn update_run(&self, run: &RunId, update: &RunUpdate) -> Result<(), UpstreamError> {
        Ok(self.update_run(run, update).await?)
    }

    async fn set_run_tags(&self, run: &RunId, tags: &[RunTag]) -> Result<(), UpstreamError> {
        Ok(self.set_run_tags(run, tags).await?)
    }

    async fn delete_run(&self, run: &RunId) -> Result<(), UpstreamError> {
        Ok(self.delete_run(run).await?)
    }

    async fn put_artifact(
        &self,
        run: &Run,
        path: &str,
        content: Bytes,
        content_type: &'static str,
    ) -> Result<(), UpstreamError> {
        Ok(self.put_artifact(run, path, content, content_type).await?)
    }

    async fn link_traces(&self, run: &RunId, traces: &[TraceId]) -> Result<(), UpstreamError> {
        Ok(self.link_traces(run, traces).await?)
    }
}
