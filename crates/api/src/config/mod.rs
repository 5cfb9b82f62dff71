//! All settings: read once from flags and environment, checked before anything starts, documented by `--help`.
//!
//! One file per section; a doc comment here is the text of `--help`. Below this module nothing reads the environment.

mod access;
mod cache;
mod document;
mod export;
mod limits;
mod logs;
mod mlflow;
mod model;
mod reviews;
mod server;
mod traces;

use std::ffi::OsStr;

use clap::builder::Resettable;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

pub use access::{AccessArgs, AskedAs};
pub use cache::CacheArgs;
pub use document::{completions, manual, markdown};
pub use export::{ExportArgs, ExportFormat};
pub use limits::LimitArgs;
pub use logs::{LogArgs, LogFormat};
pub use mlflow::{Keepalive, MlflowArgs, UpstreamConfig};
pub use model::ModelArgs;
pub use reviews::{ReviewArgs, ReviewsIn};
pub use server::ServerArgs;
pub use traces::{OtlpProtocol, OtlpTarget, TraceArgs};

/// Serves traces of MLflow and Databricks to the review app: fast, complete and by many users at once.
#[derive(Debug, Parser)]
#[command(name = "trace-server", version, long_about = None, args_conflicts_with_subcommands = true, max_term_width = 110)]
pub struct Cli {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings to serve with.
    #[command(flatten)]
    pub config: Config,
}

/// What to do instead of serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tests the connection to MLflow and says what works, what does not, and how to mend it.
    Check(Box<Config>),
    /// Serves sample traces and a labeling session from a folder of its own, which is gone at the end: needs no MLflow.
    Demo(Box<Config>),
    /// Writes the traces of a search with their spans, one a line; goes on where it was broken off.
    Export(Box<ExportArgs>),
    /// Asks the server that runs with these settings whether it is alive; for the health checks of containers.
    Health(Box<ServerArgs>),
    /// Prints the OpenAPI document.
    Openapi,
    /// Prints all settings as a page of Markdown.
    Settings,
    /// Prints what completes commands and flags in a shell: `trace-server completions bash > /etc/bash_completion.d/trace-server`.
    Completions {
        /// For which shell.
        shell: Shell,
    },
    /// Prints the manual page: `trace-server man > /usr/local/share/man/man1/trace-server.1`.
    Man,
}

/// All settings.
#[derive(Debug, clap::Args)]
pub struct Config {
    /// Which MLflow, and as whom.
    #[command(flatten)]
    pub mlflow: MlflowArgs,
    /// Where we listen and what we serve beside the API.
    #[command(flatten)]
    pub server: ServerArgs,
    /// Who may do what.
    #[command(flatten)]
    pub access: AccessArgs,
    /// Where reviews are kept.
    #[command(flatten)]
    pub reviews: ReviewArgs,
    /// The chat model that analyses may ask for insights.
    #[command(flatten)]
    pub model: ModelArgs,
    /// How much is kept, and how long.
    #[command(flatten)]
    pub cache: CacheArgs,
    /// Bounds on requests and streams.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// What is logged.
    #[command(flatten)]
    pub logs: LogArgs,
    /// Where our own traces are sent.
    #[command(flatten)]
    pub traces: TraceArgs,
}

