//! What is told of ourselves as it happens: logs to whoever reads our output, traces to whoever collects them. What is counted
//! is told when it is asked for: [`crate::metrics`].

mod logs;
mod traces;

use tokio::runtime::Handle;
use tracing_appender::non_blocking::WorkerGuard;

use crate::config::{Config, ConfigError};
use traces::Exporting;

/// Dropped at the end, it tells what is still to be told, while the runtime lives.
#[derive(Debug)]
pub struct Telemetry {
    // First: what goes wrong with it is logged.
    _traces: Option<Exporting>,
    _last_lines: WorkerGuard,
}

/// Starts to log, and to send our own traces where that is set.
///
/// # Errors
/// When a setting cannot be used.
pub fn start(config: &Config, runtime: &Handle) -> Result<Telemetry, ConfigError> {
    let last_lines = logs::start(config.logs.filter()?, config.logs.log_format);
    let target = config.traces.target()?;
    Ok(Telemetry {
        _traces: target.map(|target| traces::start(&target, runtime)).transpose()?,
        _last_lines: last_lines,
    })
}
