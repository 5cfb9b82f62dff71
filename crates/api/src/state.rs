//! What every handler can reach.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use service::Services;
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::metrics::Metrics;
use crate::views::UserViews;

/// What every handler can reach. Clones share everything, and cost one count.
#[derive(Debug, Clone)]
pub struct AppState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    services: Services,
    user_views: Option<UserViews>,
    settings: Settings,
    admission: Arc<Admission>,
    metrics: Metrics,
    ending: CancellationToken,
}

/// The settings that handlers answer with or act by.
#[derive(Debug)]
pub struct Settings {
    /// Whether the `X-Forwarded-*` user headers count.
    pub trusts_proxy: bool,
    /// The largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Time until an answer begins.
    pub request_timeout: Duration,
    /// A reader that takes nothing for so long is cut off.
    pub reader_patience: Duration,
    /// A request that takes longer until its answer begins is told of in the log.
    pub slow_request: Duration,
    /// Whether our own traces are sent to a collector.
    pub sends_traces: bool,
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
    /// `user_views` where each user's own token counts, and not this server's credentials. `ending` is cancelled when answers that are still being sent must end.
    pub fn new(
        services: Services,
        user_views: Option<UserViews>,
        settings: Settings,
        admission: Arc<Admission>,
        metrics: Metrics,
        ending: CancellationToken,
    ) -> Self {
        Self(Arc::new(Shared {
            services,
            user_views,
            settings,
            admission,
            metrics,
            ending,
        }))
    }

    /// Makes the view of each user, where their own tokens count.
    pub fn user_views(&self) -> Option<&UserViews> {
        self.0.user_views.as_ref()
    }

    /// The use cases, with this server's own credentials.
    pub fn services(&self) -> &Services {
        &self.0.services
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// How much is taken on.
    pub fn admission(&self) -> &Arc<Admission> {
        &self.0.admission
    }

    /// What is counted as it happens.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
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
