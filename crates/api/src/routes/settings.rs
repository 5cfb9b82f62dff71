//! What the frontend is configured with.

use axum::Json;
use axum::extract::State;
use domain::ExperimentId;
use serde::Serialize;
use service::Services;
use utoipa::ToSchema;

use super::problems::ServerProblems;
use crate::state::AppState;

/// Traces the frontend asks for at most.
pub(super) const MAX_RESULTS: u32 = 1000;

/// Items the frontend asks for on one page.
pub(super) const PAGE_SIZE: u32 = 500;

/// What the frontend is configured with.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClientConfig {
    /// The configured experiment.
    #[schema(value_type = Option<String>, example = "1")]
    experiment_id: Option<ExperimentId>,
    /// Traces to ask for at most.
    #[schema(example = 1000)]
    max_results: u32,
    /// Items to ask for on one page.
    #[schema(example = 500)]
    page_size: u32,
    /// Whether to show what helps developers to find faults.
    debug: bool,
    /// What to show when a session is done.
    #[schema(example = "Thank you!")]
    sme_thank_you_message: Option<String>,
    /// The model serving endpoint that analyses are made with.
    #[schema(example = "databricks-claude-sonnet")]
    model_endpoint: Option<String>,
}

/// The configured experiment.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConfiguredExperiment {
    /// The experiment.
    #[schema(value_type = Option<String>, example = "1")]
    experiment_id: Option<ExperimentId>,
}

/// What the frontend is configured with.
#[utoipa::path(get, path = "/api/config", tag = "server", responses((status = 200, description = "The configuration", body = ClientConfig), ServerProblems))]
pub async fn get_config(
    State(state): State<AppState>,
    State(services): State<Services>,
) -> Json<ClientConfig> {
    let settings = state.settings();
    Json(ClientConfig {
        experiment_id: services.experiment_id().cloned(),
        max_results: MAX_RESULTS,
        page_size: PAGE_SIZE,
        debug: settings.debug,
        sme_thank_you_message: settings.sme_thank_you_message.clone(),
        model_endpoint: settings.model_endpoint.clone(),
    })
}

/// The configured experiment.
#[utoipa::path(get, path = "/api/config/experiment-id", tag = "server", responses((status = 200, description = "The experiment", body = ConfiguredExperiment), ServerProblems))]
pub async fn get_experiment_id(State(services): State<Services>) -> Json<ConfiguredExperiment> {
    Json(ConfiguredExperiment {
        experiment_id: services.experiment_id().cloned(),
    })
}
