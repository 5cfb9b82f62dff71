//! What is counted.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;

use super::problems::OwnProblems;
use crate::metrics;
use crate::problem::Problem;
use crate::state::AppState;

/// What is counted, in the text format of Prometheus (`OpenMetrics`). Holds no names of users or traces.
#[utoipa::path(get, path = "/metrics", tag = "server",
    responses((status = 200, description = "Metrics", body = String, content_type = "application/openmetrics-text"), OwnProblems))]
pub async fn get_metrics(State(state): State<AppState>) -> Response {
    match metrics::text(&state) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => Problem::internal().into_response(),
    }
}
