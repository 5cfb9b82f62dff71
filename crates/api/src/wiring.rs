//! Puts a server together from its settings: client, use cases, router.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use mlflow_client::{AuthSettings, ClientConfig, Flavor, MlflowClient, TrackingServer};
use mlflow_store::DatabaseError;
use service::insights::ServingModel;
use service::{DatabricksReviews, ReviewBackend, Scope, Services, ServicesConfig, SqlReviews, View};
use store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::config::{Config, ConfigError};
use crate::frontend::Frontend;
use crate::metrics::Metrics;
use crate::router::{RouterConfig, openapi_text, router};
use crate::serve::ServeLimits;
use crate::state::{AppState, Settings};
use crate::upstream::Upstream;
use crate::views::{Model, ReviewsOfUsers, UserViews};

/// A server that is ready to listen.
#[derive(Debug)]
pub struct Server {
    /// Where it wants to listen.
    pub address: SocketAddr,
    /// All it serves.
    pub router: Router,
    /// Cancelled when answers that are still being sent must end.
    pub ending: CancellationToken,
    /// What bounds its connections.
    pub limits: ServeLimits,
    /// The use cases, whose last writes are waited for at the end.
    pub services: Services,
    /// Whoever keeps the traces, for the log.
    pub upstream: String,
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
    /// The database of the reviews cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// MLflow's database cannot be used.
    #[error("MLFLOW_TRACKING_URI: {0}")]
    Database(#[from] DatabaseError),
    /// The OpenAPI document cannot be written.
    #[error("the OpenAPI document cannot be written: {0}")]
    Document(#[from] serde_json::Error),
}

/// Puts the server together: opens the database of the reviews, and looks whether MLflow's is one. Asks an MLflow server
/// nothing yet.
///
/// # Errors
/// When a setting or the database cannot be used; the text says what to change.
pub async fn server(config: &Config) -> Result<Server, WiringError> {
    let upstream = Upstream::of(&config.mlflow)?;
    let described = described(&upstream).await?;
    let kept = kept(config, &upstream).await?;
    let model = model(config, &upstream)?;
    let user_views = user_views(config, &upstream, &kept, &model)?;
    let services = services(config, &upstream, kept.reviews, &model, Some(kept.store))?;
    tokio::spawn(services.clone().listen_to_peers());
    let ending = CancellationToken::new();
    let admission = Arc::new(Admission::new(config.limits.admission()));
    let state = AppState::new(
        services.clone(),
        user_views,
        settings(config, &upstream)?,
        Arc::clone(&admission),
        Metrics::new(|registry| upstream.calls().register(registry)),
        ending.clone(),
    );
    let router_config = RouterConfig {
        cors_origins: config.server.cors_origins()?,
        frontend: config.server.static_dir()?.map(Frontend::new),
    };
    Ok(Server {
        address: config.server.listen_address(config.access.is_databricks_app())?,
        router: router(state, router_config)?,
        limits: ServeLimits {
            admission,
            patience: config.limits.stream_patience,
            shutdown: config.server.shutdown_timeout,
        },
        ending,
        services,
        upstream: described,
        reviews: kept.described,
        is_open_to_all: config.access.is_open_to_all(),
    })
}

/// The OpenAPI document of the settings' server, as it is committed.
///
/// # Errors
/// As [`server`].
pub fn openapi(config: &Config) -> Result<String, WiringError> {
    // Nobody is asked anything.
    let client = client_of_nobody()?;
    let backend = Arc::new(DatabricksReviews::new(client.clone()));
    let upstream = Upstream::Server(client);
    let services = services(config, &upstream, backend, &Model::None, None)?;
    Ok(openapi_text(&AppState::new(
        services,
        None,
        settings(config, &upstream)?,
        Arc::new(Admission::new(config.limits.admission())),
        Metrics::new(|_| {}),
        CancellationToken::new(),
    ))?)
}

/// The use cases that read traces alone, and from where: no database of reviews is opened.
///
/// # Errors
/// When a setting cannot be used.
pub fn reader(config: &Config) -> Result<(Services, Upstream), ConfigError> {
    let upstream = Upstream::of(&config.mlflow)?;
    let reviews = Arc::new(DatabricksReviews::new(client_of_nobody()?));
    let services = services(config, &upstream, reviews, &Model::None, None)?;
    Ok((services, upstream))
}

fn client_of_nobody() -> Result<MlflowClient, ConfigError> {
    let server = TrackingServer::resolve("http://127.0.0.1", &AuthSettings::default())?;
    Ok(MlflowClient::new(&ClientConfig::new(server))?)
}

/// What is told of the upstream in the log. A database that is no MLflow's is refused here; one that cannot be reached yet
/// may come.
async fn described(upstream: &Upstream) -> Result<String, DatabaseError> {
    let Upstream::Database(store) = upstream else {
        return Ok(upstream.describe());
    };
    match store.describe().await {
        Ok(schema) => Ok(format!("{}, {schema}", upstream.describe())),
        Err(error) if error.is_transient() => {
            tracing::warn!(%error, "MLflow's database is not available yet");
            Ok(upstream.describe())
        }
        Err(error) => Err(error),
    }
}

/// Who keeps reviews, and our own database: how jobs stand is always there.
struct Kept {
    reviews: Arc<dyn ReviewBackend>,
    are_in_workspace: bool,
    store: Store,
    described: String,
}

async fn kept(config: &Config, upstream: &Upstream) -> Result<Kept, WiringError> {
    let database = config.reviews.store();
    upstream.check_apart_from(&database)?;
    let workspace = match upstream {
        _ if !config.reviews.are_in_workspace(upstream.flavor()) => None,
        Upstream::Server(client) => Some(client.clone()),
        Upstream::Database(_) => return Err(ConfigError::ReviewsInNoWorkspace.into()),
    };
    let store = Store::open(&database).await?;
    let (reviews, described): (Arc<dyn ReviewBackend>, _) = match workspace {
        Some(client) => (
            Arc::new(DatabricksReviews::new(client)),
            "the workspace".to_owned(),
        ),
        None => (
            Arc::new(SqlReviews::new(store.clone(), upstream.sink())),
            Store::describe(&database)?,
        ),
    };
    Ok(Kept {
        are_in_workspace: config.reviews.are_in_workspace(upstream.flavor()),
        reviews,
        store,
        described,
    })
}

/// Who is asked for insights: the OpenAI-compatible server that is set, else the workspace, where MLflow is one. Asks nothing yet.
///
/// # Errors
/// When an address, a key or a name cannot be used.
pub fn model(config: &Config, upstream: &Upstream) -> Result<Model, ConfigError> {
    let policy = config.model.policy();
    let model = match (config.model.openai(upstream.calls())?, upstream) {
        (Some(client), _) => Model::Shared(Arc::new(client)),
        (None, Upstream::Server(client)) if upstream.flavor() == Flavor::Databricks => {
            Model::Serving(ServingModel::new(client.clone(), policy.timeout))
        }
        (None, _) => Model::None,
    };
    if let (Some(chat), Some(name)) = (model.own(), &policy.name) {
        chat.check_name(name).map_err(ConfigError::ModelName)?;
    }
    Ok(model)
}

/// The views of users, where their own tokens count.
fn user_views(
    config: &Config,
    upstream: &Upstream,
    kept: &Kept,
    model: &Model,
) -> Result<Option<UserViews>, ConfigError> {
    if !config.access.is_in_users_names()? {
        return Ok(None);
    }
    let Upstream::Server(client) = upstream else {
        return Err(ConfigError::UsersOfNoServer);
    };
    let reviews = if kept.are_in_workspace {
        ReviewsOfUsers::Workspace
    } else {
        ReviewsOfUsers::Store(kept.store.clone())
    };
    Ok(Some(UserViews::new(client.clone(), reviews, model.clone())))
}

fn services(
    config: &Config,
    upstream: &Upstream,
    reviews: Arc<dyn ReviewBackend>,
    model: &Model,
    store: Option<Store>,
) -> Result<Services, ConfigError> {
    let services = ServicesConfig {
        experiment_id: config.mlflow.experiment_id()?,
        cache: config.cache.policy(),
        feed: config.limits.feed(),
        parallel_traces: config.limits.parallel_traces,
        roles: config.access.roles(),
        local_user: config.access.local_user(upstream.flavor()),
        model: config.model.policy(),
        store,
        jobs: config.limits.jobs(),
        trace_pages: upstream.trace_pages(),
    };
    let view = View {
        scope: Scope::new(&upstream.describe()),
        source: upstream.source(),
        sink: upstream.sink(),
        reviews,
        chat: model.own(),
    };
    Ok(Services::new(view, services))
}

fn settings(config: &Config, upstream: &Upstream) -> Result<Settings, ConfigError> {
    // The frontend links into the workspace's pages by this address; MLflow has none of them.
    let workspace = upstream.workspace_url();
    let first_label = workspace.and_then(|url| url.host_str()?.split('.').next());
    Ok(Settings {
        trusts_proxy: config.access.trusts_proxy(),
        max_body_bytes: config.limits.max_body_bytes(),
        request_timeout: config.limits.request_timeout,
        reader_patience: config.limits.stream_patience,
        slow_request: config.logs.slow_request,
        sends_traces: config.traces.target()?.is_some(),
        workspace_url: workspace.map(|url| url.as_str().trim_end_matches('/').to_owned()),
        deployment_name: first_label.map(str::to_owned),
        sme_thank_you_message: config.server.sme_thank_you_message.clone(),
        model_endpoint: config.model.name().map(str::to_owned),
        debug: config.server.debug,
    })
}
