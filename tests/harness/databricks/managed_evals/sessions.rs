//! Labeling sessions of a review app.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::collection;
use super::kind::Kind;
use super::{APPS, Answer, Object, apps, object};
use crate::databricks::{Inner, Refusal};

pub(super) const KIND: Kind = Kind {
    name: "labeling session",
    id: "labeling_session_id",
    list: "labeling_sessions",
    members: &[
        ("name", Value::is_string),
        ("assigned_users", Value::is_array),
        ("agent", Value::is_object),
        ("labeling_schemas", Value::is_array),
        ("dataset", Value::is_object),
        ("additional_configs", Value::is_object),
    ],
    has_times: true,
};

pub(super) fn routes() -> Router<Arc<Inner>> {
    let sessions = format!("{APPS}/{{app}}/labeling-sessions");
    Router::new().route(&sessions, get(list).post(create)).route(
        &format!("{sessions}/{{session}}"),
        get(read).patch(change).delete(remove),
    )
}

async fn list(
    State(inner): State<Arc<Inner>>,
    Path(app): Path<String>,
    Query(query): Query<collection::Query>,
) -> Answer {
    let evals = inner.evals();
    evals.apps.get(apps::ALL, &app)?;
    evals.sessions.page(&app, &query, |_| true).map(Json)
}

async fn create(State(inner): State<Arc<Inner>>, Path(app): Path<String>, body: Bytes) -> Answer {
    let mut session = KIND.read(&object(&body)?)?;
    let run = {
        let evals = inner.evals();
        let app = evals.apps.get(apps::ALL, &app)?;
        check_references(app, &session)?;
        json!({
            "experiment_id": app["experiment_id"], "run_name": session["name"],
            "start_time": OffsetDateTime::now_utc().unix_timestamp() * 1000,
        })
    };
    if !run["run_name"].is_string() {
        return Err(Refusal::invalid("Missing required field: name"));
    }
    let create = format!("{}/api/2.0/mlflow/runs/create", inner.mlflow);
    let made = inner.ask_mlflow(inner.http.post(create).json(&run)).await?;
    let run_id = made["run"]["info"]["run_id"].clone();
    session.insert("mlflow_run_id".to_owned(), run_id);
    Ok(Json(inner.evals().sessions.add(&app, session)))
}

/// The public client says of agents and schemas that they must have been added to the review app before.
fn check_references(app: &Object, session: &Object) -> Result<(), Refusal> {
    let has = |list: &str, member: &str, name: &Value| {
        let known = app.get(list).and_then(Value::as_array).into_iter().flatten();
        name.is_null() || known.into_iter().any(|known| known[member] == *name)
    };
    let agent = session.get("agent").map(|agent| &agent["agent_name"]);
    if let Some(agent) = agent.filter(|agent| !has("agents", "agent_name", agent)) {
        return Err(Refusal::invalid(format!("The review app has no agent {agent}")));
    }
    let schemas = session.get("labeling_schemas").and_then(Value::as_array);
    let mut names = schemas.into_iter().flatten().map(|schema| &schema["name"]);
    match names.find(|name| name.is_null() || !has("labeling_schemas", "name", name)) {
        Some(name) => Err(Refusal::invalid(format!("The review app has no schema {name}"))),
        None => Ok(()),
    }
}

async fn read(State(inner): State<Arc<Inner>>, Path((app, session)): Path<(String, String)>) -> Answer {
    Ok(Json(inner.evals().sessions.get(&app, &session)?.clone()))
}

async fn change(
    State(inner): State<Arc<Inner>>,
    Path((app, session)): Path<(String, String)>,
    Query(query): Query<collection::Query>,
    body: Bytes,
) -> Answer {
    let change = KIND.masked(query.get("update_mask"), &object(&body)?)?;
    let mut evals = inner.evals();
    check_references(evals.apps.get(apps::ALL, &app)?, &change)?;
    evals.sessions.change(&app, &session, change).map(Json)
}

/// The run stays, and with it the links of its traces.
async fn remove(State(inner): State<Arc<Inner>>, Path((app, session)): Path<(String, String)>) -> Answer {
    let mut evals = inner.evals();
    let answer = evals.sessions.remove(&app, &session)?;
    evals.items.remove_all(&session);
    Ok(Json(answer))
}
