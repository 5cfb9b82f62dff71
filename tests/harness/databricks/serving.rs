//! Serving endpoints: chat models by their names, asked in OpenAI's format.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;

use super::Inner;

pub(super) fn routes() -> Router<Arc<Inner>> {
    Router::new().route("/serving-endpoints/{name}/invocations", post(invoke))
}

async fn invoke(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    inner.model.respond(request).await
}
