//! Which MLflow, and as whom.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use domain::ExperimentId;
use humantime::parse_duration;
use mlflow_client::{
    AuthSettings, BreakerPolicy, ClientConfig, ConnectionReuse, PoolLimits, RetryPolicy, Timeouts,
    TrackingServer,
};
use mlflow_store::{DatabaseConfig, MlflowStore};
use secrecy::{ExposeSecret, SecretString};

use super::{ConfigError, given};

/// Which MLflow, and as whom.
#[derive(Debug, Args)]
#[command(next_help_heading = "MLflow")]
pub struct MlflowArgs {
    /// Where the traces are: MLflow's own database, `sqlite:///PATH` (`sqlite:////PATH` from the root) or
    /// `postgresql://USER:PASSWORD@HOST/DATABASE`; an MLflow server, `http://HOST:PORT` or `https://HOST`; a workspace,
    /// `databricks` or `databricks://PROFILE`. Unset with `DATABRICKS_HOST` set: `databricks`; else `mlflow.db` in the
    /// working folder, if it is there, where MLflow keeps its traces by default.
    #[arg(long = "mlflow-tracking-uri", env = "MLFLOW_TRACKING_URI", value_name = "URI", hide_env_values = true, value_parser = secret)]
    tracking_uri: Option<SecretString>,
    /// The experiment that is meant where a request names none.
    #[arg(
        long = "mlflow-experiment-id",
        env = "MLFLOW_EXPERIMENT_ID",
        value_name = "ID"
    )]
    experiment_id: Option<String>,
    /// Where MLflow's server keeps what it calls `mlflow-artifacts:/`: the folder or bucket of its
    /// `--artifacts-destination`. Used with a database alone, for spans that older MLflow kept as artifacts.
    #[arg(
        long = "mlflow-artifacts-destination",
        env = "MLFLOW_ARTIFACTS_DESTINATION",
        value_name = "PLACE"
    )]
    artifacts_destination: Option<String>,
    /// Connections to MLflow's database that read at once.
    #[arg(
        long,
        env = "TRACE_SERVER_MLFLOW_DATABASE_MAX_CONNECTIONS",
        value_name = "COUNT",
        default_value_t = 10
    )]
    mlflow_database_max_connections: u32,
    /// The user of a server behind HTTP Basic authentication.
    #[arg(
        long = "mlflow-tracking-username",
        env = "MLFLOW_TRACKING_USERNAME",
        value_name = "NAME"
    )]
    username: Option<String>,
    /// That user's password. Better set by the environment: flags are seen by others on the machine.
    #[arg(
        long = "mlflow-tracking-password",
        env = "MLFLOW_TRACKING_PASSWORD",
        value_name = "SECRET",
        hide_env_values = true, value_parser = secret
    )]
    password: Option<SecretString>,
    /// A bearer token for the server.
    #[arg(
        long = "mlflow-tracking-token",
        env = "MLFLOW_TRACKING_TOKEN",
        value_name = "SECRET",
        hide_env_values = true, value_parser = secret
    )]
    token: Option<SecretString>,
    /// The Databricks workspace, with or without `https://`.
    #[arg(long, env = "DATABRICKS_HOST", value_name = "HOST")]
    databricks_host: Option<String>,
    /// A Databricks personal access token.
    #[arg(long, env = "DATABRICKS_TOKEN", value_name = "SECRET", hide_env_values = true, value_parser = secret)]
    databricks_token: Option<SecretString>,
    /// The client id of a Databricks service principal.
    #[arg(long, env = "DATABRICKS_CLIENT_ID", value_name = "ID")]
    databricks_client_id: Option<String>,
    /// The secret of that service principal.
    #[arg(
        long,
        env = "DATABRICKS_CLIENT_SECRET",
        value_name = "SECRET",
        hide_env_values = true, value_parser = secret
    )]
    databricks_client_secret: Option<SecretString>,
    /// The profile of the Databricks configuration file.
    #[arg(long, env = "DATABRICKS_CONFIG_PROFILE", value_name = "NAME")]
    databricks_profile: Option<String>,
    /// The Databricks configuration file; `~/.databrickscfg` unless set.
    #[arg(long, env = "DATABRICKS_CONFIG_FILE", value_name = "PATH")]
    databricks_config_file: Option<PathBuf>,
    /// Time to open a connection, TLS included.
    #[arg(long, env = "TRACE_SERVER_UPSTREAM_CONNECT_TIMEOUT", value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    upstream_connect_timeout: Duration,
    /// Time to wait for a free connection.
    #[arg(long, env = "TRACE_SERVER_UPSTREAM_POOL_TIMEOUT", value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    upstream_pool_timeout: Duration,
    /// Silence that is borne while an answer is awaited or read.
    #[arg(long, env = "TRACE_SERVER_UPSTREAM_READ_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = parse_duration)]
    upstream_read_timeout: Duration,
    /// Time for sent bytes to be acknowledged.
    #[arg(long, env = "TRACE_SERVER_UPSTREAM_WRITE_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    upstream_write_timeout: Duration,
    /// Time for a whole call, its retries included; for streamed spans: until they begin.
    #[arg(long, env = "TRACE_SERVER_UPSTREAM_CALL_TIMEOUT", value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    upstream_call_timeout: Duration,
    /// Connections open at once.
    #[arg(
        long,
        env = "TRACE_SERVER_UPSTREAM_MAX_CONNECTIONS",
        value_name = "COUNT",
        default_value_t = 100
    )]
    upstream_max_connections: usize,
    /// Idle connections kept for reuse, per host.
    #[arg(
        long,
        env = "TRACE_SERVER_UPSTREAM_MAX_IDLE",
        value_name = "COUNT",
        default_value_t = 20
    )]
    upstream_max_idle: usize,
    /// Whether connections are used again. `auto`: over TLS always, over plain http when a measurement shows that
    /// small answers do not stall (they do, by 40 ms, on `mlflow server` with several workers).
    #[arg(long, env = "TRACE_SERVER_UPSTREAM_KEEPALIVE", value_enum, default_value_t = Keepalive::Auto)]
    upstream_keepalive: Keepalive,
    /// Tries of an idempotent call beyond the first.
    #[arg(
        long,
        env = "TRACE_SERVER_UPSTREAM_MAX_RETRIES",
        value_name = "COUNT",
        default_value_t = 3
    )]
    upstream_max_retries: u32,
    /// Calls without an answer, one after the other, after which MLflow is left alone for a pause; 0: never. Meanwhile older
    /// answers stand in, and everything else is a 503 at once.
    #[arg(
        long,
        env = "TRACE_SERVER_UPSTREAM_BREAKER_FAILURES",
        value_name = "COUNT",
        default_value_t = 5
    )]
    upstream_breaker_failures: u32,
    /// That pause; after it one call is made to see, and each in vain doubles it, up to ten times.
    #[arg(long, env = "TRACE_SERVER_UPSTREAM_BREAKER_PAUSE", value_name = "TIME", default_value = "500ms", value_parser = parse_duration)]
    upstream_breaker_pause: Duration,
    /// The largest answer that is read whole (pages, infos); streamed spans are not bounded by it.
    #[arg(
        long,
        env = "TRACE_SERVER_UPSTREAM_MAX_ANSWER",
        value_name = "SIZE",
        default_value = "64MiB"
    )]
    upstream_max_answer: ByteSize,
}

