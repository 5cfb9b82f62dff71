//! Puts a server together from its settings: client, use cases, router.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use mlflow_client::{AuthSettings, ClientConfig, Flavor, MlflowClient, TrackingServer};
use service::{DatabricksReviews, ReviewBackend, Scope, Services, ServicesConfig, SqlReviews};
use store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, ConfigError};
use crate::frontend::Frontend;
use crate::router::{RouterConfig, openapi_text, router};
use crate::state::{AppState, Settings};

/// A server that is ready to listen.
#[derive(Debug)]
pub struct Server {
    /// Where it wants to listen.
    pub address: SocketAddr,
    /// All it serves.
    pub router: Router,
    /// Cancelled when answers that are still being sent must end.
    pub ending: CancellationToken,
    /// Time that requests under way have to end.
    pub shutdown_timeout: Duration,
    /// The use cases, whose last writes are waited for at the end.
    pub services: Services,
    /// The MLflow server, for the log.
    pub upstream: TrackingServer,
    /// Where reviews are kept, for the log.
    pub reviews: String,
    /// Whether everyone who can reach it is taken for a developer.
    pub is_open_to_all: bool,
}

/// A server that cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The OpenAPI document cannot be written.
    #[error("the OpenAPI document cannot be written: {0}")]
    Document(#[from] serde_json::Error),
}

/// Makes the client of the settings.
///
/// # Errors
/// When a setting cannot be used.
pub fn client(config: &Config) -> Result<MlflowClient, ConfigError> {
    Ok(MlflowClient::new(&config.mlflow.client_config()?)?)
}

/// Puts the server together: opens the database; asks MLflow nothing yet.
///
/// # Errors
/// When a setting or the database cannot be used; the text says what to change.
pub async fn server(config: &Config) -> Result<Server, WiringError> {
    let client = client(config)?;
    let upstream = client.server().clone();
    let (backend, reviews): (Arc<dyn ReviewBackend>, _) = if config.reviews.are_in_workspace(upstream.flavor)
    {
        let in_workspace = DatabricksReviews::new(client.clone());
        (Arc::new(in_workspace), "the workspace".to_owned())
    } else {
        let database = config.reviews.store();
        let store = Store::open(&database).await?;
        let in_database = SqlReviews::new(store, Arc::new(client.clone()));
        (Arc::new(in_database), Store::describe(&database)?)
    };
    let services = services(config, client, backend)?;
    tokio::spawn(services.clone().listen_to_peers());
    let ending = CancellationToken::new();
    let state = AppState::new(services.clone(), settings(config, &upstream), ending.clone());
    let router_config = RouterConfig {
        cors_origins: config.server.cors_origins()?,
        frontend: config.server.static_dir()?.map(Frontend::new),
    };
    Ok(Server {
        address: config.server.listen_address(config.access.is_databricks_app())?,
        router: router(state, router_config)?,
        ending,
        shutdown_timeout: config.server.shutdown_timeout,
        services,
        upstream,
        reviews,
        is_open_to_all: config.access.is_open_to_all(),
    })
}

/// The OpenAPI document of the settings' server, as it is committed.
///
/// # Errors
/// As [`server`].
pub fn openapi(config: &Config) -> Result<String, WiringError> {
    let config_of_client = ClientConfig::new(
        TrackingServer::resolve("http://127.0.0.1", &AuthSettings::default()).map_err(ConfigError::from)?,
    );
    let client = MlflowClient::new(&config_of_client).map_err(ConfigError::from)?;
    let upstream = client.server().clone();
    // Nobody is asked anything.
    let backend = Arc::new(DatabricksReviews::new(client.clone()));
    let services = services(config, client, backend)?;
    Ok(openapi_text(&AppState::new(
        services,
        settings(config, &upstream),
        CancellationToken::new(),
    ))?)
}

fn services(
    config: &Config,
    client: MlflowClient,
    reviews: Arc<dyn ReviewBackend>,
) -> Result<Services, ConfigError> {
    let upstream = client.server();
    let services = ServicesConfig {
        // All calls are made with one set of credentials, so there is one view of the data.
        scope: Scope::new(&format!(
            "{} with {}",
            upstream.base_url,
            upstream.credentials.describe()
        )),
        experiment_id: config.mlflow.experiment_id()?,
        cache: config.cache.policy(),
        feed: config.limits.feed(),
        parallel_traces: config.limits.parallel_traces,
        roles: config.access.roles(),
        local_user: config.access.local_user(upstream.flavor),
    };
    let client = Arc::new(client);
    let sink = Arc::clone(&client);
    Ok(Services::new(client, sink, reviews, services))
}

fn settings(config: &Config, upstream: &TrackingServer) -> Settings {
    // The frontend links into the workspace's pages by this address; MLflow has none of them.
    let workspace = (upstream.flavor == Flavor::Databricks).then_some(&upstream.base_url);
    let first_label = workspace.and_then(|url| url.host_str()?.split('.').next());
    Settings {
        trusts_proxy: config.access.trusts_proxy(),
        max_body_bytes: config.limits.max_body_bytes(),
        workspace_url: workspace.map(|url| url.as_str().trim_end_matches('/').to_owned()),
        deployment_name: first_label.map(str::to_owned),
        sme_thank_you_message: config.server.sme_thank_you_message.clone(),
        model_endpoint: config.server.model_endpoint.clone(),
        debug: config.server.debug,
    }
}
