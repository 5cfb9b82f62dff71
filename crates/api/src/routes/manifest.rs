//! All that every page of the frontend needs first, in one answer.

use axum::Json;
use axum::extract::State;
use domain::{ExperimentId, ReviewApp, ReviewAppId};
use serde::Serialize;
use utoipa::ToSchema;

use super::problems::{IdentityProblems, RoleProblems, UpstreamProblems};
use super::settings::{MAX_RESULTS, PAGE_SIZE};
use super::users::{UserInfo, Workspace};
use crate::extract::{Asking, Forwarded, Served};
use crate::problem::Problem;
use crate::state::AppState;

/// What the frontend is configured with.
#[derive(Debug, Serialize, ToSchema)]
pub struct ManifestConfig {
    /// The configured experiment.
    #[schema(value_type = Option<String>, example = "1")]
    experiment_id: Option<ExperimentId>,
    /// Its review app.
    #[schema(value_type = Option<String>, example = "4b2f0d6c8e1a4f7d9c3b5a7e6f8d0c1b")]
    review_app_id: Option<ReviewAppId>,
    /// Traces to ask for at most.
    #[schema(example = 1000)]
    max_results: u32,
    /// Items to ask for on one page.
    #[schema(example = 500)]
    page_size: u32,
    /// Whether to show what helps developers to find faults.
    debug: bool,
}

/// All that every page of the frontend needs first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Manifest {
    /// Who asks.
    user: UserInfo,
    /// Where MLflow is.
    workspace: Workspace,
    /// What the frontend is configured with.
    config: ManifestConfig,
    /// The configured experiment's review app; null when there is none, or when it cannot be had.
    review_app: Option<ReviewApp>,
}

/// All that every page of the frontend needs first. When a developer asks, the experiment's review app is made if there
/// is none; one that cannot be had is null and fails nothing else.
#[utoipa::path(get, path = "/api/manifest", tag = "server", responses((status = 200, description = "The manifest", body = Manifest), IdentityProblems, UpstreamProblems))]
pub async fn get_manifest(
    Forwarded(user): Forwarded,
    State(state): State<AppState>,
    Served(services): Served,
) -> Result<Json<Manifest>, Problem> {
    let (identity, review_app) = tokio::join!(services.identify(user), services.review_app());
    let identity = identity?;
    let review_app = match review_app {
        // A developer who opens the app for the first time could do nothing in it without one.
        Ok(None) if identity.is_developer() && services.experiment_id().is_some() => {
            services.own_review_app(&identity.user_name).await.map(Some)
        }
        review_app => review_app,
    };
    let review_app = review_app.unwrap_or_else(|error| {
        tracing::warn!(%error, "the manifest is without the review app");
        None
    });
    Ok(Json(Manifest {
        user: identity.into(),
        workspace: Workspace::of(state.settings()),
        config: ManifestConfig {
            experiment_id: services.experiment_id().cloned(),
            review_app_id: review_app.as_ref().map(|app| app.review_app_id.clone()),
            max_results: MAX_RESULTS,
            page_size: PAGE_SIZE,
            debug: state.settings().debug,
        },
        review_app,
    }))
}

/// Developers may go on.
#[derive(Debug, Serialize, ToSchema)]
pub struct Access {
    /// For a person.
    #[schema(example = "Access granted")]
    message: &'static str,
    /// Always `developer`.
    #[schema(example = "developer")]
    role: &'static str,
}

/// Says whether the user is a developer: 403 when not.
#[utoipa::path(get, path = "/api/auth/check-dev-access", tag = "user", responses((status = 200, description = "A developer", body = Access), RoleProblems, UpstreamProblems))]
pub async fn check_dev_access(Asking(identity): Asking) -> Json<Access> {
    Json(Access {
        message: "Access granted",
        role: identity.role.as_str(),
    })
}
