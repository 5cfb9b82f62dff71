//! Connections to MLflow's database: some that read and cannot write, one that writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, Postgres};
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, ConnectOptions, query_with};
use tokio::time::timeout;

use crate::address::Address;
use crate::dialect::Dialect;
use crate::error::DatabaseError;
use crate::row::Row;
use crate::sql::{Statement, Value};

/// As long as MLflow itself waits for a lock in SQLite (3.17.2).
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a statement waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections of one kind to one database.
#[derive(Debug, Clone)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Writers at once where the database can have several.
const WRITERS: u32 = 4;

/// What the connections are for.
#[derive(Debug, Clone)]
pub(crate) enum Purpose {
    /// To read, so many at once; the database itself refuses their writes.
    Reading(u32),
    /// To write.
    Writing,
    /// To look for changes: one that stays, and reads. Counts the connections that were made.
    Watching(Arc<AtomicU64>),
}

impl Pool {
    /// Connections that are opened when they are first needed.
    pub(crate) fn open(address: &Address, purpose: &Purpose, limit: Duration) -> Result<Self, DatabaseError> {
        match address {
            Address::Sqlite(path) => {
                // Not opened as read-only: what a writer that was killed left half-done is undone by whoever reads next,
                // which needs the right to write. The journal mode is the owner's choice and stays.
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .create_if_missing(false)
                    .busy_timeout(BUSY_TIMEOUT)
                    // As MLflow sets it: its LIKE tells upper from lower case.
                    .pragma("case_sensitive_like", "ON")
                    .with_regexp()
                    .disable_statement_logging();
                let options = match purpose {
                    Purpose::Reading(_) | Purpose::Watching(_) => options.pragma("query_only", "ON"),
                    Purpose::Writing => options,
                };
                // SQLite has one writer.
                Ok(Self::Sqlite(pool_options(purpose, 1).connect_lazy_with(options)))
            }
            Address::Postgres(url) => {
                let options: PgConnectOptions = url.as_str().parse().map_err(|_| {
                    DatabaseError::Address("must be postgresql://USER:PASSWORD@HOST[:PORT]/DATABASE".into())
                })?;
                let limit = limit.as_millis().to_string();
                let read_only = if matches!(purpose, Purpose::Writing) {
                    "off"
                } else {
                    "on"
                };
                let options = options
                    .application_name("trace-server")
                    .disable_statement_logging()
                    .options([
                        ("statement_timeout", limit.as_str()),
                        ("default_transaction_read_only", read_only),
                    ]);
                Ok(Self::Postgres(
                    pool_options(purpose, WRITERS).connect_lazy_with(options),
                ))
            }
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// All rows of a statement, within the time.
    pub(crate) async fn fetch_all(
        &self,
        statement: &Statement,
        limit: Duration,
    ) -> Result<Vec<Row>, DatabaseError> {
        let rows = async {
            match self {
                Self::Sqlite(pool) => rows(sqlite(statement).fetch_all(pool).await, Row::Sqlite),
                Self::Postgres(pool) => rows(postgres(statement).fetch_all(pool).await, Row::Postgres),
            }
            .map_err(|error| self.explained(error))
        };
        timeout(limit, rows)
            .await
            .unwrap_or(Err(DatabaseError::Timeout(limit)))
    }

    /// A connection that none could be had for in time, though none is open, is one that could not be made.
    fn explained(&self, error: DatabaseError) -> DatabaseError {
        let open = match self {
            Self::Sqlite(pool) => pool.size(),
            Self::Postgres(pool) => pool.size(),
        };
        match error {
            DatabaseError::Busy(_) if open == 0 => DatabaseError::Unreachable(sqlx::Error::PoolTimedOut),
            error => error,
        }
    }

    /// Begins a write. SQLite has one writer: it waits for its turn here and not halfway, where waiting could not end.
    pub(crate) async fn begin(&self) -> Result<Transaction, DatabaseError> {
        match self {
            Self::Sqlite(pool) => Ok(Transaction::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?)),
            Self::Postgres(pool) => Ok(Transaction::Postgres(pool.begin().await?)),
        }
    }
}

fn pool_options<DB: sqlx::Database>(purpose: &Purpose, writers: u32) -> PoolOptions<DB> {
    let options = PoolOptions::new()
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // Asked for each time otherwise, which costs as much as a small read; a broken connection is told by its error.
        .test_before_acquire(false);
    match purpose {
        Purpose::Reading(connections) => options.max_connections((*connections).max(1)),
        Purpose::Writing => options.max_connections(writers),
        Purpose::Watching(made) => {
            let made = Arc::clone(made);
            options
                .max_connections(1)
                .idle_timeout(None)
                .max_lifetime(None)
                .after_connect(move |_, _| {
                    made.fetch_add(1, Ordering::SeqCst);
                    Box::pin(std::future::ready(Ok(())))
                })
        }
    }
}

/// A write under way; undone unless it is committed.
#[derive(Debug)]
pub(crate) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Transaction {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    pub(crate) async fn fetch_all(&mut self, statement: &Statement) -> Result<Vec<Row>, DatabaseError> {
        match self {
            Self::Sqlite(all) => rows(sqlite(statement).fetch_all(&mut **all).await, Row::Sqlite),
            Self::Postgres(all) => rows(postgres(statement).fetch_all(&mut **all).await, Row::Postgres),
        }
    }

    /// Runs a statement; the number of rows that it changed.
    pub(crate) async fn execute(&mut self, statement: &Statement) -> Result<u64, DatabaseError> {
        Ok(match self {
            Self::Sqlite(all) => sqlite(statement).execute(&mut **all).await?.rows_affected(),
            Self::Postgres(all) => postgres(statement).execute(&mut **all).await?.rows_affected(),
        })
    }

    pub(crate) async fn commit(self) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(all) => all.commit().await?,
            Self::Postgres(all) => all.commit().await?,
        }
        Ok(())
    }
}

