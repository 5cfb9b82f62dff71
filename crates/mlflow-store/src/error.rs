//! What can go wrong between us and MLflow's database, by meaning.

use std::time::Duration;

use calls::Failure;
use rusqlite::ErrorCode;

use crate::filter::Refusal;

/// A failed read or write. No variant holds a password.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The address of the database cannot be used; the text says what to change.
    #[error("MLFLOW_TRACKING_URI {0}")]
    Address(String),
    /// The database does not hold the thing asked for.
    #[error("{0}")]
    NotFound(String),
    /// The trace is there, its spans are not.
    #[error("the trace has no stored spans: {0}")]
    SpansNotFound(String),
    /// The request is wrong: a filter or a page token that cannot be read, for example.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// This is no database of an MLflow that we can read.
    #[error(
        "the database {found}; trace-server reads MLflow's schema from 2.14 to 3.17 (known to it: {known})"
    )]
    UnknownSchema {
        /// What it is instead.
        found: String,
        /// The revisions that are known.
        known: String,
    },
    /// Nothing may be written to this schema.
    #[error(
        "MLflow's database has schema revision {found} and is only read: trace-server writes to {known} alone. Run it on \
         the MLflow server's http address instead, or bring the database to that revision with MLflow's own `mlflow db upgrade`"
    )]
    ReadOnly {
        /// The revision that was found.
        found: String,
        /// The revisions that are written to.
        known: String,
    },
    /// Others hold the database, or all our connections to it are busy.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// The database cannot be reached.
    #[error("the database cannot be reached: {0}")]
    Unreachable(#[source] DriverError),
    /// No answer in time.
    #[error("the database did not answer within {0:?}")]
    Timeout(Duration),
    /// The database did not answer the last times: it was not asked.
    #[error("the database does not answer; it is asked again in {0:?}")]
    LeftAlone(Duration),
    /// The database failed.
    #[error("the database failed: {0}")]
    Failed(#[source] DriverError),
    /// A row does not hold what MLflow writes there.
    #[error("a row of {table} cannot be read: {reason}")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// What is wrong with it; never a part of its content.
        reason: String,
    },
    /// Artifacts cannot be reached from here.
    #[error("artifacts cannot be reached: {0}")]
    ArtifactsElsewhere(&'static str),
    /// What is kept outside of the database cannot be read or written.
    #[error("an artifact cannot be read or written: {0}")]
    Artifact(#[source] object_store::Error),
}

impl Failure for DatabaseError {
    fn kind(&self) -> &'static str {
        match self {
            Self::NotFound(_) | Self::SpansNotFound(_) => "not_found",
            Self::Refused(_) => "rejected",
            Self::ReadOnly { .. } => "denied",
            Self::Address(_) | Self::UnknownSchema { .. } | Self::ArtifactsElsewhere(_) => "absent",
            Self::Busy(_) => "no_connection",
            Self::Unreachable(_) => "unreachable",
            Self::Timeout(_) => "timeout",
            Self::LeftAlone(_) => "left_alone",
            Self::Failed(_) | Self::Artifact(_) => "failed",
            Self::Unreadable { .. } => "unreadable",
        }
    }
}

/// What the driver of a database says.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// That of SQLite.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// That of PostgreSQL.
    #[error(transparent)]
    Postgres(#[from] sqlx::Error),
}

impl DriverError {
    /// Whether it says that there is no such table, or that this is no database at all.
    pub(crate) fn is_of_another_schema(&self) -> bool {
        match self {
            Self::Sqlite(error) => match error.sqlite_error() {
                Some(error) => {
                    matches!(error.code, ErrorCode::Unknown | ErrorCode::NotADatabase)
                }
                None => false,
            },
            Self::Postgres(error) => {
                let code = error
                    .as_database_error()
                    .and_then(sqlx::error::DatabaseError::code);
                code.as_deref() == Some("42P01")
            }
        }
    }
}

impl DatabaseError {
    /// Whether the same may succeed later without anyone changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Busy(_) | Self::Unreachable(_) | Self::Timeout(_) | Self::LeftAlone(_)
        )
    }

    /// Whether it surely changed nothing. A write is one transaction; only of one whose end was not told it is not known
    /// whether it was done.
    pub fn surely_did_nothing(&self) -> bool {
        !matches!(self, Self::Unreachable(_) | Self::Timeout(_) | Self::Failed(_))
    }
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        if let rusqlite::Error::SqliteFailure(_, Some(message)) = &error
            && message.starts_with(BAD_PATTERN)
        {
            return Refusal::new(message).into();
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy(error.to_string()),
            Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) => Self::Unreachable(error.into()),
            _ => Self::Failed(error.into()),
        }
    }
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut => Self::Busy("no connection was free in time".to_owned()),
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed => {
                Self::Unreachable(error.into())
            }
            sqlx::Error::Database(database) => match database.code().as_deref() {
                // A failed serialisation, a deadlock, a lock not had in time, a statement cut off by its time.
                Some("40001" | "40P01" | "55P03" | "57014") => Self::Busy(database.message().to_owned()),
                // A regular expression that cannot be read.
                Some("2201B") => Refusal::new(format!("{BAD_PATTERN}: {}", database.message())).into(),
                // Values that cannot be what the statement takes them for.
                Some(code) if code.starts_with("22") => {
                    Refusal::new(format!("the database refuses a value: {}", database.message())).into()
                }
                // Too many connections, and shutdowns.
                Some("53300" | "57P01" | "57P02" | "57P03") => Self::Unreachable(error.into()),
                // Connection exceptions.
                Some(code) if code.starts_with("08") => Self::Unreachable(error.into()),
                _ => Self::Failed(error.into()),
            },
            _ => Self::Failed(error.into()),
        }
    }
}

/// How a refusal of a regular expression begins; it goes on with what is wrong with it.
pub(crate) const BAD_PATTERN: &str = "the pattern after RLIKE cannot be read";
