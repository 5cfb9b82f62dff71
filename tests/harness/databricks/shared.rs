//! The routes that a workspace has in common with MLflow: the real one answers.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, patch, post};
use http::header;

use super::{Inner, absent};
use crate::faults::Call;

pub(super) fn routes() -> Router<Arc<Inner>> {
    Router::new()
        .merge(traces())
        .merge(runs())
        .route("/api/2.0/mlflow/experiments/get", get(pass))
}

fn traces() -> Router<Arc<Inner>> {
    let assessments = "/api/3.0/mlflow/traces/{trace_id}/assessments";
    Router::new()
        .route("/api/3.0/mlflow/traces/search", post(pass))
        .route("/api/3.0/mlflow/traces/{trace_id}", get(pass))
        // Of MLflow alone; here they must not be taken for ids.
        .route("/api/3.0/mlflow/traces/get", any(absent))
        .route("/api/3.0/mlflow/traces/batchGet", any(absent))
        .route("/api/3.0/mlflow/traces/batchGetInfos", any(absent))
        .route(assessments, post(pass))
        .route(
            &format!("{assessments}/{{assessment_id}}"),
            get(pass).patch(pass).delete(pass),
        )
        .route(
            "/api/3.0/mlflow/traces/{trace_id}/tags",
            patch(pass).merge(delete(pass)),
        )
        .route("/api/2.0/mlflow/traces/link-to-run", post(pass))
}

fn runs() -> Router<Arc<Inner>> {
    let by_post = [
        "create",
        "update",
        "search",
        "log-batch",
        "set-tag",
        "delete-tag",
        "delete",
    ];
    let router = Router::new().route("/api/2.0/mlflow/runs/get", get(pass));
    by_post.into_iter().fold(router, |router, name| {
        router.route(&format!("/api/2.0/mlflow/runs/{name}"), post(pass))
    })
}

async fn pass(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let call = Call::read(request).await;
    let request = inner
        .http
        .request(call.method, format!("{}{}", inner.mlflow, call.path))
        .header(header::CONTENT_TYPE, "application/json")
        .body(call.body);
    forwarded(request).await
}

pub(super) async fn forwarded(request: reqwest::RequestBuilder) -> Response {
    let answer = request.send().await.expect("the real server answers");
    let status = answer.status();
    let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
    let body = answer.bytes().await.expect("its answer is whole");
    let mut response = (status, Body::from(body)).into_response();
    response
        .headers_mut()
        .extend(kind.map(|kind| (header::CONTENT_TYPE, kind)));
    response
}
