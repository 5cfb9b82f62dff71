//! SQLite: connections that threads for blocking work use one at a time.
//!
//! Not through sqlx, which hands every row from a thread of its own to the task that waits for it: for a trace of 1 MB that
//! costs several times the reading. Here a statement runs to its end on one thread, and is interrupted when nobody waits
//! for it any more.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use regex::Regex;
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, InterruptHandle, OpenFlags, ToSql};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::{BAD_PATTERN, DatabaseError};
use crate::row::Row;
use crate::sql::{Statement, Value};

/// As long as MLflow itself waits for a lock in SQLite (3.17.2).
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a statement waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements that are kept prepared on each connection.
const PREPARED: usize = 64;

/// What the connections may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read; the database itself refuses their writes.
    Read,
    /// Read and write.
    Write,
}

/// A value of a row.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Real(f64),
    Text(Bytes),
}

/// Some connections to one file, opened when they are first needed. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Sqlite(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    access: Access,
    free: Arc<Semaphore>,
    /// The one used last is used next: it has the pages in its cache.
    idle: Mutex<Vec<Opened>>,
    opened: AtomicU64,
}

/// A connection, and the file it was opened on.
#[derive(Debug)]
struct Opened {
    connection: Connection,
    file: FileId,
}

impl Sqlite {
    pub(crate) fn new(path: &Path, access: Access, connections: u32) -> Self {
        Self(Arc::new(Inner {
            path: path.to_owned(),
            access,
            free: Arc::new(Semaphore::new(connections.max(1) as usize)),
            idle: Mutex::default(),
            opened: AtomicU64::new(0),
        }))
    }

    /// How many connections were ever opened.
    pub(crate) fn opened(&self) -> u64 {
        self.0.opened.load(Ordering::SeqCst)
    }

    /// A connection, for as long as it is held; taken up by the first statement.
    pub(crate) async fn acquire(&self) -> Result<Held, DatabaseError> {
        Ok(Held {
            lease: Some(self.lease().await?),
            pool: self.clone(),
        })
    }

    /// What is read of all rows of a statement, on the thread that fetches them; interrupted when this is not waited for to its
    /// end. The connection is given back as soon as they are there, whether someone looks or not.
    pub(crate) async fn fetch<T: Send + 'static>(
        &self,
        statement: &Statement,
        read: impl FnOnce(Vec<Row>) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let mut lease = self.lease().await?;
        let (pool, waiting) = (self.clone(), Waiting::default());
        let (progress, fetch) = (Arc::clone(&waiting.0), fetching(statement));
        blocking(move || {
            let rows = lease.work(&pool, &progress, fetch);
            lease.give_back(&pool);
            read(rows?)
        })
        .await
    }

    async fn lease(&self) -> Result<Lease, DatabaseError> {
        match timeout(ACQUIRE_TIMEOUT, Arc::clone(&self.0.free).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Lease {
                opened: None,
                _permit: permit,
            }),
            _ => Err(DatabaseError::Busy("no connection was free in time".to_owned())),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Opened>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When another file stands under the name (a new one, a restored one), the connections to the old one are closed: they
    /// would go on reading what nobody writes to any more.
    fn idle_or_new(&self) -> Result<Opened, DatabaseError> {
        let present = FileId::of(&self.0.path);
        let idle = {
            let mut idle = self.idle();
            idle.retain(|opened| Some(opened.file) == present);
            idle.pop()
        };
        idle.map_or_else(|| self.open(), Ok)
    }

    /// Not opened as read-only: what a writer that was killed left half-done is undone by whoever reads next, which needs the
    /// right to write. The journal mode is the owner's choice and stays.
    fn open(&self) -> Result<Opened, DatabaseError> {
        let file = FileId::of(&self.0.path).unwrap_or_default();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.0.path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // As MLflow sets them: its LIKE tells upper from lower case, and links between rows hold.
        connection.pragma_update(None, "case_sensitive_like", true)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        if self.0.access == Access::Read {
            connection.pragma_update(None, "query_only", true)?;
        }
        connection.set_prepared_statement_cache_capacity(PREPARED);
        // Else a statement is planned anew for each new value, which costs as much as a small read.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        connection.create_scalar_function("regexp", 2, flags, |context| {
            let compile = |pattern: ValueRef<'_>| {
                let bad = |error: regex::Error| Boxed::from(format!("{BAD_PATTERN}: {error}"));
                Regex::new(pattern.as_str()?).map_err(bad)
            };
            let pattern: Arc<Regex> = context.get_or_create_aux(0, compile)?;
            let is_match = |text: &str| pattern.is_match(text);
            Ok(context.get_raw(1).as_str_or_null()?.map(is_match))
        })?;
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        Ok(Opened { connection, file })
    }
}

/// Which file stands under a name: its device and its number there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct FileId(u64, u64);

impl FileId {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self(metadata.dev(), metadata.ino()))
    }
}

type Boxed = Box<dyn std::error::Error + Send + Sync>;

/// A connection in use. One that is not given back is closed, which undoes what was not committed.
#[derive(Debug)]
pub(crate) struct Held {
    /// Not here while a statement runs.
    lease: Option<Lease>,
    pool: Sqlite,
}

