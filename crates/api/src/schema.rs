//! The shapes of answers that leave as ready bytes, for the OpenAPI document only: nothing builds these types.
//!
//! A test reads real answers and holds them against the document, so that the two cannot drift apart.

use std::collections::BTreeMap;

use analysis::experiment::{DetectedIssue, RecommendedSchema};
use domain::span::SpanSizes;
use domain::{Experiment, Run, TraceInfo};
use utoipa::ToSchema;

/// A trace: what is known of it, and its spans as far as they were asked for.
#[derive(Debug, ToSchema)]
pub struct Trace {
    /// What is known of the trace without its spans.
    pub info: TraceInfo,
    /// Its spans.
    pub data: TraceData,
}

/// A trace's spans.
#[derive(Debug, ToSchema)]
pub struct TraceData {
    /// The root first, then by start time. Empty when spans were not asked for.
    pub spans: Vec<Span>,
    /// Why `spans` is empty although spans were asked for.
    pub error: Option<PartError>,
}

/// A span in MLflow's dictionary format, untouched; a summary leaves out `events`, `links`, inputs, outputs and
/// attributes over 256 bytes, and has `sizes`.
#[derive(Debug, ToSchema)]
pub struct Span {
    /// The span's name.
    #[schema(example = "retrieve_docs")]
    pub name: Option<String>,
    /// The trace's id: 16 bytes in base64.
    #[schema(example = "ZRMnDiaeDTfyp03kUua0OA==")]
    pub trace_id: Option<String>,
    /// The span's id: 8 bytes in base64.
    #[schema(example = "PZwXJBHiC48=")]
    pub span_id: Option<String>,
    /// The parent's id; null on a root.
    #[schema(example = "DFx/0KajpFA=")]
    pub parent_span_id: Option<String>,
    /// When the span began, in nanoseconds since 1970. Larger than a double holds exactly.
    #[schema(example = 1_795_457_376_872_393_064_u64)]
    pub start_time_unix_nano: Option<u64>,
    /// When the span ended, in nanoseconds since 1970; null while it runs.
    #[schema(example = 1_795_457_376_872_766_555_u64)]
    pub end_time_unix_nano: Option<u64>,
    /// How it ended.
    pub status: Option<SpanStatus>,
    /// Each value is JSON text: `"mlflow.spanType": "\"RETRIEVER\""`.
    #[schema(example = json!({"mlflow.spanType": "\"RETRIEVER\"", "mlflow.spanInputs": "{\"query\": \"refund\"}"}))]
    pub attributes: Option<BTreeMap<String, serde_json::Value>>,
    /// Events, such as exceptions.
    #[schema(example = json!([{"name": "exception", "time_unix_nano": 1_795_457_376_872_700_000_u64, "attributes": {"exception.type": "ConnectionError"}}]), value_type = Option<Vec<Object>>)]
    pub events: Option<Vec<serde_json::Value>>,
    /// Links to other spans.
    #[schema(example = json!([{"trace_id": "tr-6513270e269e0d37f2a74de452e6b438", "span_id": "00000000000000ab", "attributes": null}]), value_type = Option<Vec<Object>>)]
    pub links: Option<Vec<serde_json::Value>>,
    /// Sizes of the span's parts; only in summaries.
    pub sizes: Option<SpanSizes>,
}

/// How a span ended.
#[derive(Debug, ToSchema)]
pub struct SpanStatus {
    /// `STATUS_CODE_OK`, `STATUS_CODE_ERROR` or `STATUS_CODE_UNSET`.
    #[schema(example = "STATUS_CODE_OK")]
    pub code: String,
    /// What went wrong.
    #[schema(example = "")]
    pub message: Option<String>,
}

/// Why one part of an answer is missing while the rest is fine.
#[derive(Debug, ToSchema)]
pub struct PartError {
    /// One of the codes of a problem.
    #[schema(example = "RESOURCE_NOT_FOUND")]
    pub code: String,
    /// The reason, for a person.
    #[schema(example = "there is no trace tr-00000000000000000000000000000000")]
    pub message: String,
}

/// A page of traces.
#[derive(Debug, ToSchema)]
pub struct TracePage {
    /// The traces, in the order asked for.
    pub traces: Vec<Trace>,
    /// Where the next page begins; null when there is none. The page it names may turn out empty.
    #[schema(example = "eyJvZmZzZXQiOiAxMH0=")]
    pub next_page_token: Option<String>,
}

/// Traces by id.
#[derive(Debug, ToSchema)]
pub struct TraceBatch {
    /// In the order asked for; null where a trace could not be had.
    pub traces: Vec<Option<Trace>>,
    /// Why, by trace id.
    #[schema(example = json!({"tr-unknown": {"code": "RESOURCE_NOT_FOUND", "message": "there is no trace tr-unknown"}}))]
    pub errors: BTreeMap<String, PartError>,
}

/// A trace's data, as older clients read it.
#[derive(Debug, ToSchema)]
pub struct TraceDataAnswer {
    /// The data.
    pub trace_data: RequestAndResponse,
}

