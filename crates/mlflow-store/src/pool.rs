//! Connections to MLflow's database: some that read and cannot write, some that write.

use std::sync::Arc;
use std::time::Duration;

use breaker::Breaker;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, query_with};
use tokio::time::timeout;

use crate::address::Address;
use crate::dialect::Dialect;
use crate::error::DatabaseError;
use crate::row::Row;
use crate::sql::{Statement, Value};
use crate::sqlite::{Access, Held, Sqlite, blocking};

/// How long a statement waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that was idle for longer is asked whether it is still there.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// Writers at once where the database can have several.
const WRITERS: u32 = 4;

/// Connections of one kind to one database.
#[derive(Debug, Clone)]
pub(crate) enum Pool {
    Sqlite(Sqlite),
    Postgres(Guarded),
}

/// Connections to a PostgreSQL that is left alone while it does not answer. (A file needs no such thing: it is there or not.)
#[derive(Debug, Clone)]
pub(crate) struct Guarded {
    connections: PgPool,
    breaker: Arc<Breaker>,
}

/// What the connections are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To read, so many at once; the database itself refuses their writes.
    Reading(u32),
    /// To write.
    Writing,
}

impl Pool {
    /// Connections that are opened when they are first needed.
    pub(crate) fn open(
        address: &Address,
        purpose: Purpose,
        limit: Duration,
        breaker: &Arc<Breaker>,
    ) -> Result<Self, DatabaseError> {
        match address {
            Address::Sqlite(path) => Ok(Self::Sqlite(match purpose {
                Purpose::Reading(connections) => Sqlite::new(path, Access::Read, connections),
                // SQLite has one writer.
                Purpose::Writing => Sqlite::new(path, Access::Write, 1),
            })),
            Address::Postgres(url) => {
                let options: PgConnectOptions = url.as_str().parse().map_err(|_| {
                    DatabaseError::Address("must be postgresql://USER:PASSWORD@HOST[:PORT]/DATABASE".into())
                })?;
                let limit = limit.as_millis().to_string();
                let (connections, read_only) = match purpose {
                    Purpose::Reading(connections) => (connections.max(1), "on"),
                    Purpose::Writing => (WRITERS, "off"),
                };
                let options = options
                    .application_name("trace-server")
                    .disable_statement_logging()
                    .options([
                        ("statement_timeout", limit.as_str()),
                        ("default_transaction_read_only", read_only),
                    ]);
                let pool = PgPoolOptions::new()
                    .max_connections(connections)
                    .acquire_timeout(ACQUIRE_TIMEOUT)
                    // One in use a moment ago is well; to ask each costs as much as a small read.
                    .test_before_acquire(false)
                    .before_acquire(|connection, meta| {
                        Box::pin(async move {
                            if meta.idle_for > TRUSTED_FOR {
                                connection.ping().await?;
                            }
                            Ok(true)
                        })
                    });
                Ok(Self::Postgres(Guarded {
                    connections: pool.connect_lazy_with(options),
                    breaker: Arc::clone(breaker),
                }))
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
        self.fetch(statement, limit, Ok).await
    }

    /// What is read of all rows of a statement, within the time.
    pub(crate) async fn fetch<T: Send + 'static>(
        &self,
        statement: &Statement,
        limit: Duration,
        read: impl FnOnce(Vec<Row>) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        match self {
            Self::Sqlite(pool) => in_time(limit, pool.fetch(statement, read)).await,
            Self::Postgres(pool) => {
                // In a box: it is large, and SQLite goes another way.
                let fetching = Box::pin(async {
                    let mut held = Watched::acquire(&pool.connections).await?;
                    let rows = postgres(statement).fetch_all(&mut *held.connection).await?;
                    held.release();
                    Ok(rows)
                });
                let rows = pool.guarded(in_time(limit, fetching)).await?;
                let rows = rows.into_iter().map(Row::Postgres).collect();
                in_time(limit, blocking(move || read(rows))).await
            }
        }
    }

    /// Begins a write. SQLite has one writer: it waits for its turn here and not halfway, where waiting could not end.
    pub(crate) async fn begin(&self) -> Result<Transaction, DatabaseError> {
        match self {
            Self::Sqlite(pool) => {
                let mut held = pool.acquire().await?;
                held.command("BEGIN IMMEDIATE").await?;
                Ok(Transaction::Sqlite(held))
            }
            Self::Postgres(pool) => {
                let begun = pool.guarded(async {
                    let mut held = Watched::acquire(&pool.connections).await?;
                    held.connection.execute("BEGIN").await?;
                    Ok(held)
                });
                Ok(Transaction::Postgres(begun.await?))
            }
        }
    }
}

impl Guarded {
    /// Does what is asked of the database, unless it is left alone.
    async fn guarded<T>(
        &self,
        work: impl Future<Output = Result<T, DatabaseError>>,
    ) -> Result<T, DatabaseError> {
        let pass = self
            .breaker
            .enter()
            .map_err(|refused| DatabaseError::LeftAlone(refused.retry_after))?;
        let result = work.await;
        match &result {
            Err(DatabaseError::Unreachable(_) | DatabaseError::Timeout(_)) => pass.failed(),
            // All connections are in use: which says nothing of who is at their other end.
            Err(DatabaseError::Busy(_)) => drop(pass),
            _ => pass.succeeded(),
        }
        result
    }
}

async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, DatabaseError>>,
) -> Result<T, DatabaseError> {
    let done = timeout(limit, work).await;
    done.unwrap_or(Err(DatabaseError::Timeout(limit)))
}