/// Where MLflow keeps its traces when nobody says otherwise (since 3.7).
const DEFAULT_FILE: &str = "mlflow.db";
const DEFAULT_URI: &str = "sqlite:///mlflow.db";

/// What the upstream is made from.
#[derive(Debug)]
pub enum UpstreamConfig {
    /// An MLflow server or a workspace.
    Server(Box<ClientConfig>),
    /// MLflow's own database.
    Database(DatabaseConfig),
}

/// Secrets are kept from `Debug` and from `--help`; an address may hold one, too.
#[expect(clippy::unnecessary_wraps, reason = "what a parser of clap looks like")]
pub(super) fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(text.into())
}

/// Whether upstream connections are used again.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Keepalive {
    /// Where it does not slow small answers down.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl From<Keepalive> for ConnectionReuse {
    fn from(keepalive: Keepalive) -> Self {
        match keepalive {
            Keepalive::Auto => Self::Auto,
            Keepalive::On => Self::Always,
            Keepalive::Off => Self::Never,
        }
    }
}

impl MlflowArgs {
    /// The experiment that is meant where a request names none.
    pub fn experiment_id(&self) -> Result<Option<ExperimentId>, ConfigError> {
        Ok(given(self.experiment_id.as_ref()).map(str::parse).transpose()?)
    }

