//! The spans of a trace: a signed address, and the cloud store that it leads to.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{StatusCode, header};
use serde_json::json;

use super::Inner;
use super::shared::forwarded;

pub(super) fn routes() -> Router<Arc<Inner>> {
    Router::new()
        .route(
            "/api/2.0/mlflow/traces/{trace_id}/credentials-for-data-download",
            get(credentials),
        )
        .route("/cloud/{trace_id}", get(download))
}

async fn credentials(State(inner): State<Arc<Inner>>, Path(trace_id): Path<String>) -> impl IntoResponse {
    let own = inner.own_url.get().cloned().unwrap_or_default();
    Json(json!({"credential_info": {
        "signed_uri": format!("{own}/cloud/{trace_id}?X-Amz-Signature=planted-signature"),
        "type": "AWS_PRESIGNED_URL",
        "headers": [{"name": "x-amz-meta", "value": "as-asked"}],
    }}))
}

/// The cloud store: wants the signature and the headers that came with it, and nothing of the workspace's.
async fn download(
    State(inner): State<Arc<Inner>>,
    Path(trace_id): Path<String>,
    request: Request,
) -> Response {
    let is_signed = request.uri().query() == Some("X-Amz-Signature=planted-signature");
    let has_headers = request
        .headers()
        .get("x-amz-meta")
        .is_some_and(|value| value == "as-asked");
    if !is_signed || !has_headers || request.headers().contains_key(header::AUTHORIZATION) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    inner.downloads.fetch_add(1, Ordering::SeqCst);
    let path = format!("/ajax-api/2.0/mlflow/get-trace-artifact?request_id={trace_id}");
    forwarded(inner.http.get(format!("{}{path}", inner.mlflow))).await
}
