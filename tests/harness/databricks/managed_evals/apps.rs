//! Review apps: one for each experiment.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use super::collection;
use super::kind::Kind;
use super::{APPS, Answer, object};
use crate::databricks::{Inner, Refusal};

/// No times: nothing documented says that a review app has any.
pub(super) const KIND: Kind = Kind {
    name: "review app",
    id: "review_app_id",
    list: "review_apps",
    members: &[("agents", Value::is_array), ("labeling_schemas", Value::is_array)],
    has_times: false,
};

/// What review apps belong to.
pub(super) const ALL: &str = "";

pub(super) fn routes() -> Router<Arc<Inner>> {
    Router::new()
        .route(APPS, get(list).post(create))
        .route(&format!("{APPS}/{{app}}"), get(read).patch(change))
}

async fn list(State(inner): State<Arc<Inner>>, Query(query): Query<collection::Query>) -> Answer {
    let experiment = match query.get("filter").map(|filter| filter.split_once('=')) {
        None => None,
        Some(Some(("experiment_id", id))) => Some(id),
        Some(_) => return Err(Refusal::invalid("filter must be experiment_id=ID")),
    };
    let page = inner.evals().apps.page(ALL, &query, |app| {
        experiment.is_none_or(|id| app["experiment_id"] == id)
    });
    page.map(Json)
}

async fn create(State(inner): State<Arc<Inner>>, body: Bytes) -> Answer {
    let body = object(&body)?;
    let mut app = KIND.read(&body)?;
    let Some(experiment) = body.get("experiment_id").and_then(Value::as_str) else {
        return Err(Refusal::invalid("Missing required field: experiment_id"));
    };
    let known = format!("{}/api/2.0/mlflow/experiments/get", inner.mlflow);
    let known = inner.http.get(known).query(&[("experiment_id", experiment)]);
    inner.ask_mlflow(known).await?;
    let mut evals = inner.evals();
    if evals.apps.all(ALL).any(|app| app["experiment_id"] == experiment) {
        let text = format!("Experiment {experiment} has a review app already");
        return Err(Refusal::new(StatusCode::CONFLICT, "ALREADY_EXISTS", text));
    }
    app.insert("experiment_id".to_owned(), experiment.into());
    Ok(Json(evals.apps.add(ALL, app)))
}

async fn read(State(inner): State<Arc<Inner>>, Path(app): Path<String>) -> Answer {
    Ok(Json(inner.evals().apps.get(ALL, &app)?.clone()))
}

async fn change(
    State(inner): State<Arc<Inner>>,
    Path(app): Path<String>,
    Query(query): Query<collection::Query>,
    body: Bytes,
) -> Answer {
    let change = KIND.masked(query.get("update_mask"), &object(&body)?)?;
    inner.evals().apps.change(ALL, &app, change).map(Json)
}
