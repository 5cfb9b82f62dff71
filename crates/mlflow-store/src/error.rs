//! What can go wrong between us and MLflow's database, by meaning.

use std::time::Duration;

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
    /// The request is right, but things do not stand so that it can be done.
    #[error("{0}")]
    Conflict(String),
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
    Unreachable(#[source] sqlx::Error),
    /// No answer in time.
    #[error("the database did not answer within {0:?}")]
    Timeout(Duration),
    /// The database failed.
    #[error("the database failed: {0}")]
    Failed(#[source] sqlx::Error),
    /// A row does not hold what MLflow writes there.
    #[error("a row of {table} cannot be read: {reason}")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// What is wrong with it; never a part of its content.
        reason: String,
    },
    /// Spans that are kept outside of the database cannot be read.
    #[error("the trace's artifact cannot be read: {0}")]
    Artifact(#[source] object_store::Error),
}

impl DatabaseError {
    /// Whether the same may succeed later without anyone changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Unreachable(_) | Self::Timeout(_))
    }

    /// Whether it surely changed nothing. A write is one transaction; only of one whose end was not told it is not known
    /// whether it was done.
    pub fn surely_did_nothing(&self) -> bool {
        !matches!(self, Self::Unreachable(_) | Self::Timeout(_) | Self::Failed(_))
    }
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut => Self::Busy("no connection was free in time".to_owned()),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Unreachable(error),
            sqlx::Error::Database(database) => match database.code().as_deref() {
                // SQLite's BUSY and LOCKED with their extended codes; PostgreSQL's failed serialisation and deadlock.
                Some("5" | "6" | "261" | "262" | "517" | "773" | "40001" | "40P01") => {
                    Self::Busy(database.message().to_owned())
                }
                // What sqlx's regular expressions for SQLite, and PostgreSQL's own, say of a pattern they cannot read.
                Some("1043" | "2201B") => Self::Refused(Refusal::new(
                    "the pattern after RLIKE is no regular expression that the database can read",
                )),
                // SQLite's CANTOPEN; PostgreSQL's connection exceptions and shutdowns.
                Some("14" | "53300" | "57P01" | "57P02" | "57P03") => Self::Unreachable(error),
                Some(code) if code.starts_with("08") => Self::Unreachable(error),
                _ => Self::Failed(error),
            },
            _ => Self::Failed(error),
        }
    }
}
