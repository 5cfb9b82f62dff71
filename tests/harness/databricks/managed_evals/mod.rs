//! Managed evals: review apps, their labeling sessions, and the sessions' items.

mod apps;
mod collection;
mod items;
mod kind;
mod sessions;

use std::sync::{Arc, MutexGuard};

use axum::{Json, Router};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value};

use super::{Inner, Refusal};
use collection::Collection;

const APPS: &str = "/api/2.0/managed-evals/review-apps";

type Object = Map<String, Value>;
type Answer = Result<Json<Object>, Refusal>;

/// What was made so far.
#[derive(Debug)]
pub(super) struct ManagedEvals {
    apps: Collection,
    /// Of each review app.
    sessions: Collection,
    /// Of each labeling session.
    items: Collection,
}

impl Default for ManagedEvals {
    fn default() -> Self {
        Self {
            apps: Collection::of(&apps::KIND),
            sessions: Collection::of(&sessions::KIND),
            items: Collection::of(&items::KIND),
        }
    }
}

pub(super) fn routes() -> Router<Arc<Inner>> {
    Router::new()
        .merge(apps::routes())
        .merge(sessions::routes())
        .merge(items::routes())
}

impl Inner {
    fn evals(&self) -> MutexGuard<'_, ManagedEvals> {
        self.evals.lock().expect("nobody panicked")
    }

    /// What the MLflow behind answers to this.
    async fn ask_mlflow(&self, request: reqwest::RequestBuilder) -> Result<Value, Refusal> {
        let answer = request.send().await.expect("the real server answers");
        let status = answer.status();
        let body: Value = answer.json().await.expect("its answer is JSON");
        let told = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::NOT_FOUND => Err(Refusal::unknown(told("message"))),
            _ => Err(Refusal::invalid(told("message"))),
        }
    }
}

impl Refusal {
    fn unknown(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST", message)
    }
}

fn object(body: &Bytes) -> Result<Object, Refusal> {
    let malformed = |error: serde_json::Error| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            "BAD_REQUEST",
            format!("Could not parse request object: {error}"),
        )
    };
    serde_json::from_slice(body).map_err(malformed)
}
