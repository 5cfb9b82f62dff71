//! What the service needs of the outside: somewhere to read traces from, and somewhere to write what reviews make.

mod client;
mod database;

use std::collections::HashMap;

use async_trait::async_trait;
use breaker::BreakerReport;
use bytes::Bytes;
use domain::{
    Assessment, AssessmentId, AssessmentUpdate, Experiment, ExperimentId, NewAssessment, NewRun, Run, RunId,
    RunPage, RunTag, RunUpdate, SearchRuns, SearchTraces, TraceId, TraceInfo, TracePage,
};
use futures::stream::BoxStream;
use mlflow_client::CurrentUser;

use crate::upstream::UpstreamError;

/// A state of all that a source holds. Two that are equal mean that nothing was written in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataVersion(pub String);

/// A trace's spans as they arrive.
pub struct SpanBody {
    /// How many bytes come, where that is known.
    pub content_length: Option<u64>,
    /// The bytes of the largest span, where that is known before it comes.
    pub largest_span: Option<u64>,
    /// What comes. Dropping it ends the read; the source is read only as fast as this is.
    pub pieces: SpanPieces,
}

/// What comes of a trace's spans, each in MLflow's dictionary format.
pub enum SpanPieces {
    /// The JSON text `{"spans":[…]}` in pieces.
    Text(BoxStream<'static, Result<Bytes, UpstreamError>>),
    /// Whole spans, some at a time, each checked ([`domain::span_text`]).
    Spans(BoxStream<'static, Result<Vec<Bytes>, UpstreamError>>),
}

impl std::fmt::Debug for SpanPieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text",
            Self::Spans(_) => "Spans",
        })
    }
}

impl std::fmt::Debug for SpanBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpanBody")
            .field("content_length", &self.content_length)
            .finish_non_exhaustive()
    }
}

/// Somewhere to read traces, runs and experiments from.
///
/// Nothing is cached below this line and nothing is retried above it. Each method's errors are those of the method of
/// the same name on whoever implements it.
#[async_trait]
pub trait TraceSource: Send + Sync + std::fmt::Debug + 'static {
    /// Traces that match, without spans.
    async fn search_traces(&self, search: &SearchTraces) -> Result<TracePage, UpstreamError>;
    /// One trace, without spans.
    async fn get_trace_info(&self, id: &TraceId) -> Result<TraceInfo, UpstreamError>;
    /// Many traces without spans, unknown ones left out; `None` where that takes a call for each.
    async fn get_trace_infos(&self, ids: &[TraceId]) -> Result<Option<Vec<TraceInfo>>, UpstreamError>;
    /// A trace's spans as they arrive.
    async fn open_spans(&self, id: &TraceId) -> Result<SpanBody, UpstreamError>;
    /// The spans of many traces at once, whole, checked and in their order; `None` where that takes a call for each. Traces whose
    /// spans do not fit into so many bytes altogether, or are not to be had so, are left out.
    async fn read_many_spans(
        &self,
        ids: &[TraceId],
        bytes: usize,
    ) -> Result<Option<HashMap<TraceId, Vec<Bytes>>>, UpstreamError>;
    /// One experiment.
    async fn get_experiment(&self, id: &ExperimentId) -> Result<Experiment, UpstreamError>;
    /// One run.
    async fn get_run(&self, id: &RunId) -> Result<Run, UpstreamError>;
    /// A file of a run, of 16 MiB at most; `None` where the run has none of this path.
    async fn get_artifact(&self, run: &Run, path: &str) -> Result<Option<Bytes>, UpstreamError>;
    /// One page of runs.
    async fn search_runs(&self, search: &SearchRuns) -> Result<RunPage, UpstreamError>;
    /// The owner of our credentials; `None` where the source knows no users.
    async fn current_user(&self) -> Result<Option<CurrentUser>, UpstreamError>;
    /// The state of all that the source holds; `None` where it cannot be told without reading. While it is the same,
    /// nothing was written.
    async fn data_version(&self) -> Result<Option<DataVersion>, UpstreamError>;
    /// Who is asked, each by a name of its own, and whether calls of them go through.
    fn breakers(&self) -> Vec<(&'static str, BreakerReport)>;
}

/// Somewhere to write labels, runs and links.
///
/// Each method's errors are those of the method of the same name on whoever implements it.
#[async_trait]
pub trait TraceSink: Send + Sync + std::fmt::Debug + 'static {
    /// Gives an assessment to a trace.
    async fn create_assessment(
        &self,
        trace: &TraceId,
        new: &NewAssessment,
    ) -> Result<Assessment, UpstreamError>;
    /// One assessment of a trace.
    async fn get_assessment(&self, trace: &TraceId, id: &AssessmentId) -> Result<Assessment, UpstreamError>;
    /// Changes an assessment.
    async fn update_assessment(
        &self,
        trace: &TraceId,
        id: &AssessmentId,
        update: &AssessmentUpdate,
    ) -> Result<Assessment, UpstreamError>;
    /// Makes a run.
    async fn create_run(&self, new: &NewRun) -> Result<Run, UpstreamError>;
    /// Changes a run.
    async fn update_run(&self, run: &RunId, update: &RunUpdate) -> Result<(), UpstreamError>;
    /// Sets tags of a run.
    async fn set_run_tags(&self, run: &RunId, tags: &[RunTag]) -> Result<(), UpstreamError>;
    /// Marks a run as deleted.
    async fn delete_run(&self, run: &RunId) -> Result<(), UpstreamError>;
    /// Writes a file of a run; what was there before is gone.
    async fn put_artifact(
        &self,
        run: &Run,
        path: &str,
        content: Bytes,
        content_type: &'static str,
    ) -> Result<(), UpstreamError>;
    /// Links traces to a run, whether they are or not; a second time does nothing.
    async fn link_traces(&self, run: &RunId, traces: &[TraceId]) -> Result<(), UpstreamError>;
}
