//! One row, of whichever database.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row as _, Type};

use crate::error::DatabaseError;

/// A row whose columns are read by their place.
#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// A text, or nothing.
    pub(crate) fn text(&self, column: usize) -> Result<Option<String>, DatabaseError> {
        self.get(column)
    }

    /// A text that is always there.
    pub(crate) fn needed_text(&self, column: usize) -> Result<String, DatabaseError> {
        self.text(column)?.ok_or_else(|| missing(column))
    }

    /// A whole number, or nothing.
    pub(crate) fn int(&self, column: usize) -> Result<Option<i64>, DatabaseError> {
        match self {
            Self::Sqlite(row) => Ok(row.try_get(column)?),
            // PostgreSQL tells narrow integers from wide ones.
            Self::Postgres(row) => match row.try_get(column) {
                Ok(wide) => Ok(wide),
                Err(_) => Ok(row.try_get::<Option<i32>, _>(column)?.map(i64::from)),
            },
        }
    }

    /// A whole number that is always there.
    pub(crate) fn needed_int(&self, column: usize) -> Result<i64, DatabaseError> {
        self.int(column)?.ok_or_else(|| missing(column))
    }

    /// A number, or nothing.
    pub(crate) fn real(&self, column: usize) -> Result<Option<f64>, DatabaseError> {
        self.get(column)
    }

    fn get<T>(&self, column: usize) -> Result<Option<T>, DatabaseError>
    where
        T: for<'r> Decode<'r, sqlx::Sqlite> + Type<sqlx::Sqlite>,
        T: for<'r> Decode<'r, sqlx::Postgres> + Type<sqlx::Postgres>,
    {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }
}

fn missing(column: usize) -> DatabaseError {
    DatabaseError::Unreadable {
        table: "MLflow's database",
        reason: format!("column {column} of a row is empty"),
    }
}
