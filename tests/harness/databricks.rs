//! A stand-in for a Databricks workspace, which cannot run here: its own routes as documented, a real MLflow behind
//! the routes that both have.
//!
//! Shapes: SCIM, OAuth and signed downloads as the Databricks SDK and MLflow's client use them. Every API call must
//! bring the token; the cloud store must not see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;

use crate::proxy::serve;

/// The personal access token that the workspace knows.
pub const TOKEN: &str = "dapi-secret-token";
/// The service principal that the workspace knows.
pub const CLIENT_ID: &str = "client-4711";
/// Its secret.
pub const CLIENT_SECRET: &str = "dose-secret-4711";

/// A token that the workspace gave out for the service principal.
const OAUTH_TOKEN: &str = "oauth-secret-token";

#[derive(Debug)]
struct Inner {
    mlflow: String,
    own_url: std::sync::OnceLock<String>,
    tokens: AtomicUsize,
    downloads: AtomicUsize,
}

/// The stand-in. Runs until the test ends.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// Its address.
    pub url: String,
    inner: Arc<Inner>,
}

impl Workspace {
    /// A workspace whose experiments and traces are those of this MLflow.
    pub async fn over(mlflow: &str) -> Self {
        let inner = Arc::new(Inner {
            mlflow: mlflow.to_owned(),
            own_url: std::sync::OnceLock::new(),
            tokens: AtomicUsize::new(0),
            downloads: AtomicUsize::new(0),
        });
        let api = Router::new()
            .route("/api/2.0/preview/scim/v2/Me", get(me))
            .route(
                "/api/2.0/mlflow/traces/{trace_id}/credentials-for-data-download",
                get(credentials),
            )
            .route("/api/3.0/mlflow/traces/search", post(pass))
            .route("/api/3.0/mlflow/traces/{trace_id}", get(pass))
            .route("/api/2.0/mlflow/experiments/get", get(pass))
            .route("/api/2.0/mlflow/runs/get", get(pass))
            .layer(from_fn(require_token));
        let router = api
            .route("/oidc/v1/token", post(token))
            .route("/oidc/.well-known/oauth-authorization-server", get(discovery))
            .route("/cloud/{trace_id}", get(download))
            .fallback(async || error(StatusCode::NOT_FOUND, "ENDPOINT_NOT_FOUND"))
            .with_state(Arc::clone(&inner));
        let url = serve(router).await;
        inner.own_url.set(url.clone()).expect("it is set once");
        Self { url, inner }
    }

    /// How many OAuth tokens were given out.
    pub fn tokens_given(&self) -> usize {
        self.inner.tokens.load(Ordering::SeqCst)
    }

    /// How many signed downloads were made.
    pub fn downloads(&self) -> usize {
        self.inner.downloads.load(Ordering::SeqCst)
    }
}

fn error(status: StatusCode, code: &str) -> Response {
    (
        status,
        Json(json!({"error_code": code, "message": "as the workspace says", "details": []})),
    )
        .into_response()
}

async fn require_token(request: Request, next: Next) -> Response {
    let given = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let known = [TOKEN, OAUTH_TOKEN].map(|token| format!("Bearer {token}"));
    if given.is_some_and(|given| known.iter().any(|known| known == given)) {
        next.run(request).await
    } else {
        error(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED")
    }
}

async fn me() -> impl IntoResponse {
    Json(json!({
        "id": "7", "userName": "owner@example.com", "displayName": "Olga Owner", "active": true,
        "emails": [{"value": "owner@example.com", "primary": true}], "groups": [],
    }))
}

async fn discovery(State(inner): State<Arc<Inner>>) -> impl IntoResponse {
    let own = inner.own_url.get().cloned().unwrap_or_default();
    Json(json!({ "token_endpoint": format!("{own}/oidc/v1/token") }))
}

#[derive(Debug, serde::Deserialize)]
struct TokenForm {
    grant_type: String,
    scope: String,
}

async fn token(State(inner): State<Arc<Inner>>, headers: HeaderMap, Form(form): Form<TokenForm>) -> Response {
    // Basic base64("client-4711:dose-secret-4711")
    let expected = "Basic Y2xpZW50LTQ3MTE6ZG9zZS1zZWNyZXQtNDcxMQ==";
    let is_known = headers
        .get(header::AUTHORIZATION)
        .is_some_and(|value| value == expected);
    if !is_known || form.grant_type != "client_credentials" || form.scope != "all-apis" {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": "invalid_client"}))).into_response();
    }
    inner.tokens.fetch_add(1, Ordering::SeqCst);
    Json(json!({"access_token": OAUTH_TOKEN, "token_type": "Bearer", "expires_in": 3600})).into_response()
}

async fn credentials(State(inner): State<Arc<Inner>>, Path(trace_id): Path<String>) -> impl IntoResponse {
    let own = inner.own_url.get().cloned().unwrap_or_default();
    Json(json!({"credential_info": {
        "signed_uri": format!("{own}/cloud/{trace_id}?X-Amz-Signature=signed-secret"),
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
    let is_signed = request.uri().query() == Some("X-Amz-Signature=signed-secret");
    let has_headers = request
        .headers()
        .get("x-amz-meta")
        .is_some_and(|value| value == "as-asked");
    if !is_signed || !has_headers || request.headers().contains_key(header::AUTHORIZATION) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    inner.downloads.fetch_add(1, Ordering::SeqCst);
    let path = format!("/ajax-api/2.0/mlflow/get-trace-artifact?request_id={trace_id}");
    forwarded(crate::http_client().get(format!("{}{path}", inner.mlflow))).await
}

async fn pass(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts
        .uri
        .path_and_query()
        .map(ToString::to_string)
        .unwrap_or_default();
    let body = axum::body::to_bytes(body, 1 << 20)
        .await
        .expect("the request is whole");
    let call = crate::http_client()
        .request(parts.method, format!("{}{path}", inner.mlflow))
        .body(body);
    forwarded(call.header(header::CONTENT_TYPE, "application/json")).await
}

async fn forwarded(call: reqwest::RequestBuilder) -> Response {
    let answer = call.send().await.expect("the real server answers");
    let status = answer.status();
    let body = answer.bytes().await.expect("its answer is whole");
    (status, Body::from(body)).into_response()
}
