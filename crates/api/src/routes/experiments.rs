//! Experiments.

use axum::extract::State;
use axum::response::Response;
use domain::ExperimentId;

use super::problems::{ReadProblems, UpstreamProblems};
use crate::extract::{Asking, Conditions, IfChanged, PathId, Served};
use crate::problem::Problem;
use crate::respond;
use crate::schema::ExperimentAnswer;
use crate::state::AppState;

/// One experiment.
#[utoipa::path(
    get,
    path = "/api/mlflow/experiments/{experiment_id}",
    tag = "experiments",
    params(("experiment_id" = String, Path, description = "The experiment's id", example = "1"), IfChanged),
    responses((status = 200, description = "The experiment", body = ExperimentAnswer), ReadProblems, UpstreamProblems)
)]
pub async fn get_experiment(
    Asking(_): Asking,
    PathId(id): PathId<ExperimentId>,
    conditions: Conditions,
    Served(services): Served,
    State(state): State<AppState>,
) -> Result<Response, Problem> {
    let answer = services.get_experiment(&id, conditions.freshness).await?;
    Ok(respond::json(answer, &conditions, &services, &state).await)
}
