//! What the labels of a session say together.

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::response::Response;
use domain::LabelingSessionId;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use service::AnalysisSubject;
use utoipa::ToSchema;

use super::{Standing, cancelled, events, insights, standing};
use crate::extract::{Asking, Conditions, IfChanged, Json, PathId, Served};
use crate::problem::Problem;
use crate::respond;
use crate::routes::problems::{
    BodyProblems, ConflictProblems, ReadProblems, UnknownProblems, UpstreamProblems,
};
use crate::schema::{SessionAnalysisAnswer, StatusEvent};
use crate::state::AppState;

/// How a session is to be analysed.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SessionAnalysisBody {
    /// Whether a model is asked what it sees, where there is one. The report is complete without.
    #[serde(default = "yes")]
    #[schema(default = true)]
    include_ai_insights: bool,
    /// Which model; the configured one unless given.
    #[schema(max_length = 200, example = "databricks-claude-sonnet-4")]
    model_endpoint: Option<String>,
}

fn yes() -> bool {
    true
}

/// Where the analysis of a session stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionAnalysisStatus {
    /// The session's id.
    #[schema(example = "9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a")]
    session_id: String,
    /// `not_found`, `pending`, `running`, `completed` or `failed`.
    #[schema(example = "running")]
    status: &'static str,
    /// What is being done, what was made, or why it was not: an error, `cancelled by …`, `interrupted: …`.
    #[schema(example = "reading labels: 500 of 1200 traces")]
    message: String,
    /// The run that keeps the report, once it is completed.
    #[schema(example = "0369c1902ac742509073ee058e6c6756")]
    run_id: Option<String>,
    /// The artifact of that run that is the report.
    #[schema(example = "analysis/session_summary/report.md")]
    report_path: Option<String>,
}

impl SessionAnalysisStatus {
    fn of(id: &LabelingSessionId, standing: Standing) -> Self {
        let Standing {
            status,
            message,
            run_id,
            report_path,
        } = standing;
        Self {
            session_id: id.to_string(),
            status,
            message,
            run_id,
            report_path,
        }
    }
}

/// The analysis of a session as it is kept. It has counts and distributions, how far reviewers are and how much they agree,
/// and where they differ.
#[utoipa::path(
    get,
    path = "/api/labeling-sessions/{labeling_session_id}/analysis",
    tag = "analyses",
    params(("labeling_session_id" = String, Path, description = "The session's id", example = "9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a"), IfChanged),
    responses((status = 200, description = "The analysis, or that there is none", body = SessionAnalysisAnswer), ReadProblems, UpstreamProblems)
)]
pub async fn get_session_analysis(
    PathId(id): PathId<LabelingSessionId>,
    conditions: Conditions,
    Served(services): Served,
    State(state): State<AppState>,
) -> Result<Response, Problem> {
    let answer = services.session_analysis(&id, conditions.freshness).await?;
    Ok(respond::json(answer, &conditions, &services, &state).await)
}

/// Has a session analysed. It goes on when the one who asked leaves; where one is under way already, it is that one.
#[utoipa::path(
    post,
    path = "/api/labeling-sessions/{labeling_session_id}/analysis/trigger",
    tag = "analyses",
    params(("labeling_session_id" = String, Path, description = "The session's id", example = "9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a")),
    request_body = SessionAnalysisBody,
    responses(
        (status = 202, description = "It is under way", body = SessionAnalysisStatus),
        UnknownProblems, ConflictProblems, BodyProblems, UpstreamProblems
    )
)]
pub async fn trigger_session_analysis(
    Asking(identity): Asking,
    PathId(id): PathId<LabelingSessionId>,
    Served(services): Served,
    Json(body): Json<SessionAnalysisBody>,
) -> Result<(StatusCode, JsonAnswer<SessionAnalysisStatus>), Problem> {
    let insights = insights(body.include_ai_insights, body.model_endpoint)?;
    let job = services
        .analyse_session(&id, insights, &identity.user_name)
        .await?;
    let begun = SessionAnalysisStatus::of(&id, Some(job).into());
    Ok((StatusCode::ACCEPTED, JsonAnswer(begun)))
}

/// Where the latest analysis of a session stands.
#[utoipa::path(
    get,
    path = "/api/labeling-sessions/{labeling_session_id}/analysis/status",
    tag = "analyses",
    params(("labeling_session_id" = String, Path, description = "The session's id", example = "9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a")),
    responses((status = 200, description = "Where it stands", body = SessionAnalysisStatus), ReadProblems, UpstreamProblems)
)]
pub async fn get_session_analysis_status(
    PathId(id): PathId<LabelingSessionId>,
    Served(services): Served,
) -> Result<JsonAnswer<SessionAnalysisStatus>, Problem> {
    let standing = standing(&services, &AnalysisSubject::Session(id.clone())).await?;
    Ok(JsonAnswer(SessionAnalysisStatus::of(&id, standing)))
}

/// Where it stands, and each change of that as an event, until it is over.
#[utoipa::path(
    get,
    path = "/api/labeling-sessions/{labeling_session_id}/analysis/status/stream",
    tag = "analyses",
    params(("labeling_session_id" = String, Path, description = "The session's id", example = "9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a")),
    responses((status = 200, description = "Events `status`, with the status as data", content_type = "text/event-stream", body = StatusEvent), ReadProblems, UpstreamProblems)
)]
pub async fn stream_session_analysis_status(
    PathId(id): PathId<LabelingSessionId>,
    Served(services): Served,
    State(state): State<AppState>,
) -> Result<Response, Problem> {
    let subject = AnalysisSubject::Session(id.clone());
    let shown = move |standing| SessionAnalysisStatus::of(&id, standing);
    events(&services, &subject, shown, &state).await
}

/// Cancels the analysis of a session that is under way; the report of the one before stays. A conflict when there is none, or when
/// its report is being stored already.
#[utoipa::path(
    delete,
    path = "/api/labeling-sessions/{labeling_session_id}/analysis/status",
    tag = "analyses",
    params(("labeling_session_id" = String, Path, description = "The session's id", example = "9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a")),
    responses((status = 200, description = "It is cancelled", body = SessionAnalysisStatus), ReadProblems, ConflictProblems, UpstreamProblems)
)]
pub async fn cancel_session_analysis(
    Asking(identity): Asking,
    PathId(id): PathId<LabelingSessionId>,
    Served(services): Served,
) -> Result<JsonAnswer<SessionAnalysisStatus>, Problem> {
    let subject = AnalysisSubject::Session(id.clone());
    let standing = cancelled(&services, &subject, &identity).await?;
    Ok(JsonAnswer(SessionAnalysisStatus::of(&id, standing)))
}
