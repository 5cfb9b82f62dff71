//! What can go wrong with the store, by meaning.

use sqlx::migrate::MigrateError;

/// A failure of the store. No text holds a password, and none a value that a user sent.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address of the database cannot be used.
    #[error("DATABASE_URL {0}")]
    Address(&'static str),
    /// The database cannot be reached, has no free connection, or is locked: the same may work later.
    #[error("the database is not available: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The schema cannot be brought to this version.
    #[error("the database's schema cannot be brought to this version: {0}")]
    Migration(#[source] MigrateError),
    /// The database did not answer in time.
    #[error("the database did not answer within {0:?}")]
    Silent(std::time::Duration),
    /// A row is not what we wrote.
    #[error("a row of {table} cannot be read: {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What is wrong, without the row's values.
        reason: String,
    },
    /// A page token that no page of ours gave.
    #[error("the page token cannot be read")]
    PageToken,
    /// The database refused a statement: a fault of ours, or of the schema.
    #[error("the database failed: {0}")]
    Failed(#[source] sqlx::Error),
}

impl StoreError {
    /// Whether the same may work later without anyone changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Silent(_))
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) => error.into(),
            error => Self::Migration(error),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if is_transient(&error) {
            Self::Unavailable(error)
        } else {
            Self::Failed(error)
        }
    }
}

fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_transient_code(&code)),
        _ => false,
    }
}

/// SQLite: busy (5) and locked (6), with their extended codes. PostgreSQL: classes 08 (connection), 40 (rolled back),
/// 53 (no resources), 57 (stopped by an operator).
fn is_transient_code(code: &str) -> bool {
    match code.parse::<u32>() {
        Ok(number) if code.len() < 5 => matches!(number & 0xff, 5 | 6),
        _ => ["08", "40", "53", "57"]
            .iter()
            .any(|class| code.starts_with(class)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_are_told_apart() {
        for code in [
            "5", "6", "261", "517", "40P01", "40001", "08006", "53300", "57P01",
        ] {
            assert!(is_transient_code(code), "{code}");
        }
        for code in ["1", "19", "2067", "23505", "42601", "22021"] {
            assert!(!is_transient_code(code), "{code}");
        }
    }
}