impl Cli {
    /// Reads flags and environment; explains itself and ends the process where that is asked for or needed.
    pub fn read() -> Self {
        let matches =
            Self::command_without(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
        Self::from_arg_matches(&matches.get_matches()).unwrap_or_else(|error| error.exit())
    }

    /// The defaults, whatever the environment says.
    ///
    /// # Errors
    /// When a default breaks its own rule, which would be a fault in its making.
    pub fn without_environment() -> Result<Self, clap::Error> {
        let matches = Self::command_without(|_| true).try_get_matches_from(["trace-server"])?;
        Self::from_arg_matches(&matches)
    }

    /// The command line with some variables left out. An empty one counts as unset, as container tools write it.
    fn command_without(is_left_out: impl Fn(&OsStr) -> bool + Copy) -> clap::Command {
        let read = move |argument: clap::Arg| match argument.get_env() {
            Some(name) if is_left_out(name) => argument.env(Resettable::Reset),
            _ => argument,
        };
        Self::command()
            .mut_args(read)
            .mut_subcommands(move |subcommand| subcommand.mut_args(read))
    }
}

/// A setting that cannot be used; the text says what to change.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is its message")]
pub enum ConfigError {
    #[error(
        "no MLflow is named and there is no mlflow.db in this folder; set MLFLOW_TRACKING_URI (sqlite:///PATH, \
         postgresql://…, http://HOST:PORT, https://HOST, databricks or databricks://PROFILE), or try `trace-server demo`"
    )]
    NoTrackingUri,
    #[error(transparent)]
    Mlflow(#[from] mlflow_client::ConfigError),
    #[error(transparent)]
    Database(#[from] mlflow_store::DatabaseError),
    #[error(
        "TRACE_SERVER_AUTH is user, but no proxy is trusted to say who users are; set TRACE_SERVER_TRUST_PROXY=true behind one \
         that sets X-Forwarded-Email and X-Forwarded-Access-Token"
    )]
    UsersWithoutProxy,
    #[error(
        "TRACE_SERVER_AUTH is user, but MLFLOW_TRACKING_URI names a database, which knows no users; use server"
    )]
    UsersOfNoServer,
    #[error("TRACE_SERVER_REVIEWS is databricks, but MLFLOW_TRACKING_URI names a database; use auto or sql")]
    ReviewsInNoWorkspace,
    #[error(
        "DATABASE_URL names MLflow's own database; reviews are kept in a file of their own, such as the default \
         sqlite://trace-server.db"
    )]
    ReviewsInMlflow,
    #[error("MLFLOW_EXPERIMENT_ID: {0}")]
    ExperimentId(#[from] domain::InvalidId),
    #[error("PORT {0:?} is not a port; use a number from 0 to 65535")]
    Port(String),
    #[error(
        "TRACE_SERVER_CORS_ORIGINS: {0:?} is not an origin; use SCHEME://HOST[:PORT], separated by commas"
    )]
    CorsOrigin(String),
    #[error(
        "TRACE_SERVER_LOG {0:?} is not a log filter; use a level (info) or levels by target (info,mlflow_client=debug)"
    )]
    LogFilter(String),
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT {0}")]
    Otlp(String),
    #[error("OTEL_EXPORTER_OTLP_PROTOCOL {0:?} is not spoken; use http/protobuf or grpc")]
    OtlpProtocol(String),
    #[error("OTEL_EXPORTER_OTLP_TIMEOUT is no time in milliseconds; use 10000, say")]
    OtlpTimeout,
    #[error("TRACE_SERVER_STATIC_DIR {0:?} holds no index.html")]
    StaticDir(std::path::PathBuf),
    #[error("OPENAI_BASE_URL is no address; use http://HOST/v1 or https://HOST/v1")]
    ModelUrl,
    #[error("OPENAI_BASE_URL, OPENAI_API_KEY: {0}")]
    Model(#[from] chat_client::ChatError),
    #[error("MODEL_ENDPOINT {}", .0.rule)]
    ModelName(domain::BrokenRule),
}

/// A setting that is there and not empty: an empty variable means an unset one, as container tools write it.
fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_every_setting_is_explained() {
        Cli::command().debug_assert();
        let unexplained: Vec<_> = Cli::command()
            .get_arguments()
            .filter(|argument| argument.get_help().is_none())
            .map(|argument| argument.get_id().to_string())
            .collect();
        assert!(unexplained.is_empty(), "{unexplained:?}");
    }

    #[test]
    fn every_setting_but_the_help_can_come_from_the_environment() {
        let without: Vec<_> = Cli::command()
            .get_arguments()
            .filter(|argument| argument.get_env().is_none())
            .map(|argument| argument.get_id().to_string())
            .collect();
        assert!(without.is_empty(), "{without:?}");
    }
}
