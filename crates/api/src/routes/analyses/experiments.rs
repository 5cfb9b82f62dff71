//! What a sample of an experiment's traces says.

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::response::Response;
use domain::ExperimentId;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use service::{AnalysisSubject, SummaryRequest};
use utoipa::ToSchema;

use super::{Standing, cancelled, events, insights, standing};
use crate::extract::{Asking, Bounded, Conditions, IfChanged, Json, PathId, Served};
use crate::problem::Problem;
use crate::respond;
use crate::routes::problems::{
    BodyProblems, ConflictProblems, ReadProblems, UnknownProblems, UpstreamProblems,
};
use crate::schema::{ExperimentSummaryAnswer, StatusEvent};
use crate::state::AppState;

/// The longest focus, in characters.
const MAX_FOCUS: usize = 500;

/// Traces that are looked at unless said otherwise, and at most.
const DEFAULT_TRACES: u32 = 50;
const MAX_TRACES: u32 = 1000;

/// How an experiment is to be summarised.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ExperimentSummaryBody {
    /// The experiment's id.
    #[schema(value_type = String, example = "1")]
    experiment_id: ExperimentId,
    /// What is to be looked at, in words: a model is told.
    #[serde(default = "comprehensive")]
    #[schema(
        max_length = 500,
        default = "comprehensive",
        example = "wrong answers about orders"
    )]
    focus: String,
    /// The newest traces are looked at, so many of them at most.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 50, example = 50)]
    trace_sample_size: Option<Bounded<1, MAX_TRACES>>,
    /// Whether a model is asked what it sees, where there is one. The summary is complete without.
    #[serde(default = "yes")]
    #[schema(default = true)]
    include_ai_insights: bool,
    /// Which model; the configured one unless given.
    #[schema(max_length = 200, example = "databricks-claude-sonnet-4")]
    model_endpoint: Option<String>,
}

fn comprehensive() -> String {
    "comprehensive".to_owned()
}

fn yes() -> bool {
    true
}

/// Where the summary of an experiment stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExperimentSummaryStatus {
    /// The experiment's id.
    #[schema(example = "1")]
    experiment_id: String,
    /// `not_found`, `pending`, `running`, `completed` or `failed`.
    #[schema(example = "running")]
    status: &'static str,
    /// What is being done, what was made, or why it was not: an error, `cancelled by …`, `interrupted: …`.
    #[schema(example = "reading spans: 12 of 50 traces")]
    message: String,
    /// The run that keeps the summary, once it is completed.
    #[schema(example = "0369c1902ac742509073ee058e6c6756")]
    run_id: Option<String>,
    /// The artifact of that run that is the report.
    #[schema(example = "analysis/experiment_summaries/1_summary.md")]
    report_path: Option<String>,
}

impl ExperimentSummaryStatus {
    fn of(id: &ExperimentId, standing: Standing) -> Self {
        let Standing {
            status,
            message,
            run_id,
            report_path,
        } = standing;
        Self {
            experiment_id: id.to_string(),
            status,
            message,
            run_id,
            report_path,
        }
    }
}

/// The summary of an experiment as it is kept. It has figures of a sample of its traces, what goes wrong and where it is seen,
/// and what experts should be asked about it.
#[utoipa::path(
    get,
    path = "/api/experiment-summary/{experiment_id}",
    tag = "analyses",
    params(("experiment_id" = String, Path, description = "The experiment's id", example = "1"), IfChanged),
    responses((status = 200, description = "The summary, or that there is none", body = ExperimentSummaryAnswer), ReadProblems, UpstreamProblems)
)]
pub async fn get_experiment_summary(
    PathId(id): PathId<ExperimentId>,
    conditions: Conditions,
    Served(services): Served,
    State(state): State<AppState>,
) -> Result<Response, Problem> {
    let answer = services.experiment_summary(&id, conditions.freshness).await?;
    Ok(respond::json(answer, &conditions, &services, &state).await)
}

