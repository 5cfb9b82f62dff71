//! Traces linked to labeling sessions and runs.

use axum::Json as JsonAnswer;
use domain::{LabelingSessionId, RunId, TraceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::extract::{Asking, AtLeastOne, Json, PathId, Served};
use crate::problem::Problem;
use crate::routes::problems::{BodyProblems, ConflictProblems, UnknownProblems, UpstreamProblems};

/// The most traces one request may name: as many as one search may find.
pub(super) const MAX_TRACES: usize = 10_000;

/// Which traces to link to a session.
#[derive(Debug, Deserialize, ToSchema)]
pub struct LinkToSessionBody {
    /// The session's run; when given, it must be that.
    #[schema(value_type = Option<String>, example = "0369c1902ac742509073ee058e6c6756")]
    mlflow_run_id: Option<RunId>,
    /// 1 to 10000 traces.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 10000, example = json!(["tr-6513270e269e0d37f2a74de452e6b438"]))]
    trace_ids: AtLeastOne<TraceId, MAX_TRACES>,
}

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionLinks {
    /// Always true: what went wrong is a problem.
    success: bool,
    /// Traces that are linked now.
    #[schema(example = 60)]
    linked_traces: usize,
    /// The same in words.
    #[schema(example = "traces linked: 60, new items: 60")]
    message: String,
    /// Items that were made.
    #[schema(example = 60)]
    items_created: u64,
}

/// Links traces to a session's run and makes an item for each, once: linking again neither fails nor doubles. When one
/// of the traces does not exist, nothing is linked.
#[utoipa::path(
    post,
    path = "/api/labeling-sessions/{labeling_session_id}/link-traces",
    tag = "reviews",
    params(("labeling_session_id" = String, Path, description = "The session's id", example = "9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a")),
    request_body = LinkToSessionBody,
    responses(
        (status = 200, description = "They are linked", body = SessionLinks),
        UnknownProblems,
        ConflictProblems,
        BodyProblems,
        UpstreamProblems
    )
)]
pub async fn link_traces_to_session(
    Asking(identity): Asking,
    PathId(session): PathId<LabelingSessionId>,
    Served(services): Served,
    Json(body): Json<LinkToSessionBody>,
) -> Result<JsonAnswer<SessionLinks>, Problem> {
    let linked = services
        .link_traces_to_session(session, body.mlflow_run_id, body.trace_ids.0, identity.user_name)
        .await?;
    let (traces, items) = (linked.linked_traces, linked.items_created);
    Ok(JsonAnswer(SessionLinks {
        success: true,
        linked_traces: traces,
        message: format!("traces linked: {traces}, new items: {items}"),
        items_created: items,
    }))
}

/// Which traces to link to a run.
#[derive(Debug, Deserialize, ToSchema)]
pub struct LinkToRunBody {
    /// The run.
    #[serde(alias = "runId")]
    #[schema(value_type = String, example = "0369c1902ac742509073ee058e6c6756")]
    run_id: RunId,
    /// 1 to 10000 traces.
    #[serde(alias = "traceIds")]
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 10000, example = json!(["tr-6513270e269e0d37f2a74de452e6b438"]))]
    trace_ids: AtLeastOne<TraceId, MAX_TRACES>,
}

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunLinks {
    /// Always true: what went wrong is a problem.
    success: bool,
    /// Traces that are linked now.
    #[schema(example = 60)]
    linked_count: usize,
    /// The same in words.
    #[schema(example = "traces linked: 60")]
    message: String,
}

/// Links traces to a run; linking again changes nothing. When one of the traces does not exist, nothing is linked.
#[utoipa::path(
    post,
    path = "/link-to-run",
    tag = "runs",
    request_body = LinkToRunBody,
    responses(
        (status = 200, description = "They are linked", body = RunLinks),
        UnknownProblems,
        BodyProblems,
        UpstreamProblems
    )
)]
pub async fn link_traces_to_run(
    Served(services): Served,
    Json(body): Json<LinkToRunBody>,
) -> Result<JsonAnswer<RunLinks>, Problem> {
    let linked_count = services.link_traces_to_run(body.run_id, body.trace_ids.0).await?;
    Ok(JsonAnswer(RunLinks {
        success: true,
        linked_count,
        message: format!("traces linked: {linked_count}"),
    }))
}
