//! Runs.

use std::collections::BTreeMap;

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::response::Response;
use domain::{ExperimentId, RunId, RunTag};
use serde::{Deserialize, Serialize};
use service::{NewRun, RunSearch, RunStatus, RunUpdate};
use utoipa::ToSchema;

use super::problems::{BodyProblems, ReadProblems, UnknownProblems, UpstreamProblems};
use crate::extract::{
    Asking, AtLeastOne, Bounded, Conditions, IfChanged, Json, PastTheCache, PathId, Served, Token,
};
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
    params(("run_id" = String, Path, description = "The run's id", example = "0369c1902ac742509073ee058e6c6756"), IfChanged),
    responses((status = 200, description = "The run", body = RunAnswer), ReadProblems, UpstreamProblems)
)]
pub async fn get_run(
    PathId(id): PathId<RunId>,
    conditions: Conditions,
    Served(services): Served,
    State(state): State<AppState>,
) -> Result<Response, Problem> {
    let answer = services.get_run(&id, conditions.freshness).await?;
    Ok(respond::json(answer, &conditions, &services, &state).await)
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
    #[schema(value_type = Option<String>, example = "eyJvZmZzZXQiOiAxMH0=")]
    page_token: Option<Token>,
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
            page_token: body.page_token.map(|token| token.0),
        }
    }
}

/// Runs that match, one page.
#[utoipa::path(
    post,
    path = "/api/mlflow/runs/search",
    tag = "runs",
    params(PastTheCache),
    request_body = SearchRunsBody,
    responses((status = 200, description = "A page of runs", body = RunPage), BodyProblems, UpstreamProblems)
)]
pub async fn search_runs(
    Served(services): Served,
    State(state): State<AppState>,
    conditions: Conditions,
    Json(body): Json<SearchRunsBody>,
) -> Result<Response, Problem> {
    let answer = services.search_runs(body.into(), conditions.freshness).await?;
    Ok(respond::json(answer, &conditions, &services, &state).await)
}

/// A run to be made.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CreateRunBody {
    /// The experiment it belongs to.
    #[schema(value_type = String, example = "1")]
    experiment_id: ExperimentId,
    /// The run's name; MLflow makes one up unless given.
    #[schema(example = "Labeling session: week 47")]
    run_name: Option<String>,
    /// Who makes it; the user who asks unless given.
    #[schema(example = "ann")]
    user_id: Option<String>,
    /// When it began, in milliseconds since 1970; now unless given.
    #[schema(example = 1_795_457_376_829_i64)]
    start_time: Option<i64>,
    /// Tags, by name.
    #[schema(example = json!({"mlflow.customRenderer": "chat"}))]
    tags: Option<BTreeMap<String, String>>,
}

/// Makes a run.
#[utoipa::path(
    post,
    path = "/api/mlflow/runs/create",
    tag = "runs",
    request_body = CreateRunBody,
    responses(
        (status = 200, description = "The run", body = RunAnswer),
        UnknownProblems,
        BodyProblems,
        UpstreamProblems
    )
)]
pub async fn create_run(
    Asking(identity): Asking,
    Served(services): Served,
    State(state): State<AppState>,
    conditions: Conditions,
    Json(body): Json<CreateRunBody>,
) -> Result<Response, Problem> {
    let tags = body.tags.unwrap_or_default().into_iter();
    let new = NewRun {
        experiment_id: body.experiment_id,
        run_name: body.run_name,
        user_id: body.user_id.or(Some(identity.user_name)),
        start_time: body.start_time,
        tags: tags.map(|(key, value)| RunTag { key, value }).collect(),
    };
    let answer = services.create_run(new).await?;
    Ok(respond::json(answer, &conditions, &services, &state).await)
}

/// How a run changes.
#[derive(Debug, Deserialize, ToSchema)]
pub struct UpdateRunBody {
    /// The run.
    #[schema(value_type = String, example = "0369c1902ac742509073ee058e6c6756")]
    run_id: RunId,
    /// `RUNNING`, `SCHEDULED`, `FINISHED`, `FAILED` or `KILLED`.
    #[schema(value_type = Option<String>, example = "FINISHED")]
    status: Option<RunStatus>,
    /// When it ended, in milliseconds since 1970.
    #[schema(example = 1_795_460_976_829_i64)]
    end_time: Option<i64>,
    /// Tags to set.
    tags: Option<Vec<RunTag>>,
}

/// A run that was changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct UpdatedRun {
    /// Always `success`: what went wrong is a problem.
    #[schema(example = "success")]
    status: &'static str,
}

/// Changes a run's status, end and tags.
#[utoipa::path(
    post,
    path = "/api/mlflow/runs/update",
    tag = "runs",
    request_body = UpdateRunBody,
    responses(
        (status = 200, description = "It is changed", body = UpdatedRun),
        UnknownProblems,
        BodyProblems,
        UpstreamProblems
    )
)]
pub async fn update_run(
    Served(services): Served,
    Json(body): Json<UpdateRunBody>,
) -> Result<JsonAnswer<UpdatedRun>, Problem> {
    let update = RunUpdate {
        status: body.status,
        end_time: body.end_time,
    };
    services
        .update_run(body.run_id, update, body.tags.unwrap_or_default())
        .await?;
    Ok(JsonAnswer(UpdatedRun { status: "success" }))
}
