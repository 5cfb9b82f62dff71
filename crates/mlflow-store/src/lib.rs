//! MLflow's own database, read and written in place: SQLite, which MLflow makes by default, and PostgreSQL.
//!
//! [`MlflowStore`] offers what a client of an MLflow server offers, for the same tables and by the same rules, without the
//! server. A trace, a page, a run is one statement over one view of the data; texts of spans pass through as they are stored.
//!
//! - Schemas: read are those of MLflow 2.14 to 3.17, told by their columns (see `schema`). Written is to those alone whose
//!   writes were held against MLflow's own, row by row; to others nothing is written. Nobody's database is ever migrated.
//! - Others use the database at the same time: no read stays open while someone reads slowly, a write is one short
//!   transaction, the journal mode stays the owner's.
//! - Filters are parsed and compiled (`filter`) into statements of fixed pieces and bound values (`sql`): what a user wrote
//!   never becomes SQL.
//! - Writes leave what MLflow 3.17.2 leaves; one file for each family in `write`.

mod address;
mod artifacts;
mod assessment_row;
mod changes;
mod dialect;
#[cfg(feature = "doors")]
pub mod doors;
mod error;
mod experiments;
mod filter;
mod json_column;
mod page_token;
mod pool;
mod python_json;
mod row;
mod runs;
mod schema;
mod search;
mod shape;
mod spans;
mod sql;
mod sqlite;
mod trace_row;
mod traces;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use breaker::{Breaker, BreakerPolicy, BreakerReport};
use calls::Calls;
use secrecy::{ExposeSecret, SecretString};

pub use error::DatabaseError;
pub use filter::Refusal;
pub use spans::{StoredPieces, StoredSpans};

use address::Address;
use artifacts::Artifacts;
use dialect::Dialect;
use pool::{Pool, Purpose};
use row::Row;
use schema::{Schema, SeenSchema};
use sql::Statement;

/// Which database, and how it is used.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// `sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST[:PORT]/DATABASE`, as MLflow reads it.
    pub uri: SecretString,
    /// Connections that read, open at once.
    pub max_connections: u32,
    /// Time for one statement.
    pub statement_timeout: Duration,
    /// When a PostgreSQL that does not answer is left alone, and for how long.
    pub breaker: BreakerPolicy,
    /// The folder or bucket that `mlflow-artifacts:/` stands for: what the MLflow server has as `--artifacts-destination`.
    pub artifacts_destination: Option<String>,
}

/// MLflow's database. Clones are cheap and share everything.
#[derive(Debug, Clone)]
pub struct MlflowStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    address: Address,
    reading: Pool,
    writing: Pool,
    /// One connection that only looks for changes.
    watching: Pool,
    /// Before all of them.
    breaker: Arc<Breaker>,
    limit: Duration,
    schema: SeenSchema,
    artifacts: Artifacts,
    calls: Calls,
}

impl MlflowStore {
    /// Whether a tracking URI names a database, and not a server, a workspace or a folder.
    pub fn is_named_by(uri: &str) -> bool {
        Address::parse(uri).is_some()
    }

    /// Makes the store; connects when it is first asked.
    ///
    /// # Errors
    /// [`DatabaseError::Address`] for what cannot be used, such as a file that is not there.
    pub fn new(config: &DatabaseConfig) -> Result<Self, DatabaseError> {
        let address = Address::parse(config.uri.expose_secret())
            .unwrap_or_else(|| Err(DatabaseError::Address("names no database".to_owned())))?;
        if let Address::Sqlite(path) = &address
            && !path.is_file()
        {
            return Err(DatabaseError::Address(format!(
                "names a file that is not there: {}. Start MLflow once, which makes it, or correct the path",
                path.display()
            )));
        }
        let limit = config.statement_timeout;
        let breaker = Arc::new(Breaker::new(config.breaker));
        Ok(Self(Arc::new(Inner {
            reading: Pool::open(
                &address,
                Purpose::Reading(config.max_connections),
                limit,
                &breaker,
            )?,
            writing: Pool::open(&address, Purpose::Writing, limit, &breaker)?,
            watching: Pool::open(&address, Purpose::Reading(1), limit, &breaker)?,
            calls: Calls::to(address.peer()),
            breaker,
            address,
            limit,
            schema: SeenSchema::default(),
            artifacts: Artifacts::new(config.artifacts_destination.clone()),
        })))
    }

    /// Where the database is; no password in it.
    pub fn address(&self) -> String {
        self.0.address.to_string()
    }

    /// The file, where the database is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.0.address {
            Address::Sqlite(path) => Some(path),
            Address::Postgres(_) => None,
        }
    }

    /// What was found there, in a few words: the schema's revision, the MLflow release that has it, whether it is written
    /// to.
    ///
    /// # Errors
    /// [`DatabaseError::UnknownSchema`] when it is no database of an MLflow that is read.
    pub async fn describe(&self) -> Result<String, DatabaseError> {
        let schema = self.schema().await?;
        let release = schema.release().map_or_else(
            || "no MLflow release that is known".to_owned(),
            |release| format!("MLflow {release}"),
        );
        let use_of_it = match schema.check_writable() {
            Ok(()) => "read and written",
            Err(_) => "only read",
        };
        Ok(format!("schema {} ({release}), {use_of_it}", schema.revision))
    }

    /// Whether calls of the database go through; `None` for a file, which is never left alone.
    pub fn breaker(&self) -> Option<BreakerReport> {
        match self.0.address {
            Address::Sqlite(_) => None,
            Address::Postgres(_) => Some(self.0.breaker.report()),
        }
    }

    /// What is counted of calls: of those that are made by it.
    pub fn calls(&self) -> &Calls {
        &self.0.calls
    }

    fn dialect(&self) -> Dialect {
        self.0.reading.dialect()
    }

    fn artifacts(&self) -> &Artifacts {
        &self.0.artifacts
    }

    async fn schema(&self) -> Result<Arc<Schema>, DatabaseError> {
        self.0.schema.get(&self.0.reading, self.0.limit).await
    }

    /// The rows of a statement, read where they are fetched: for SQLite, on a thread that may block.
    async fn fetch<T: Send + 'static>(
        &self,
        statement: &Statement,
        read: impl FnOnce(Vec<Row>) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        self.0.reading.fetch(statement, self.0.limit, read).await
    }
}
