//! Traces by id.

use axum::extract::State;
use axum::response::Response;
use domain::TraceId;
use serde::Deserialize;
use service::SpanInclusion;
use utoipa::ToSchema;

use super::problems::{BodyProblems, ReadProblems, UpstreamProblems};
use crate::extract::{AtLeastOne, Conditions, IfChanged, Json, PastTheCache, PathId, Reached, Served};
use crate::problem::Problem;
use crate::respond;
use crate::schema::{Trace, TraceBatch, TraceDataAnswer};
use crate::state::AppState;

/// The most traces one request may name.
const MAX_BATCH: usize = 500;

/// Which traces, and how much of their spans.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TraceBatchBody {
    /// 1 to 500 traces; the answer has their order.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 500, example = json!(["tr-6513270e269e0d37f2a74de452e6b438"]))]
    trace_ids: AtLeastOne<TraceId, MAX_BATCH>,
    /// Whole spans; none unless given.
    include_spans: Option<bool>,
    /// Spans without inputs, outputs and large attributes.
    span_summary_only: Option<bool>,
}

impl From<TraceBatchBody> for service::TraceBatch {
    fn from(body: TraceBatchBody) -> Self {
        let summary_only = body.span_summary_only.unwrap_or_default();
        let spans = SpanInclusion::from_flags(body.include_spans, summary_only, false);
        Self {
            trace_ids: body.trace_ids.0,
            spans,
        }
    }
}

/// Traces by id, in the order asked for. One that fails is null, its reason among the errors, and never fails the
/// others.
#[utoipa::path(
    post,
    path = "/batch",
    tag = "traces",
    params(PastTheCache),
    request_body = TraceBatchBody,
    responses((status = 200, description = "The traces", body = TraceBatch), BodyProblems, UpstreamProblems)
)]
pub async fn get_traces(
    Served(services): Served,
    State(state): State<AppState>,
    conditions: Conditions,
    Reached(visibility): Reached,
    Json(body): Json<TraceBatchBody>,
) -> Result<Response, Problem> {
    let answer = services
        .get_traces(body.into(), &visibility, conditions.freshness)
        .await?;
    Ok(respond::json(answer, &conditions, &services, &state).await)
}

/// One trace with its assessments and all its spans.
#[utoipa::path(
    get,
    path = "/{trace_id}",
    tag = "traces",
    params(("trace_id" = String, Path, description = "The trace's id", example = "tr-6513270e269e0d37f2a74de452e6b438"), IfChanged),
    responses((status = 200, description = "The trace", body = Trace), ReadProblems, UpstreamProblems)
)]
pub async fn get_trace(
    PathId(id): PathId<TraceId>,
    conditions: Conditions,
    Served(services): Served,
    State(state): State<AppState>,
) -> Result<Response, Problem> {
    let answer = services.get_trace(&id, conditions.freshness).await?;
    Ok(respond::json(answer, &conditions, &services, &state).await)
}

/// One trace's spans, with the root span's inputs and outputs beside them.
#[utoipa::path(
    get,
    path = "/{trace_id}/data",
    tag = "traces",
    params(("trace_id" = String, Path, description = "The trace's id", example = "tr-6513270e269e0d37f2a74de452e6b438"), IfChanged),
    responses((status = 200, description = "The trace's data", body = TraceDataAnswer), ReadProblems, UpstreamProblems)
)]
pub async fn get_trace_data(
    PathId(id): PathId<TraceId>,
    conditions: Conditions,
    Served(services): Served,
    State(state): State<AppState>,
) -> Result<Response, Problem> {
    let answer = services.get_trace_data(&id, conditions.freshness).await?;
    Ok(respond::json(answer, &conditions, &services, &state).await)
}
