//! A demo store: a SQLite file in MLflow's own schema, with the sample traces of a customer-support agent in it.
//!
//! MLflow itself opens the same file, and nothing of MLflow is needed to make it. Every id and text is the same each
//! time; only the times differ, as they are told back from now.
//!
//! - `story` tells what happened: which traces there are and what is in them.
//! - `record`, `content` and `info` hold it as MLflow's SDK and server would.
//! - `schema` and `rows` write it.

mod content;
mod info;
mod json;
mod random;
mod record;
mod rows;
mod schema;
mod story;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use domain::{ExperimentId, RunId, TraceId};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};

use crate::story::Story;

/// The name of the database in its folder.
pub const DATABASE: &str = "mlflow.db";

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demo {
    /// The database, by its absolute path.
    pub database: PathBuf,
    /// The experiment that all traces are in.
    pub experiment_id: ExperimentId,
    /// Its name.
    pub experiment_name: &'static str,
    /// Runs by their names.
    pub runs: BTreeMap<&'static str, RunId>,
    /// How many traces there are.
    pub traces: usize,
    /// Traces worth showing: `big`, `conversation` (the last of one), `disputed` (a person overrode the judge),
    /// `failing`, `german`, `in_progress`, `japanese`, `recovered` (a tool failed and the agent answered all the same).
    pub named: BTreeMap<&'static str, TraceId>,
}

/// Why there is no demo store.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The folder has a database already, which stays as it is.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// The folder or the file cannot be made.
    #[error("{} cannot be made: {reason}", .path.display())]
    Folder {
        /// The folder or the file.
        path: PathBuf,
        /// What the system said.
        #[source]
        reason: io::Error,
    },
    /// MLflow keeps paths as text, and this one is none.
    #[error("{} is no UTF-8: MLflow cannot name it", .0.display())]
    Name(PathBuf),
    /// SQLite refused.
    #[error("the demo store cannot be written: {0}")]
    Database(#[from] sqlx::Error),
    /// An id of the story is none: a fault of ours.
    #[error(transparent)]
    Id(#[from] domain::InvalidId),
}

/// Makes the database in a folder, which is made too unless it is there.
///
/// # Errors
/// [`DemoError::Exists`] if the folder has one already. After any error nothing of a new one is left.
pub async fn create(folder: &Path) -> Result<Demo, DemoError> {
    let unusable = |path: &Path| {
        let path = path.to_owned();
        move |reason| DemoError::Folder { path, reason }
    };
    let folder = std::path::absolute(folder).map_err(unusable(folder))?;
    let name = folder.to_str().ok_or_else(|| DemoError::Name(folder.clone()))?;
    fs::create_dir_all(&folder).map_err(unusable(&folder))?;

    let story = story::tell(now_ns(), &format!("{name}/mlartifacts"));
    let unfinished = Unfinished::begin(folder.join(DATABASE))?;
    write(&unfinished.path, &story).await?;
    Demo::of(unfinished.finish(), &story)
}

async fn write(path: &Path, story: &Story) -> Result<(), DemoError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        // A file that is made at once or not at all is not worth waiting for the disk.
        .journal_mode(SqliteJournalMode::Memory)
        .synchronous(SqliteSynchronous::Off);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let mut all = connection.begin().await?;
    sqlx::raw_sql(schema::TABLES).execute(&mut *all).await?;
    schema::insert_default_experiment(&mut all, &story.experiment).await?;
    rows::insert_experiment(&mut all, &story.experiment).await?;
    for trace in &story.traces {
        rows::insert_trace(&mut all, &story.experiment, trace).await?;
    }
    rows::insert_run(&mut all, &story.run).await?;
    all.commit().await?;
    Ok(connection.close().await?)
}

impl Demo {
    fn of(database: PathBuf, story: &Story) -> Result<Self, DemoError> {
        let named = story.named.iter();
        let named = named.map(|(name, id)| Ok((*name, id.parse()?)));
        Ok(Self {
            database,
            experiment_id: story.experiment.id.to_string().parse()?,
            experiment_name: story.experiment.name,
            runs: BTreeMap::from([(story.run.name, story.run.id.parse()?)]),
            traces: story.traces.len(),
            named: named.collect::<Result<_, DemoError>>()?,
        })
    }
}

/// A database that is removed again unless it is finished, however the making ends.
struct Unfinished {
    path: PathBuf,
    is_finished: bool,
}

impl Unfinished {
    /// Takes the name, which only one can.
    fn begin(path: PathBuf) -> Result<Self, DemoError> {
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(_) => Ok(Self {
                path,
                is_finished: false,
            }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(DemoError::Exists(path)),
            Err(reason) => Err(DemoError::Folder { path, reason }),
        }
    }

    fn finish(mut self) -> PathBuf {
        self.is_finished = true;
        std::mem::take(&mut self.path)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_finished {
            // What cannot be removed is told by the next attempt.
            fs::remove_file(&self.path).ok();
        }
    }
}

fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