/// Has an experiment summarised. It goes on when the one who asked leaves; where one is under way already, it is that one.
#[utoipa::path(
    post,
    path = "/api/experiment-summary/trigger-analysis",
    tag = "analyses",
    request_body = ExperimentSummaryBody,
    responses(
        (status = 202, description = "It is under way", body = ExperimentSummaryStatus),
        UnknownProblems, BodyProblems, UpstreamProblems
    )
)]
pub async fn trigger_experiment_summary(
    Asking(identity): Asking,
    Served(services): Served,
    Json(body): Json<ExperimentSummaryBody>,
) -> Result<(StatusCode, JsonAnswer<ExperimentSummaryStatus>), Problem> {
    domain::check_text("focus", &body.focus, MAX_FOCUS)
        .map_err(|broken| Problem::invalid_field(broken.field, broken.rule))?;
    let request = SummaryRequest {
        focus: body.focus,
        traces: body
            .trace_sample_size
            .map_or(DEFAULT_TRACES, |Bounded(traces)| traces),
        insights: insights(body.include_ai_insights, body.model_endpoint)?,
    };
    let id = body.experiment_id;
    let job = services
        .summarise_experiment(&id, request, &identity.user_name)
        .await?;
    let begun = ExperimentSummaryStatus::of(&id, Some(job).into());
    Ok((StatusCode::ACCEPTED, JsonAnswer(begun)))
}

/// Where the latest summary of an experiment stands.
#[utoipa::path(
    get,
    path = "/api/experiment-summary/status/{experiment_id}",
    tag = "analyses",
    params(("experiment_id" = String, Path, description = "The experiment's id", example = "1")),
    responses((status = 200, description = "Where it stands", body = ExperimentSummaryStatus), ReadProblems, UpstreamProblems)
)]
pub async fn get_experiment_summary_status(
    PathId(id): PathId<ExperimentId>,
    Served(services): Served,
) -> Result<JsonAnswer<ExperimentSummaryStatus>, Problem> {
    let standing = standing(&services, &AnalysisSubject::Experiment(id.clone())).await?;
    Ok(JsonAnswer(ExperimentSummaryStatus::of(&id, standing)))
}

/// Where it stands, and each change of that as an event, until it is over.
#[utoipa::path(
    get,
    path = "/api/experiment-summary/status/{experiment_id}/stream",
    tag = "analyses",
    params(("experiment_id" = String, Path, description = "The experiment's id", example = "1")),
    responses((status = 200, description = "Events `status`, with the status as data", content_type = "text/event-stream", body = StatusEvent), ReadProblems, UpstreamProblems)
)]
pub async fn stream_experiment_summary_status(
    PathId(id): PathId<ExperimentId>,
    Served(services): Served,
    State(state): State<AppState>,
) -> Result<Response, Problem> {
    let subject = AnalysisSubject::Experiment(id.clone());
    let shown = move |standing| ExperimentSummaryStatus::of(&id, standing);
    events(&services, &subject, shown, &state).await
}

/// Cancels the summary of an experiment that is under way; the one before stays. A conflict when there is none, or when its report
/// is being stored already.
#[utoipa::path(
    delete,
    path = "/api/experiment-summary/status/{experiment_id}",
    tag = "analyses",
    params(("experiment_id" = String, Path, description = "The experiment's id", example = "1")),
    responses((status = 200, description = "It is cancelled", body = ExperimentSummaryStatus), ReadProblems, ConflictProblems, UpstreamProblems)
)]
pub async fn cancel_experiment_summary(
    Asking(identity): Asking,
    PathId(id): PathId<ExperimentId>,
    Served(services): Served,
) -> Result<JsonAnswer<ExperimentSummaryStatus>, Problem> {
    let subject = AnalysisSubject::Experiment(id.clone());
    let standing = cancelled(&services, &subject, &identity).await?;
    Ok(JsonAnswer(ExperimentSummaryStatus::of(&id, standing)))
}
