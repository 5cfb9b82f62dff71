//! What is exported, in which order: a list of ids, written beside the file before the first trace is, so that an export that was
//! broken off goes on exactly where it was.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use domain::{ExperimentId, TraceId};
use serde::Serialize;
use service::TraceSource;
use tokio::fs;
use tokio_util::sync::CancellationToken;

use super::output::{self, Output};
use super::{ExportError, PackError, again, lines, page, table};
use crate::config::{ExportArgs, ExportFormat};
use crate::upstream::Upstream;

/// Traces listed by one call; MLflow gives no more.
const PAGE: u32 = 500;

/// What is asked for. Two that are equal are one export.
#[derive(Debug, Serialize)]
pub(super) struct Asked {
    from: String,
    pub(super) experiments: Vec<ExperimentId>,
    pub(super) filter: Option<String>,
    pub(super) order_by: Vec<String>,
    limit: Option<u64>,
    format: &'static str,
    #[serde(skip)]
    written_as: ExportFormat,
}

impl Asked {
    pub(super) fn of(args: &ExportArgs, upstream: &Upstream) -> Result<Self, ExportError> {
        let named = args.experiments.iter().map(|id| id.parse());
        let mut experiments = named.collect::<Result<Vec<ExperimentId>, _>>()?;
        if experiments.is_empty() {
            experiments.extend(args.config.mlflow.experiment_id()?);
        }
        if experiments.is_empty() {
            return Err(ExportError::NoExperiment);
        }
        Ok(Self {
            from: upstream.describe(),
            experiments,
            filter: args.filter.clone().filter(|filter| !filter.trim().is_empty()),
            order_by: args.order_by.clone(),
            limit: args.limit,
            format: args.format.as_str(),
            written_as: args.format,
        })
    }

    /// The first line of a plan.
    fn head(&self) -> String {
        // It has a text for every value of it.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The traces in their order, and how many of them are written.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) ids: Vec<TraceId>,
    pub(super) done: usize,
}

impl Plan {
    /// Lists what is asked for, each trace once: one that moves to another page while pages are turned comes twice.
    pub(super) async fn listed(asked: &Asked, source: &dyn TraceSource) -> Result<Self, ExportError> {
        let limit = asked
            .limit
            .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let (mut ids, mut seen, mut token) = (Vec::new(), HashSet::new(), None);
        loop {
            let left = u32::try_from(limit - ids.len()).unwrap_or(u32::MAX);
            let page = page(asked, PAGE.min(left), token);
            let found =
                again(async || source.search_traces(&page).await.map_err(ExportError::Search)).await?;
            let listed = found.traces.into_iter().map(|info| info.trace_id);
            ids.extend(listed.filter(|id| seen.insert(id.clone())));
            ids.truncate(limit);
            token = found.next_page_token;
            if token.is_none() || ids.len() == limit {
                return Ok(Self { ids, done: 0 });
            }
        }
    }

    fn text(&self, asked: &Asked) -> String {
        self.ids.iter().fold(asked.head() + "\n", |mut text, id| {
            // A text takes any writing.
            let _ = writeln!(text, "{id}");
            text
        })
    }
}

/// The files of an export into one.
pub(super) struct Files {
    pub(super) whole: PathBuf,
    pub(super) part: PathBuf,
    plan: PathBuf,
}

impl Files {
    fn of(output: &Path) -> Self {
        Self {
            whole: output.to_owned(),
            part: beside(output, ".part"),
            plan: beside(output, ".plan"),
        }
    }

    /// The file is whole.
    pub(super) async fn end(&self) -> Result<(), ExportError> {
        renamed(&self.part, &self.whole).await?;
        removed(&self.plan).await
    }