/// A connection to PostgreSQL in use. One that is not given back is closed: who has it next would wait for the end of a
/// statement that nobody waits for, and what was not committed is undone.
#[derive(Debug)]
pub(crate) struct Watched {
    connection: PoolConnection<Postgres>,
    is_released: bool,
}

impl Watched {
    async fn acquire(pool: &PgPool) -> Result<Self, DatabaseError> {
        match pool.acquire().await {
            Ok(connection) => Ok(Self {
                connection,
                is_released: false,
            }),
            // None could be had in time though none is open: none could be made.
            Err(error @ sqlx::Error::PoolTimedOut) if pool.size() == 0 => {
                Err(DatabaseError::Unreachable(error.into()))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn release(mut self) {
        self.is_released = true;
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.is_released {
            self.connection.close_on_drop();
        }
    }
}

/// A write under way; undone unless it is committed.
#[derive(Debug)]
pub(crate) enum Transaction {
    Sqlite(Held),
    Postgres(Watched),
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
            Self::Sqlite(held) => held.fetch_all(statement).await,
            Self::Postgres(all) => {
                let rows = postgres(statement).fetch_all(&mut *all.connection).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// Runs a statement; the number of rows that it changed.
    pub(crate) async fn execute(&mut self, statement: &Statement) -> Result<u64, DatabaseError> {
        match self {
            Self::Sqlite(held) => held.execute(statement).await,
            Self::Postgres(all) => Ok(postgres(statement)
                .execute(&mut *all.connection)
                .await?
                .rows_affected()),
        }
    }

    pub(crate) async fn commit(self) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite(mut held) => {
                held.command("COMMIT").await?;
                held.release();
            }
            Self::Postgres(mut all) => {
                all.connection.execute("COMMIT").await?;
                all.release();
            }
        }
        Ok(())
    }
}

/// The text is put together from fixed pieces alone: see [`Statement`].
fn postgres(statement: &Statement) -> Query<'_, Postgres, PgArguments> {
    let mut arguments = PgArguments::default();
    for value in statement.values() {
        // A value that cannot be bound makes the statement fail with a number missing, which is told.
        let _ = match value {
            Value::Int(value) => sqlx::Arguments::add(&mut arguments, *value),
            Value::Real(value) => sqlx::Arguments::add(&mut arguments, *value),
            Value::Bool(value) => sqlx::Arguments::add(&mut arguments, *value),
            Value::Text(value) => sqlx::Arguments::add(&mut arguments, value.clone()),
            Value::Texts(values) => sqlx::Arguments::add(&mut arguments, values.clone()),
            Value::Ints(values) => sqlx::Arguments::add(&mut arguments, values.clone()),
        };
    }
    // One without a name is planned when its values are there.
    query_with(AssertSqlSafe(statement.text().to_owned()), arguments)
        .persistent(!statement.is_planned_for_values())
}