/// A connection, once there is one, and the right to have it open: they go together wherever the work on it is done, so that
/// one whose work nobody waits for any more counts until it has ended.
#[derive(Debug)]
struct Lease {
    opened: Option<Opened>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    /// Works on the connection, on a thread for that.
    fn work<T>(
        &mut self,
        pool: &Sqlite,
        progress: &Progress,
        work: impl FnOnce(&Connection) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        progress.check()?;
        let opened = match self.opened.take() {
            Some(opened) => opened,
            None => pool.idle_or_new()?,
        };
        let opened = self.opened.insert(opened);
        progress.begin(&opened.connection)?;
        let done = work(&opened.connection);
        progress.end();
        done
    }

    /// Gives the connection back, for others to use, unless a transaction was left open on it.
    fn give_back(mut self, pool: &Sqlite) {
        if let Some(opened) = self.opened.take()
            && opened.connection.is_autocommit()
        {
            pool.idle().push(opened);
        }
    }
}

impl Held {
    pub(crate) async fn fetch_all(&mut self, statement: &Statement) -> Result<Vec<Row>, DatabaseError> {
        self.run(fetching(statement)).await
    }

    /// Runs a statement; the number of rows that it changed.
    pub(crate) async fn execute(&mut self, statement: &Statement) -> Result<u64, DatabaseError> {
        let (text, values) = (statement.text().to_owned(), statement.values().to_vec());
        self.run(move |connection| {
            let changed = connection.prepare_cached(&text)?.execute(parameters(&values))?;
            Ok(changed as u64)
        })
        .await
    }

    /// Runs a statement that has no values and gives no rows.
    pub(crate) async fn command(&mut self, text: &'static str) -> Result<(), DatabaseError> {
        self.run(move |connection| Ok(connection.execute_batch(text)?))
            .await
    }

    /// Interrupted when this is not waited for to its end.
    async fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let mut lease = self.lease.take().ok_or_else(interrupted)?;
        let (pool, waiting) = (self.pool.clone(), Waiting::default());
        let progress = Arc::clone(&waiting.0);
        let (lease, done) = blocking(move || {
            let done = lease.work(&pool, &progress, work);
            Ok((lease, done))
        })
        .await?;
        self.lease = Some(lease);
        done
    }

    /// Gives the connection back, for others to use, unless a transaction was left open on it.
    pub(crate) fn release(mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back(&self.pool);
        }
    }
}

impl Drop for Held {
    /// To close a connection undoes what was not committed, in the file.
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take().filter(|lease| lease.opened.is_some())
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn_blocking(move || drop(lease));
        }
    }
}

/// How far a statement is for which someone waits.
#[derive(Default)]
enum Stage {
    #[default]
    Ahead,
    Under(InterruptHandle),
    Over,
    /// Nobody waits any more.
    Left,
}

#[derive(Default)]
struct Progress(Mutex<Stage>);

impl Progress {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails when nobody waits any more.
    fn check(&self) -> Result<(), DatabaseError> {
        match *self.stage() {
            Stage::Left => Err(interrupted()),
            _ => Ok(()),
        }
    }

    /// Fails when nobody waits any more.
    fn begin(&self, connection: &Connection) -> Result<(), DatabaseError> {
        let mut stage = self.stage();
        if matches!(*stage, Stage::Left) {
            return Err(interrupted());
        }
        *stage = Stage::Under(connection.get_interrupt_handle());
        Ok(())
    }

    fn end(&self) {
        *self.stage() = Stage::Over;
    }
}

/// Someone who waits for a statement: one under way is interrupted when they leave.
#[derive(Default)]
struct Waiting(Arc<Progress>);

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut stage = self.0.stage();
        if let Stage::Under(statement) = &*stage {
            statement.interrupt();
        }
        *stage = Stage::Left;
    }
}

pub(crate) fn interrupted() -> DatabaseError {
    DatabaseError::Busy("the work was interrupted".to_owned())
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DatabaseError> + Send + 'static,
) -> Result<T, DatabaseError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(interrupted()))
}

/// What fetches all rows of a statement.
fn fetching(
    statement: &Statement,
) -> impl FnOnce(&Connection) -> Result<Vec<Row>, DatabaseError> + Send + 'static {
    let (text, values) = (statement.text().to_owned(), statement.values().to_vec());
    move |connection| fetch_all(connection, &text, &values)
}

fn fetch_all(connection: &Connection, text: &str, values: &[Value]) -> Result<Vec<Row>, DatabaseError> {
    let mut statement = connection.prepare_cached(text)?;
    let columns = statement.column_count();
    let mut rows = statement.query(parameters(values))?;
    let mut read = Vec::new();
    while let Some(row) = rows.next()? {
        let cell = |column| Ok(Cell::from(row.get_ref(column)?));
        let cells = (0..columns).map(cell).collect::<Result<_, rusqlite::Error>>();
        read.push(Row::Sqlite(cells?));
    }
    Ok(read)
}

fn parameters(values: &[Value]) -> rusqlite::ParamsFromIter<&[Value]> {
    rusqlite::params_from_iter(values)
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Int(value) => ToSqlOutput::from(*value),
            Self::Real(value) => ToSqlOutput::from(*value),
            Self::Bool(value) => ToSqlOutput::from(*value),
            Self::Text(value) => ToSqlOutput::from(value.as_str()),
            // A list is bound as JSON text; an array is none of SQLite's types.
            Self::Texts(_) | Self::Ints(_) => ToSqlOutput::from(rusqlite::types::Null),
        })
    }
}

impl From<ValueRef<'_>> for Cell {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(value) => Self::Int(value),
            ValueRef::Real(value) => Self::Real(value),
            ValueRef::Text(text) | ValueRef::Blob(text) => Self::Text(Bytes::copy_from_slice(text)),
        }
    }
}
