//! Items of a labeling session.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::Value;

use super::collection;
use super::kind::Kind;
use super::{APPS, Answer, Object, object};
use crate::databricks::{Inner, Refusal};

/// A comment is not documented, but the review app that we replace writes one.
pub(super) const KIND: Kind = Kind {
    name: "item",
    id: "item_id",
    list: "items",
    members: &[
        ("state", is_state),
        ("labels", Value::is_object),
        ("chat_rounds", Value::is_array),
        ("comment", |value| value.is_string() || value.is_null()),
    ],
    has_times: true,
};

fn is_state(value: &Value) -> bool {
    let states = ["PENDING", "IN_PROGRESS", "COMPLETED", "SKIPPED"];
    states.iter().any(|state| value == state)
}

pub(super) fn routes() -> Router<Arc<Inner>> {
    let items = format!("{APPS}/{{app}}/labeling-sessions/{{session}}/items");
    Router::new()
        .route(&items, get(list))
        .route(&format!("{items}:batchCreate"), post(create))
        .route(
            &format!("{items}/{{item}}"),
            get(read).patch(change).delete(remove),
        )
}

async fn list(
    State(inner): State<Arc<Inner>>,
    Path((app, session)): Path<(String, String)>,
    Query(query): Query<collection::Query>,
) -> Answer {
    let evals = inner.evals();
    evals.sessions.get(&app, &session)?;
    evals.items.page(&session, &query, |_| true).map(Json)
}

/// One more item for each source, whether there is one already or not, and an empty answer: nothing documented
/// promises better.
async fn create(
    State(inner): State<Arc<Inner>>,
    Path((app, session)): Path<(String, String)>,
    body: Bytes,
) -> Answer {
    let body = object(&body)?;
    let sources = body.get("items").and_then(Value::as_array).into_iter().flatten();
    let sources = sources.map(|item| source(&item["source"]));
    let sources: Vec<Value> = sources.collect::<Result<_, _>>()?;
    let mut evals = inner.evals();
    evals.sessions.get(&app, &session)?;
    for source in sources {
        let item = [("source", source), ("state", "PENDING".into())];
        let item = item.map(|(name, value)| (name.to_owned(), value));
        evals.items.add(&session, item.into_iter().collect());
    }
    Ok(Json(Object::new()))
}

fn source(given: &Value) -> Result<Value, Refusal> {
    let record = &given["dataset_record"];
    let is_record = record["dataset_id"].is_string() && record["dataset_record_id"].is_string();
    if given["trace_id"].is_string() == is_record {
        let text = format!("Invalid source, one of trace_id, dataset_record is needed: {given}");
        return Err(Refusal::invalid(text));
    }
    Ok(given.clone())
}

type Place = Path<(String, String, String)>;

async fn read(State(inner): State<Arc<Inner>>, Path((app, session, item)): Place) -> Answer {
    let evals = inner.evals();
    evals.sessions.get(&app, &session)?;
    Ok(Json(evals.items.get(&session, &item)?.clone()))
}

async fn change(
    State(inner): State<Arc<Inner>>,
    Path((app, session, item)): Place,
    Query(query): Query<collection::Query>,
    body: Bytes,
) -> Answer {
    let change = KIND.masked(query.get("update_mask"), &object(&body)?)?;
    let mut evals = inner.evals();
    evals.sessions.get(&app, &session)?;
    evals.items.change(&session, &item, change).map(Json)
}

async fn remove(State(inner): State<Arc<Inner>>, Path((app, session, item)): Place) -> Answer {
    let mut evals = inner.evals();
    evals.sessions.get(&app, &session)?;
    evals.items.remove(&session, &item).map(Json)
}
