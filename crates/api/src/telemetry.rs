//! Logs: to standard output, one line each.

use std::io::IsTerminal;

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::LogFormat;

/// Starts logging; what is returned writes the last lines when it is dropped. Only the first call counts.
///
/// Lines are written by a thread of their own: a reader of our output who does not read must not stop the requests.
/// When it lags by more than 128,000 lines, further ones are dropped.
pub fn start(filter: EnvFilter, format: LogFormat) -> WorkerGuard {
    let is_terminal = std::io::stdout().is_terminal();
    let (writer, guard) = tracing_appender::non_blocking(std::io::stdout());
    let registry = tracing_subscriber::registry().with(filter);
    // A second call is a test's; it keeps the first.
    let _ = match format {
        LogFormat::Json => {
            let layer = fmt::layer().json().flatten_event(true).with_current_span(false);
            registry.with(layer.with_writer(writer)).try_init()
        }
        LogFormat::Pretty => {
            let layer = fmt::layer().compact().with_ansi(is_terminal);
            registry.with(layer.with_writer(writer)).try_init()
        }
    };
    guard
}
