//! Who may read traces and runs: asked before any handler that shows them.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::extract::Asking;
use crate::problem::Problem;

/// Refuses users who may not read any trace.
pub async fn require_trace_access(Asking(identity): Asking, request: Request, next: Next) -> Response {
    match identity.check_may_read_traces() {
        Ok(()) => next.run(request).await,
        Err(denied) => Problem::from(denied).into_response(),
    }
}
