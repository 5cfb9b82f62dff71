//! What the newest traces have in common.

use analysis::patterns::Patterns;
use axum::extract::State;
use axum::response::Response;
use domain::ExperimentId;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::extract::{Bounded, Conditions, IfChanged, Query, Served};
use crate::problem::Problem;
use crate::respond;
use crate::routes::problems::{QueryProblems, ReadProblems, UpstreamProblems};
use crate::state::AppState;

/// Traces that are looked at unless said otherwise.
const DEFAULT_TRACES: u32 = 50;

/// Which traces are looked at.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PatternParams {
    /// So many at most, the newest; 50 unless given.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, example = 50)]
    limit: Option<Bounded<1, 100>>,
    /// Those of this experiment; of the configured one unless given.
    #[param(value_type = Option<String>, example = "1")]
    experiment_id: Option<ExperimentId>,
}

/// What the newest traces of an experiment have in common, read from their spans. That is what kind of agent it
/// is, which tools it calls and how, how conversations go, and figures of each type of span and each tool.
#[utoipa::path(
    get,
    path = "/analyze-patterns",
    tag = "analyses",
    params(PatternParams, IfChanged),
    responses((status = 200, description = "What they have in common", body = Patterns), ReadProblems, QueryProblems, UpstreamProblems)
)]
pub async fn analyze_patterns(
    Query(params): Query<PatternParams>,
    conditions: Conditions,
    Served(services): Served,
    State(state): State<AppState>,
) -> Result<Response, Problem> {
    let traces = params.limit.map_or(DEFAULT_TRACES, |Bounded(limit)| limit);
    let answer = services
        .analyse_patterns(params.experiment_id, traces, conditions.freshness)
        .await?;
    Ok(respond::json(answer, &conditions, &services, &state).await)
}
