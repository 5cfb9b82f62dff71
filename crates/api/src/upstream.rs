//! Whoever keeps the traces, chosen once: a server that is asked over HTTP, or MLflow's own database.

use std::path::Path;
use std::sync::Arc;

use calls::Calls;
use mlflow_client::{Flavor, MlflowClient};
use mlflow_store::MlflowStore;
use service::{TracePages, TraceSink, TraceSource};
use store::{Store, StoreConfig};
use url::Url;

use crate::config::{ConfigError, MlflowArgs, UpstreamConfig};

/// Whoever keeps the traces.
#[derive(Debug, Clone)]
pub enum Upstream {
    /// An MLflow server or a Databricks workspace.
    Server(MlflowClient),
    /// MLflow's own database.
    Database(MlflowStore),
}

impl Upstream {
    /// What is counted of calls.
    pub fn calls(&self) -> &Calls {
        match self {
            Self::Server(client) => client.calls(),
            Self::Database(store) => store.calls(),
        }
    }

    /// The upstream of the settings; asks it nothing yet.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn of(settings: &MlflowArgs) -> Result<Self, ConfigError> {
        Ok(match settings.upstream()? {
            UpstreamConfig::Server(config) => Self::Server(MlflowClient::new(&config)?),
            UpstreamConfig::Database(config) => Self::Database(MlflowStore::new(&config)?),
        })
    }

    /// Where traces, runs and experiments are read.
    pub fn source(&self) -> Arc<dyn TraceSource> {
        match self {
            Self::Server(client) => Arc::new(client.clone()),
            Self::Database(store) => Arc::new(store.clone()),
        }
    }

    /// Where labels, runs and links are written.
    pub fn sink(&self) -> Arc<dyn TraceSink> {
        match self {
            Self::Server(client) => Arc::new(client.clone()),
            Self::Database(store) => Arc::new(store.clone()),
        }
    }

    /// What kind of MLflow it is.
    pub fn flavor(&self) -> Flavor {
        match self {
            Self::Server(client) => client.server().flavor,
            Self::Database(_) => Flavor::OpenSource,
        }
    }

    /// Where it is and as whom it is asked; no secret in it.
    pub fn describe(&self) -> String {
        match self {
            Self::Server(client) => {
                let server = client.server();
                format!("{} with {}", server.base_url, server.credentials.describe())
            }
            Self::Database(store) => store.address(),
        }
    }

    /// Refuses a database for reviews that is MLflow's own file, where neither our tables nor our journal mode belong. (A
    /// PostgreSQL may hold both: our tables have names of their own.)
    ///
    /// # Errors
    /// [`ConfigError::ReviewsInMlflow`].
    pub fn check_apart_from(&self, reviews: &StoreConfig) -> Result<(), ConfigError> {
        let Self::Database(store) = self else {
            return Ok(());
        };
        let (mlflow, reviews) = (store.file(), Store::file(reviews).ok().flatten());
        let real = |path: &Path| path.canonicalize().ok();
        let is_one = mlflow
            .and_then(real)
            .is_some_and(|mlflow| Some(mlflow) == reviews.as_deref().and_then(real));
        if is_one {
            Err(ConfigError::ReviewsInMlflow)
        } else {
            Ok(())
        }
    }

    /// Whose pages show traces.
    pub fn trace_pages(&self) -> TracePages {
        let Self::Server(client) = self else {
            return TracePages::Api;
        };
        let base = client.server().base_url.as_str().trim_end_matches('/').to_owned();
        match client.server().flavor {
            Flavor::OpenSource => TracePages::Mlflow(base),
            Flavor::Databricks => TracePages::Databricks(base),
        }
    }

    /// The address of the workspace, where it is one.
    pub fn workspace_url(&self) -> Option<&Url> {
        match self {
            Self::Server(client) if client.server().flavor == Flavor::Databricks => {
                Some(&client.server().base_url)
            }
            Self::Server(_) | Self::Database(_) => None,
        }
    }
}
