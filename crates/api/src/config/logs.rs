//! What is logged, and how.

use std::time::Duration;

use clap::{Args, ValueEnum};
use humantime::parse_duration;
use tracing_subscriber::EnvFilter;

use super::ConfigError;

/// What is logged.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogArgs {
    /// A level (`info`) or levels by target (`warn,access=info`). Requests are logged by the target `access`.
    #[arg(long, env = "TRACE_SERVER_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
    /// `pretty` for people, `json` for machines: one object a line.
    #[arg(long, env = "TRACE_SERVER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Pretty)]
    pub log_format: LogFormat,
    /// A request whose answer begins later than this is warned of, with where its time went.
    #[arg(long, env = "TRACE_SERVER_SLOW_REQUEST", value_name = "TIME", default_value = "2s", value_parser = parse_duration)]
    pub slow_request: Duration,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines.
    Json,
}

impl LogArgs {
    /// What is logged.
    pub fn filter(&self) -> Result<EnvFilter, ConfigError> {
        EnvFilter::try_new(&self.log).map_err(|_| ConfigError::LogFilter(self.log.clone()))
    }
}
