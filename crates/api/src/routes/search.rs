//! Traces found by a filter.

use axum::extract::State;
use axum::response::Response;
use domain::{ExperimentId, RunId};
use serde::Deserialize;
use service::{SpanInclusion, TraceSearch};
use utoipa::{IntoParams, ToSchema};

use super::problems::{BodyProblems, UnknownProblems, UpstreamProblems};
use crate::extract::{Bounded, Conditions, Flag, Json, PastTheCache, Query, Reached, Served, Token};
use crate::problem::Problem;
use crate::respond;
use crate::schema::TracePage;
use crate::state::AppState;

/// Traces found unless the request says how many.
const DEFAULT_MAX_RESULTS: u32 = 1000;

/// Which traces to look for.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SearchTracesBody {
    /// In these experiments; without any, in the run's, else in the configured one.
    #[schema(value_type = Option<Vec<String>>, example = json!(["1"]))]
    experiment_ids: Option<Vec<ExperimentId>>,
    /// MLflow's trace filter. Conditions are joined by AND only.
    #[schema(example = "status = 'OK'")]
    filter: Option<String>,
    /// Only traces logged by or linked to this run.
    #[schema(value_type = Option<String>, example = "0369c1902ac742509073ee058e6c6756")]
    run_id: Option<RunId>,
    /// How many at most, 1 to 10000; 1000 unless given.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 10000, example = 10)]
    max_results: Option<Bounded<1, 10_000>>,
    /// `next_page_token` of the page before.
    #[schema(value_type = Option<String>, example = "eyJvZmZzZXQiOiAxMH0=")]
    page_token: Option<Token>,
    /// Order; the newest first unless given.
    #[schema(example = json!(["timestamp_ms DESC"]))]
    order_by: Option<Vec<String>>,
    /// Whole spans (true) or none (false). Unless given: none, except for a search by `run_id`.
    include_spans: Option<bool>,
    /// Spans without inputs, outputs and large attributes.
    span_summary_only: Option<bool>,
}

/// The flags that may stand in the query string as well; the body's win.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SpanFlags {
    /// Whole spans (true) or none (false).
    #[param(value_type = Option<bool>)]
    include_spans: Option<Flag>,
    /// Spans without inputs, outputs and large attributes.
    #[param(value_type = Option<bool>)]
    span_summary_only: Option<Flag>,
}

impl SearchTracesBody {
    fn into_search(self, flags: &SpanFlags) -> TraceSearch {
        let flag = |flag: Option<Flag>| flag.map(|Flag(is)| is);
        let include_spans = self.include_spans.or(flag(flags.include_spans));
        let summary_only = self
            .span_summary_only
            .or(flag(flags.span_summary_only))
            .unwrap_or_default();
        TraceSearch {
            spans: SpanInclusion::from_flags(include_spans, summary_only, self.run_id.is_some()),
            experiment_ids: self.experiment_ids.unwrap_or_default(),
            filter: self.filter,
            run_id: self.run_id,
            max_results: self.max_results.map_or(DEFAULT_MAX_RESULTS, |Bounded(max)| max),
            page_token: self
                .page_token
                .map(|token| token.0)
                .filter(|token| !token.is_empty()),
            order_by: self.order_by.unwrap_or_default(),
        }
    }
}

/// Traces that match. A reviewer may search by the run of a labeling session assigned to them. Span data is touched only when it is
/// asked for; a trace whose spans cannot be loaded says so in `data.error` and does not fail the others.
#[utoipa::path(
    post,
    path = "/api/mlflow/search-traces",
    tag = "traces",
    params(SpanFlags, PastTheCache),
    request_body = SearchTracesBody,
    responses(
        (status = 200, description = "The traces", body = TracePage),
        UnknownProblems,
        BodyProblems,
        UpstreamProblems
    )
)]
pub async fn search_traces(
    Served(services): Served,
    State(state): State<AppState>,
    conditions: Conditions,
    Reached(visibility): Reached,
    Query(flags): Query<SpanFlags>,
    Json(body): Json<SearchTracesBody>,
) -> Result<Response, Problem> {
    let answer = services
        .search_traces(body.into_search(&flags), &visibility, conditions.freshness)
        .await?;
    Ok(respond::json(answer, &conditions, &services, &state).await)
}