fn rows<R>(rows: Result<Vec<R>, sqlx::Error>, row: impl Fn(R) -> Row) -> Result<Vec<Row>, DatabaseError> {
    Ok(rows?.into_iter().map(row).collect())
}

/// The text is put together from fixed pieces alone: see [`Statement`].
fn sqlite(statement: &Statement) -> Query<'_, Sqlite, SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    for value in statement.values() {
        // A value that cannot be bound makes the statement fail with a number missing, which is told.
        let _ = match value {
            Value::Int(value) => sqlx::Arguments::add(&mut arguments, *value),
            Value::Real(value) => sqlx::Arguments::add(&mut arguments, *value),
            Value::Bool(value) => sqlx::Arguments::add(&mut arguments, *value),
            Value::Text(value) => sqlx::Arguments::add(&mut arguments, value.clone()),
            // A list is bound as JSON; an array is none of SQLite's types.
            Value::Texts(_) | Value::Ints(_) => sqlx::Arguments::add(&mut arguments, None::<i64>),
        };
    }
    query_with(AssertSqlSafe(statement.text().to_owned()), arguments)
}

fn postgres(statement: &Statement) -> Query<'_, Postgres, PgArguments> {
    let mut arguments = PgArguments::default();
    for value in statement.values() {
        let _ = match value {
            Value::Int(value) => sqlx::Arguments::add(&mut arguments, *value),
            Value::Real(value) => sqlx::Arguments::add(&mut arguments, *value),
            Value::Bool(value) => sqlx::Arguments::add(&mut arguments, *value),
            Value::Text(value) => sqlx::Arguments::add(&mut arguments, value.clone()),
            Value::Texts(values) => sqlx::Arguments::add(&mut arguments, values.clone()),
            Value::Ints(values) => sqlx::Arguments::add(&mut arguments, values.clone()),
        };
    }
    query_with(AssertSqlSafe(statement.text().to_owned()), arguments)
}
