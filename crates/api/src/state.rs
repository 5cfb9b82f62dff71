//! What every handler can reach.

use std::sync::Arc;

use axum::extract::FromRef;
use service::Services;
use tokio_util::sync::CancellationToken;

/// What every handler can reach. Clones share everything, and cost one count.
#[derive(Debug, Clone)]
pub struct AppState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    services: Services,
    settings: Settings,
    ending: CancellationToken,
}

/// The settings that handlers answer with or act by.
#[derive(Debug)]
pub struct Settings {
    /// Whether the `X-Forwarded-*` user headers count.
    pub trusts_proxy: bool,
    /// The largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Where the Databricks workspace is, for links into its pages; no credentials in it.
    pub workspace_url: Option<String>,
    /// The name of the Databricks workspace.
    pub deployment_name: Option<String>,
    /// What the frontend shows when a session is done.
    pub sme_thank_you_message: Option<String>,
    /// The model serving endpoint that analyses are made with.
    pub model_endpoint: Option<String>,
    /// Whether the frontend shows what helps developers to find faults.
    pub debug: bool,
}

impl AppState {
    /// `ending` is cancelled when answers that are still being sent must end.
    pub fn new(services: Services, settings: Settings, ending: CancellationToken) -> Self {
        Self(Arc::new(Shared {
            services,
            settings,
            ending,
        }))
    }

    /// The use cases.
    pub fn services(&self) -> &Services {
        &self.0.services
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Cancelled when answers that are still being sent must end.
    pub fn ending(&self) -> &CancellationToken {
        &self.0.ending
    }
}

impl FromRef<AppState> for Services {
    fn from_ref(state: &AppState) -> Self {
        state.0.services.clone()
    }
}