/// Spans with the root span's inputs and outputs beside them.
#[derive(Debug, ToSchema)]
pub struct RequestAndResponse {
    /// The root first, then by start time.
    pub spans: Vec<Span>,
    /// The root span's inputs, as JSON text.
    #[schema(example = "{\"question\": \"Where is my order?\"}")]
    pub request: Option<String>,
    /// The root span's outputs, as JSON text.
    #[schema(example = "\"It arrives on Friday.\"")]
    pub response: Option<String>,
}

/// Spans of one trace.
#[derive(Debug, ToSchema)]
pub struct SpanList {
    /// The root first, then by start time.
    pub spans: Vec<Span>,
}

/// One event of a trace's spans.
#[derive(Debug, ToSchema)]
pub struct SpanEvent {
    /// `span` for each; then `end`, or `error` when the rest cannot be had.
    #[schema(example = "span")]
    pub event: String,
    /// The span as JSON text; in the end how many there were, or why there are no more.
    #[schema(example = "{\"spans\":12}")]
    pub data: String,
}

/// One event of a job.
#[derive(Debug, ToSchema)]
pub struct StatusEvent {
    /// `status`; `error` when it cannot be told any more.
    #[schema(example = "status")]
    pub event: String,
    /// The status as JSON text, or why it cannot be told.
    #[schema(example = "{\"status\":\"running\",\"message\":\"reading spans: 12 of 50 traces\"}")]
    pub data: String,
}

/// The analysis of a session as it is kept.
#[derive(Debug, ToSchema)]
pub struct SessionAnalysisAnswer {
    /// Whether there is one.
    #[schema(example = true)]
    pub has_analysis: bool,
    /// The report in Markdown, with charts in Mermaid; null where there is none.
    #[schema(example = "# Labels of `Week 47`\n")]
    pub content: Option<String>,
    /// The session's id.
    #[schema(example = "9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a")]
    pub session_id: String,
    /// The session's run, which keeps the report and its data as artifacts (`analysis/session_summary/report.md`,
    /// `data.json`).
    #[schema(example = "0369c1902ac742509073ee058e6c6756")]
    pub run_id: Option<String>,
    /// `analysis_timestamp`, `model_endpoint` (null where no model was asked) and `totals`; null where there is none.
    #[schema(value_type = Option<Object>, example = json!({"analysis_timestamp": "2026-11-23T18:09:40.120Z", "model_endpoint": null, "totals": {"items": 60}}))]
    pub metadata: Option<serde_json::Value>,
    /// The same in words.
    #[schema(example = "the labels of this session have been analysed")]
    pub message: String,
}

/// The summary of an experiment as it is kept.
#[derive(Debug, ToSchema)]
pub struct ExperimentSummaryAnswer {
    /// Whether there is one.
    #[schema(example = true)]
    pub has_summary: bool,
    /// The report in Markdown, with charts in Mermaid; null where there is none.
    #[schema(example = "# Traces of experiment `1`\n")]
    pub content: Option<String>,
    /// Who keeps it: `mlflow`; null where there is none.
    #[schema(example = "mlflow")]
    pub source: Option<String>,
    /// The run `experiment_metadata`, which keeps the report and its data as artifacts (`analysis/experiment_summaries/…`).
    #[schema(example = "0369c1902ac742509073ee058e6c6756")]
    pub run_id: Option<String>,
    /// The same in words.
    #[schema(example = "the traces of this experiment have been summarised")]
    pub message: String,
    /// What experts should be asked, the most useful first.
    pub schemas_with_label_types: Vec<RecommendedSchema>,
    /// What goes wrong, the worst first.
    pub detected_issues: Vec<DetectedIssue>,
    /// Facts about the analysis; null where there is none.
    pub metadata: Option<SummaryMetadata>,
}

/// Facts about an analysis.
#[derive(Debug, ToSchema)]
pub struct SummaryMetadata {
    /// When it was made (RFC 3339, UTC).
    #[schema(example = "2026-11-23T18:09:40.120Z")]
    pub analysis_timestamp: String,
    /// The model that was asked; null where none was, or none answered.
    #[schema(example = "databricks-claude-sonnet-4")]
    pub model_endpoint: Option<String>,
    /// Traces that were gone through.
    #[schema(example = 50)]
    pub traces_analyzed: u64,
    /// Traces whose spans could not be read.
    #[schema(example = 0)]
    pub traces_failed: u64,
}

/// One experiment.
#[derive(Debug, ToSchema)]
pub struct ExperimentAnswer {
    /// The experiment.
    pub experiment: Experiment,
}

/// One run.
#[derive(Debug, ToSchema)]
pub struct RunAnswer {
    /// The run.
    pub run: Run,
}

/// A page of runs.
#[derive(Debug, ToSchema)]
pub struct RunPage {
    /// The runs, in the order asked for.
    pub runs: Vec<Run>,
    /// Where the next page begins; null on the last.
    #[schema(example = "eyJvZmZzZXQiOiAxMH0=")]
    pub next_page_token: Option<String>,
}
