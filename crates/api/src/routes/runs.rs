//! Runs.

use axum::extract::State;
use axum::response::Response;
use domain::{ExperimentId, RunId};
use serde::Deserialize;
use service::{RunSearch, Services};
use utoipa::ToSchema;

use super::problems::{BodyProblems, ReadProblems, UpstreamProblems};
use crate::extract::{AtLeastOne, Bounded, Conditions, Json, PathId};
use crate::problem::Problem;
use crate::respond;
use crate::schema::{RunAnswer, RunPage};
use crate::state::AppState;

/// The most experiments one search may name.
const MAX_EXPERIMENTS: usize = 100;

/// One run with its metrics, parameters and tags.
#[utoipa::path(
    get,
    path = "/api/mlflow/runs/{run_id}",
    tag = "runs",
    params(("run_id" = String, Path, description = "The run's id", example = "0369c1902ac742509073ee058e6c6756")),
    responses((status = 200, description = "The run", body = RunAnswer), ReadProblems, UpstreamProblems)
)]
pub async fn get_run(
    PathId(id): PathId<RunId>,
    conditions: Conditions,
    State(services): State<Services>,
    State(state): State<AppState>,
) -> Result<Response, Problem> {
    let answer = services.get_run(&id, conditions.freshness).await?;
    Ok(respond::json(answer, &conditions, &state))
}

/// Which runs, by their life.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RunViewType {
    /// Runs that are not deleted.
    ActiveOnly,
    /// Deleted runs.
    DeletedOnly,
    /// All runs.
    All,
}

/// Which runs to look for.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SearchRunsBody {
    /// In these experiments, 1 to 100.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 100, example = json!(["1"]))]
    experiment_ids: AtLeastOne<ExperimentId, MAX_EXPERIMENTS>,
    /// MLflow's run filter.
    #[schema(example = "tags.status = 'open'")]
    filter: Option<String>,
    /// `ACTIVE_ONLY` (the default), `DELETED_ONLY` or `ALL`.
    #[schema(inline)]
    run_view_type: Option<RunViewType>,
    /// Runs on one page, 1 to 50000; 1000 unless given.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 50000, example = 100)]
    max_results: Option<Bounded<1, 50_000>>,
    /// Order.
    #[schema(example = json!(["start_time DESC"]))]
    order_by: Option<Vec<String>>,
    /// Where the page before ended.
    #[schema(example = "eyJvZmZzZXQiOiAxMH0=")]
    page_token: Option<String>,
}

impl From<SearchRunsBody> for RunSearch {
    fn from(body: SearchRunsBody) -> Self {
        let run_view_type = body.run_view_type.map(|view| match view {
            RunViewType::ActiveOnly => "ACTIVE_ONLY".to_owned(),
            RunViewType::DeletedOnly => "DELETED_ONLY".to_owned(),
            RunViewType::All => "ALL".to_owned(),
        });
        Self {
            experiment_ids: body.experiment_ids.0,
            filter: body.filter,
            run_view_type,
            max_results: body.max_results.map_or(1000, |Bounded(max)| max),
            order_by: body.order_by.unwrap_or_default(),
            page_token: body.page_token,
        }
    }
}

/// Runs that match, one page.
#[utoipa::path(
    post,
    path = "/api/mlflow/runs/search",
    tag = "runs",
    request_body = SearchRunsBody,
    responses((status = 200, description = "A page of runs", body = RunPage), BodyProblems, UpstreamProblems)
)]
pub async fn search_runs(
    State(services): State<Services>,
    State(state): State<AppState>,
    conditions: Conditions,
    Json(body): Json<SearchRunsBody>,
) -> Result<Response, Problem> {
    let answer = services.search_runs(body.into(), conditions.freshness).await?;
    Ok(respond::json(answer, &conditions, &state))
}
