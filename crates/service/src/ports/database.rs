//! MLflow's own database as somewhere to read and write.

use std::collections::HashMap;

use async_trait::async_trait;
use breaker::BreakerReport;
use bytes::Bytes;
use domain::{
    Assessment, AssessmentId, AssessmentUpdate, Experiment, ExperimentId, NewAssessment, NewRun, Run, RunId,
    RunPage, RunTag, RunUpdate, SearchRuns, SearchTraces, TraceId, TraceInfo, TracePage,
};
use futures::{StreamExt, TryStreamExt};
use mlflow_client::CurrentUser;
use mlflow_store::{MlflowStore, StoredPieces, StoredSpans};

use super::{DataVersion, SpanBody, SpanPieces, TraceSink, TraceSource};
use crate::upstream::UpstreamError;

impl From<StoredSpans> for SpanBody {
    fn from(stored: StoredSpans) -> Self {
        let pieces = match stored.pieces {
            StoredPieces::Spans(spans) => SpanPieces::Spans(spans.map_err(UpstreamError::from).boxed()),
            StoredPieces::Text(text) => SpanPieces::Text(text.map_err(UpstreamError::from).boxed()),
        };
        Self {
            content_length: stored.content_length,
            largest_span: stored.largest_span,
            pieces,
        }
    }
}

#[async_trait]
impl TraceSource for MlflowStore {
    async fn search_traces(&self, search: &SearchTraces) -> Result<TracePage, UpstreamError> {
        Ok(self
            .calls()
            .of("traces.search", self.search_traces(search))
            .await?)
    }

    async fn get_trace_info(&self, id: &TraceId) -> Result<TraceInfo, UpstreamError> {
        Ok(self.calls().of("traces.info", self.get_trace_info(id)).await?)
    }

    async fn get_trace_infos(&self, ids: &[TraceId]) -> Result<Option<Vec<TraceInfo>>, UpstreamError> {
        Ok(Some(
            self.calls()
                .of("traces.batch_infos", self.get_trace_infos(ids))
                .await?,
        ))
    }

    async fn open_spans(&self, id: &TraceId) -> Result<SpanBody, UpstreamError> {
        Ok(self.calls().of("traces.spans", self.open_spans(id)).await?.into())
    }

    async fn read_many_spans(
        &self,
        ids: &[TraceId],
        bytes: usize,
    ) -> Result<Option<HashMap<TraceId, Vec<Bytes>>>, UpstreamError> {
        Ok(Some(
            self.calls()
                .of("traces.batch_spans", self.read_many_spans(ids, bytes))
                .await?,
        ))
    }

    async fn get_experiment(&self, id: &ExperimentId) -> Result<Experiment, UpstreamError> {
        Ok(self
            .calls()
            .of("experiments.get", self.get_experiment(id))
            .await?)
    }

    async fn get_run(&self, id: &RunId) -> Result<Run, UpstreamError> {
        Ok(self.calls().of("runs.get", self.get_run(id)).await?)
    }

    async fn get_artifact(&self, run: &Run, path: &str) -> Result<Option<Bytes>, UpstreamError> {
        Ok(self
            .calls()
            .of("artifacts.get", self.get_artifact(run, path))
            .await?)
    }

    async fn search_runs(&self, search: &SearchRuns) -> Result<RunPage, UpstreamError> {
        Ok(self.calls().of("runs.search", self.search_runs(search)).await?)
    }

    async fn current_user(&self) -> Result<Option<CurrentUser>, UpstreamError> {
        Ok(None)
    }

    async fn data_version(&self) -> Result<Option<DataVersion>, UpstreamError> {
        Ok(self.data_version().await?.map(DataVersion))
    }

    fn breakers(&self) -> Vec<(&'static str, BreakerReport)> {
        let breaker = self.breaker().map(|breaker| ("mlflow_database", breaker));
        breaker.into_iter().collect()
    }
}

#[async_trait]
impl TraceSink for MlflowStore {
    async fn create_assessment(
        &self,
        trace: &TraceId,
        new: &NewAssessment,
    ) -> Result<Assessment, UpstreamError> {
        Ok(self
            .calls()
            .of("assessments.create", self.create_assessment(trace, new))
            .await?)
    }

    async fn get_assessment(&self, trace: &TraceId, id: &AssessmentId) -> Result<Assessment, UpstreamError> {
        Ok(self
            .calls()
            .of("assessments.get", self.get_assessment(trace, id))
            .await?)
    }

    async fn update_assessment(
        &self,
        trace: &TraceId,
        id: &AssessmentId,
        update: &AssessmentUpdate,
    ) -> Result<Assessment, UpstreamError> {
        Ok(self
            .calls()
            .of("assessments.update", self.update_assessment(trace, id, update))
            .await?)
    }

    async fn create_run(&self, new: &NewRun) -> Result<Run, UpstreamError> {
        Ok(self.calls().of("runs.create", self.create_run(new)).await?)
    }

    async fn update_run(&self, run: &RunId, update: &RunUpdate) -> Result<(), UpstreamError> {
        Ok(self
            .calls()
            .of("runs.update", self.update_run(run, update))
            .await?)
    }

    async fn set_run_tags(&self, run: &RunId, tags: &[RunTag]) -> Result<(), UpstreamError> {
        Ok(self
            .calls()
            .of("runs.log_batch", self.set_run_tags(run, tags))
            .await?)
    }

    async fn delete_run(&self, run: &RunId) -> Result<(), UpstreamError> {
        Ok(self.calls().of("runs.delete", self.delete_run(run)).await?)
    }

    async fn put_artifact(
        &self,
        run: &Run,
        path: &str,
        content: Bytes,
        _: &'static str,
    ) -> Result<(), UpstreamError> {
        Ok(self
            .calls()
            .of("artifacts.put", self.put_artifact(run, path, content))
            .await?)
    }

    async fn link_traces(&self, run: &RunId, traces: &[TraceId]) -> Result<(), UpstreamError> {
        Ok(self
            .calls()
            .of("traces.link_to_run", self.link_traces(run, traces))
            .await?)
    }
}