    /// The lines are whole; packs them as Parquet, and says how many bytes that has.
    pub(super) async fn pack(&self) -> Result<u64, ExportError> {
        let packed = beside(&self.whole, ".new");
        let stop = CancellationToken::new();
        // Dropped with this: it does not go on when somebody wants it to end.
        let _guard = stop.clone().drop_guard();
        let (from, to) = (self.part.clone(), packed.clone());
        let packing = tokio::task::spawn_blocking(move || table::pack(&from, &to, &stop));
        let bytes = packing.await.unwrap_or(Err(PackError::Stopped));
        let bytes = bytes.map_err(|error| ExportError::Pack {
            path: packed.display().to_string(),
            error,
        })?;
        renamed(&packed, &self.whole).await?;
        // Without a plan the lines are nobody's.
        removed(&self.plan).await?;
        removed(&self.part).await?;
        Ok(bytes)
    }
}

/// Whether there is something to go on with.
pub(super) fn is_begun(output: &Path) -> bool {
    Files::of(output).plan.exists()
}

/// The plan of an export into a file, and the file: what was begun there, or new ones.
pub(super) async fn planned(
    asked: &Asked,
    source: &dyn TraceSource,
    path: &Path,
    is_forced: bool,
) -> Result<(Plan, Output), ExportError> {
    let files = Files::of(path);
    // Held to the end: of two at once one would write into the other's lines.
    let begun_before = fs::try_exists(&files.part).await.unwrap_or(true);
    let file = output::locked(&files.part).await?;
    if !is_forced && fs::try_exists(&files.whole).await.unwrap_or(true) {
        if !begun_before {
            let _ = fs::remove_file(&files.part).await;
        }
        return Err(ExportError::IsThere(files.whole));
    }
    // A plan without a file is of one that came to its end.
    if !is_forced && begun_before {
        if let Some(ids) = begun(asked, &files).await? {
            let (mut plan, output) = (Plan { ids, done: 0 }, Output::continued(files, file).await?);
            plan.done = done(&plan.ids, output.last_line(), asked.written_as)
                .ok_or_else(|| ExportError::IsOfAnother(output.path().to_owned()))?;
            return Ok((plan, output));
        }
        if output::is_written(&file).await {
            return Err(ExportError::HasNoPlan(files.part));
        }
    }
    let plan = Plan::listed(asked, source).await?;
    let output = Output::new(files, file, plan.text(asked)).await?;
    Ok((plan, output))
}

/// The ids of what was begun there.
async fn begun(asked: &Asked, files: &Files) -> Result<Option<Vec<TraceId>>, ExportError> {
    let text = match fs::read_to_string(&files.plan).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(ExportError::of_file(&files.plan))?,
    };
    let is_of_another = || ExportError::IsOfAnother(files.plan.clone());
    let mut lines = text.lines();
    if lines.next() != Some(&asked.head()) {
        return Err(is_of_another());
    }
    let ids = lines.map(|line| line.parse().map_err(|_| is_of_another()));
    Ok(Some(ids.collect::<Result<_, _>>()?))
}

/// How many of the traces are dealt with where this is the last whole line; `None` where it is none of theirs.
fn done(ids: &[TraceId], last_line: &[u8], format: ExportFormat) -> Option<usize> {
    if last_line.is_empty() {
        return Some(0);
    }
    let last = lines::trace_of(last_line, format)?;
    let index = ids.iter().position(|id| id.as_str() == last)?;
    Some(index + 1)
}

impl Files {
    /// Writes the plan; it is there whole or not at all.
    pub(super) async fn write_plan(&self, text: &str) -> Result<(), ExportError> {
        let new = beside(&self.plan, ".new");
        fs::write(&new, text).await.map_err(ExportError::of_file(&new))?;
        renamed(&new, &self.plan).await
    }
}

/// The file of this name with an ending more.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

async fn renamed(from: &Path, to: &Path) -> Result<(), ExportError> {
    fs::rename(from, to).await.map_err(ExportError::of_file(to))
}

async fn removed(path: &Path) -> Result<(), ExportError> {
    fs::remove_file(path).await.map_err(ExportError::of_file(path))
}