    /// Turns the settings to this database and experiment.
    pub fn use_database(&mut self, path: &Path, experiment_id: &ExperimentId) {
        self.tracking_uri = Some(format!("sqlite:///{}", path.display()).into());
        self.experiment_id = Some(experiment_id.to_string());
    }

    /// What the upstream is made from.
    pub fn upstream(&self) -> Result<UpstreamConfig, ConfigError> {
        let uri = self.tracking_uri().ok_or(ConfigError::NoTrackingUri)?;
        if !MlflowStore::is_named_by(uri.expose_secret()) {
            let config = self.client_config(uri.expose_secret())?;
            return Ok(UpstreamConfig::Server(Box::new(config)));
        }
        Ok(UpstreamConfig::Database(DatabaseConfig {
            uri,
            max_connections: self.mlflow_database_max_connections,
            statement_timeout: self.upstream_call_timeout,
            breaker: self.breaker(),
            artifacts_destination: given(self.artifacts_destination.as_ref()).map(str::to_owned),
        }))
    }

    /// Where the traces are: as it is set, else as MLflow itself has it by default.
    fn tracking_uri(&self) -> Option<SecretString> {
        let set = self.tracking_uri.as_ref().map(ExposeSecret::expose_secret);
        let set = set.map(str::trim).filter(|uri| !uri.is_empty());
        let is_databricks = given(self.databricks_host.as_ref()).is_some();
        set.or(is_databricks.then_some("databricks"))
            .or_else(|| Path::new(DEFAULT_FILE).is_file().then_some(DEFAULT_URI))
            .map(Into::into)
    }

    fn client_config(&self, uri: &str) -> Result<ClientConfig, ConfigError> {
        let server = TrackingServer::resolve(uri, &self.auth_settings())?;
        Ok(ClientConfig {
            server,
            timeouts: Timeouts {
                connect: self.upstream_connect_timeout,
                pool_wait: self.upstream_pool_timeout,
                read: self.upstream_read_timeout,
                write: self.upstream_write_timeout,
                call: self.upstream_call_timeout,
            },
            pool: PoolLimits {
                max_connections: self.upstream_max_connections.max(1),
                max_idle_per_host: self.upstream_max_idle,
                reuse: self.upstream_keepalive.into(),
            },
            retry: RetryPolicy {
                max_retries: self.upstream_max_retries,
                ..RetryPolicy::default()
            },
            breaker: self.breaker(),
            max_buffered_bytes: usize::try_from(self.upstream_max_answer.as_u64()).unwrap_or(usize::MAX),
        })
    }

    /// When a server that does not answer is left alone.
    fn breaker(&self) -> BreakerPolicy {
        BreakerPolicy {
            failures: self.upstream_breaker_failures,
            first_pause: self.upstream_breaker_pause,
            longest_pause: self.upstream_breaker_pause.saturating_mul(10),
        }
    }

    fn auth_settings(&self) -> AuthSettings {
        let text = |setting: &Option<String>| given(setting.as_ref()).map(str::to_owned);
        let secret = |setting: &Option<SecretString>| {
            setting
                .clone()
                .filter(|secret| !secret.expose_secret().trim().is_empty())
        };
        let config_file = self
            .databricks_config_file
            .clone()
            .filter(|path| !path.as_os_str().is_empty());
        AuthSettings {
            mlflow_username: text(&self.username),
            mlflow_password: secret(&self.password),
            mlflow_token: secret(&self.token),
            databricks_host: text(&self.databricks_host),
            databricks_token: secret(&self.databricks_token),
            databricks_client_id: text(&self.databricks_client_id),
            databricks_client_secret: secret(&self.databricks_client_secret),
            databricks_profile: text(&self.databricks_profile),
            databricks_config_file: config_file
                .or_else(|| std::env::home_dir().map(|home| home.join(".databrickscfg"))),
        }
    }
}
