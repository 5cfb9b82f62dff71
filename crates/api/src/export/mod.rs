//! `trace-server export`: the traces of a search, one a line, into a file or to standard output.
//!
//! First the ids are listed (`plan`), so that what comes meanwhile changes nothing; then each trace is read, some side by side,
//! and written in that order (`lines`, `output`); lines become rows at the end (`table`). No trace is held whole unless it is small
//! enough to be shared, or becomes a row.

mod lines;
mod otlp;
mod output;
mod plan;
mod progress;
mod table;

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use domain::{SearchTraces, TraceId};
use futures::{StreamExt, stream};
use service::{ServiceError, UpstreamError};

use crate::config::{ConfigError, ExportArgs, ExportFormat};
use crate::serve::told_to_stop;
use crate::wiring::{self, WiringError};
use lines::{Line, Lines};
use output::Output;
use plan::{Asked, Plan};
use progress::Progress;
pub use table::PackError;

/// Traces that are read side by side; each holds as much as `TRACE_SERVER_MAX_SHARED_SPANS` until it is its turn.
const SIDE_BY_SIDE: usize = 4;

/// Pauses before a trace is read again, where that may help.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(15),
    Duration::from_secs(30),
];

/// An export that did not come to its end; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A setting cannot be used.
    #[error(transparent)]
    Wiring(#[from] WiringError),
    /// No experiment is named.
    #[error("no experiment is named; give --experiment ID, or set MLFLOW_EXPERIMENT_ID")]
    NoExperiment,
    /// An id is none.
    #[error("--experiment: {0}")]
    ExperimentId(#[from] domain::InvalidId),
    /// The ids cannot be listed.
    #[error("the traces cannot be listed: {0}")]
    Search(#[source] UpstreamError),
    /// A trace cannot be read.
    #[error("trace {id} cannot be read: {error}{}", if .error.is_of_one_trace() { "; --skip-unreadable leaves such traces out" } else { "" })]
    Trace {
        /// Which.
        id: TraceId,
        /// Why.
        #[source]
        error: ServiceError,
    },
    /// A span cannot be written as OTLP.
    #[error(
        "trace {id} cannot be written as OTLP: {reason}; --format jsonl writes it as it is, --skip-unreadable leaves it out"
    )]
    Span {
        /// The trace it is of.
        id: TraceId,
        /// Why not.
        reason: String,
    },
    /// The file is there.
    #[error("{0:?} is there already; --force writes it anew")]
    IsThere(std::path::PathBuf),
    /// What was begun there is of something else.
    #[error(
        "{0:?} was begun by another command (another search, order, format or MLflow); --force begins anew"
    )]
    IsOfAnother(std::path::PathBuf),
    /// Another process writes there.
    #[error("{0:?} is being written by another export")]
    IsWritten(std::path::PathBuf),
    /// What is there was not begun by an export.
    #[error("{0:?} is there and has no plan beside it; --force writes it anew")]
    HasNoPlan(std::path::PathBuf),
    /// Some were left out.
    #[error("{0} traces could not be read and are left out")]
    LeftOut(u64),
    /// The file cannot be written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A format needs a file.
    #[error("--format parquet cannot be written to standard output; give --output FILE")]
    NeedsFile,
    /// Lines cannot be packed.
    #[error("{path}: {error}")]
    Pack {
        /// The file they are packed into.
        path: String,
        /// Why not.
        #[source]
        error: PackError,
    },
    /// Somebody wanted it to end.
    #[error("stopped")]
    Stopped,
}

impl From<ConfigError> for ExportError {
    fn from(error: ConfigError) -> Self {
        Self::Wiring(error.into())
    }
}

