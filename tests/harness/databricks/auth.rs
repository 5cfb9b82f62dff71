//! Who asks: tokens, OAuth, SCIM.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;

use super::Inner;

/// The personal access token that the workspace knows.
pub const TOKEN: &str = "planted-dapi-token";
/// The service principal that the workspace knows.
pub const CLIENT_ID: &str = "client-4711";
/// Its secret.
pub const CLIENT_SECRET: &str = "planted-dose-4711";
/// Whose the tokens are, and who is said to have made what was made by them.
pub const OWNER: &str = "owner@example.com";

/// A token that the workspace gave out for the service principal.
const OAUTH_TOKEN: &str = "planted-oauth-token";

pub(super) fn routes() -> Router<Arc<Inner>> {
    Router::new()
        .route("/api/2.0/preview/scim/v2/Me", get(me))
        .route("/oidc/v1/token", post(token))
        .route("/oidc/.well-known/oauth-authorization-server", get(discovery))
}

/// Whether this path wants a token: not the way to one, nor the cloud store, which is no part of the workspace.
pub(super) fn is_needed(path: &str) -> bool {
    path.starts_with("/api/") || path.starts_with("/serving-endpoints/")
}

pub(super) fn is_known(headers: &HeaderMap) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let known = [TOKEN, OAUTH_TOKEN].map(|token| format!("Bearer {token}"));
    given.is_some_and(|given| known.iter().any(|known| known == given))
}

async fn me() -> impl IntoResponse {
    Json(json!({
        "id": "7", "userName": OWNER, "displayName": "Olga Owner", "active": true,
        "emails": [{"value": OWNER, "primary": true}], "groups": [],
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
    // Basic base64("client-4711:planted-dose-4711")
    let expected = "Basic Y2xpZW50LTQ3MTE6cGxhbnRlZC1kb3NlLTQ3MTE=";
    let is_known = headers
        .get(header::AUTHORIZATION)
        .is_some_and(|value| value == expected);
    if !is_known || form.grant_type != "client_credentials" || form.scope != "all-apis" {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": "invalid_client"}))).into_response();
    }
    inner.tokens.fetch_add(1, Ordering::SeqCst);
    Json(json!({"access_token": OAUTH_TOKEN, "token_type": "Bearer", "expires_in": 3600})).into_response()
}
