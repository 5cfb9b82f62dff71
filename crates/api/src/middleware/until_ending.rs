//! A request that is still unanswered when the server must end is told so, instead of finding its connection gone.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use service::ServiceError;

use crate::problem::Problem;
use crate::state::AppState;

/// Answers 503 when the server must end before the handler has answered.
pub async fn until_ending(State(state): State<AppState>, request: Request, next: Next) -> Response {
    tokio::select! {
        response = next.run(request) => response,
        () = state.ending().cancelled() => Problem::from(ServiceError::Interrupted).into_response(),
    }
}