impl ExportError {
    fn of_file(path: &Path) -> impl Fn(io::Error) -> Self + Copy + '_ {
        move |error| Self::File {
            path: path.display().to_string(),
            error,
        }
    }

    /// Whether nobody reads on: `trace-server export | head`.
    fn is_of_closed_pipe(&self) -> bool {
        matches!(self, Self::File { error, .. } if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Whether this trace alone is in trouble.
    fn is_of_one_trace(&self) -> bool {
        match self {
            Self::Trace { error, .. } => error.is_of_one_trace(),
            Self::Span { .. } => true,
            _ => false,
        }
    }

    /// Whether what was begun can be gone on with.
    fn leaves_something(&self) -> bool {
        matches!(
            self,
            Self::Trace { .. } | Self::Span { .. } | Self::Search(_) | Self::Pack { .. } | Self::Stopped
        )
    }

    /// Whether it may go well later.
    fn is_transient(&self) -> bool {
        match self {
            Self::Trace { error, .. } => error.retry_after().is_some(),
            Self::Search(error) => error.is_transient(),
            _ => false,
        }
    }
}

/// Exports; what is told of it goes to standard error.
///
/// # Errors
/// When it did not come to its end. What was written into a file is kept: the same command goes on from there.
pub async fn run(mut args: ExportArgs) -> Result<(), ExportError> {
    // Each trace is read once.
    args.config.cache.keep_nothing();
    let exported = async {
        let (services, upstream) = wiring::reader(&args.config)?;
        let asked = Asked::of(&args, &upstream)?;
        let source = upstream.source();
        let (plan, mut output) = match args.output.to_str() {
            Some("-") if args.format == ExportFormat::Parquet => return Err(ExportError::NeedsFile),
            Some("-") => (Plan::listed(&asked, source.as_ref()).await?, Output::stdout()),
            _ => plan::planned(&asked, source.as_ref(), &args.output, args.force).await?,
        };
        let lines = Lines::new(services, source, args.format);
        let mut progress = Progress::begin(plan.ids.len(), plan.done);
        let end = written(&plan, &lines, &mut output, &mut progress, args.skip_unreadable).await;
        progress.end();
        end?;
        let packed = output.finish(args.format).await?;
        tell(&progress.told(packed));
        match progress.left_out() {
            0 => Ok(()),
            some => Err(ExportError::LeftOut(some)),
        }
    };
    let end = tokio::select! {
        end = exported => end,
        () = told_to_stop() => Err(ExportError::Stopped),
    };
    match end {
        Err(error) if error.is_of_closed_pipe() => Ok(()),
        Err(error) => {
            let is_begun = args.output.to_str() != Some("-") && plan::is_begun(&args.output);
            if is_begun && error.leaves_something() {
                tell("what was written is kept: the same command goes on from there");
            }
            Err(error)
        }
        done => done,
    }
}

fn tell(text: &str) {
    // Nobody need read it.
    let _ = writeln!(io::stderr(), "trace-server: {text}");
}

/// Writes what is left of the plan.
async fn written(
    plan: &Plan,
    lines: &Lines,
    output: &mut Output,
    progress: &mut Progress,
    skips_unreadable: bool,
) -> Result<(), ExportError> {
    let left = plan.ids.iter().skip(plan.done);
    let mut opened = stream::iter(left)
        .map(|id| async move { (id, opened(lines, id).await) })
        .buffered(SIDE_BY_SIDE);
    while let Some((id, line)) = opened.next().await {
        let written = match line {
            Ok(Some(line)) => copied(lines, id, line, output).await,
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        match written {
            Ok(Some(bytes)) => progress.wrote(bytes),
            Ok(None) => progress.is_gone(),
            Err(error) if skips_unreadable && error.is_of_one_trace() && output.is_at_a_lines_begin() => {
                progress.leaves_out(&error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Does it again while that may help.
async fn again<T>(attempt: impl AsyncFn() -> Result<T, ExportError>) -> Result<T, ExportError> {
    let mut pauses = PAUSES.into_iter();
    loop {
        let error = match attempt().await {
            Err(error) => error,
            done => return done,
        };
        match pauses.next().filter(|_| error.is_transient()) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(error),
        }
    }
}

/// A trace that is about to be written; `None` for one that was deleted since it was listed.
async fn opened(lines: &Lines, id: &TraceId) -> Result<Option<Line>, ExportError> {
    match again(async || lines.open(id).await).await {
        Err(ExportError::Trace {
            error: ServiceError::TraceNotFound(_),
            ..
        }) => Ok(None),
        opened => opened.map(Some),
    }
}

/// Writes a line whole, and says how many bytes it has; `None` for a trace that was deleted meanwhile. One that breaks off is
/// taken back, where that can be done, and begun anew.
async fn copied(
    lines: &Lines,
    id: &TraceId,
    mut line: Line,
    output: &mut Output,
) -> Result<Option<u64>, ExportError> {
    let mut pauses = PAUSES.into_iter();
    loop {
        let error = match output.write_line(&mut line).await {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(error) => error,
        };
        output.take_back().await?;
        let Some(pause) = pauses
            .next()
            .filter(|_| output.is_at_a_lines_begin() && error.is_transient())
        else {
            return Err(error);
        };
        tokio::time::sleep(pause).await;
        match opened(lines, id).await? {
            Some(anew) => line = anew,
            None => return Ok(None),
        }
    }
}

/// What a page of the listing asks for.
fn page(asked: &Asked, max_results: u32, page_token: Option<String>) -> SearchTraces {
    SearchTraces {
        experiment_ids: asked.experiments.clone(),
        filter: asked.filter.clone(),
        max_results,
        order_by: asked.order_by.clone(),
        page_token,
    }
}
