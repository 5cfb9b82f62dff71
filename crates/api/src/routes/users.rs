//! Who asks, as the frontend shows it.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use service::Identity;
use utoipa::ToSchema;

use super::problems::{IdentityProblems, UpstreamProblems};
use crate::extract::Asking;
use crate::state::{AppState, Settings};

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "the contract's own members")]
pub struct UserInfo {
    /// The user's name, mostly an e-mail address.
    #[serde(rename = "userName")]
    #[schema(example = "ann@example.com")]
    user_name: String,
    /// The name to show.
    #[serde(rename = "displayName")]
    #[schema(example = "Ann")]
    display_name: String,
    /// Whether the account is active.
    active: bool,
    /// The user's e-mail addresses.
    #[schema(example = json!(["ann@example.com"]))]
    emails: Vec<String>,
    /// Whether this server asks MLflow on behalf of the user. It asks with its own credentials.
    is_obo: bool,
    /// Whether the proxy passed a token of the user on.
    has_token: bool,
    /// `developer` or `sme`.
    #[schema(example = "developer")]
    role: &'static str,
    /// Whether the role is `developer`.
    is_developer: bool,
    /// The same, as the frontend asks for it.
    can_access_dev_pages: bool,
}

impl From<Identity> for UserInfo {
    fn from(identity: Identity) -> Self {
        Self {
            role: identity.role.as_str(),
            is_developer: identity.is_developer(),
            can_access_dev_pages: identity.is_developer(),
            user_name: identity.user_name,
            display_name: identity.display_name,
            active: identity.is_active,
            emails: identity.emails,
            is_obo: false,
            has_token: identity.has_token,
        }
    }
}

/// The Databricks workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct Workspace {
    /// The address of the Databricks workspace; null on an open-source server, which has none of its pages.
    #[schema(example = "https://adb-1234567890.7.azuredatabricks.net")]
    url: Option<String>,
    /// The name of the Databricks workspace; null on an open-source server.
    #[schema(example = "adb-1234567890")]
    deployment_name: Option<String>,
}

impl Workspace {
    /// As it is configured.
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            url: settings.workspace_url.clone(),
            deployment_name: settings.deployment_name.clone(),
        }
    }
}

/// Who asks, and where MLflow is.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserAndWorkspace {
    /// Who asks.
    user: UserInfo,
    /// Where MLflow is.
    workspace: Workspace,
}

/// Who asks.
#[utoipa::path(get, path = "/api/user/me", tag = "user", responses((status = 200, description = "The user", body = UserInfo), IdentityProblems, UpstreamProblems))]
pub async fn get_me(Asking(identity): Asking) -> Json<UserInfo> {
    Json(identity.into())
}

/// Who asks, under the name that older scripts call.
#[utoipa::path(get, path = "/api/user/current", tag = "user", responses((status = 200, description = "The user", body = UserInfo), IdentityProblems, UpstreamProblems))]
pub async fn get_current(asking: Asking) -> Json<UserInfo> {
    get_me(asking).await
}

/// Who asks, and where MLflow is.
#[utoipa::path(get, path = "/api/user/me/workspace", tag = "user", responses((status = 200, description = "The user and the workspace", body = UserAndWorkspace), IdentityProblems, UpstreamProblems))]
pub async fn get_my_workspace(
    Asking(identity): Asking,
    State(state): State<AppState>,
) -> Json<UserAndWorkspace> {
    Json(UserAndWorkspace {
        user: identity.into(),
        workspace: Workspace::of(state.settings()),
    })
}
