//! One row, of whichever database.

use bytes::Bytes;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::error::DatabaseError;
use crate::sqlite::Cell;

/// A row whose columns are read by their place.
#[derive(Debug)]
pub(crate) enum Row {
    Sqlite(Vec<Cell>),
    Postgres(PgRow),
}

impl Row {
    /// A text, or nothing.
    pub(crate) fn text(&self, column: usize) -> Result<Option<String>, DatabaseError> {
        let Some(bytes) = self.bytes(column)? else {
            return Ok(None);
        };
        String::from_utf8(bytes.into())
            .map(Some)
            .map_err(|_| unreadable(column, "is no UTF-8"))
    }

    /// A text that is always there.
    pub(crate) fn needed_text(&self, column: usize) -> Result<String, DatabaseError> {
        self.text(column)?.ok_or_else(|| unreadable(column, "is empty"))
    }

    /// The bytes of a text, not looked at, or nothing.
    pub(crate) fn bytes(&self, column: usize) -> Result<Option<Bytes>, DatabaseError> {
        match self {
            Self::Sqlite(cells) => match cells.get(column) {
                Some(Cell::Text(text)) => Ok(Some(text.clone())),
                Some(Cell::Null) => Ok(None),
                // SQLite takes a number where a text is declared.
                Some(Cell::Int(number)) => Ok(Some(number.to_string().into())),
                Some(Cell::Real(number)) => Ok(Some(number.to_string().into())),
                None => Err(unreadable(column, "is not there")),
            },
            // Unchecked: a text is its bytes, and to look at them is for those who need to.
            Self::Postgres(row) => {
                let bytes: Option<Vec<u8>> = row.try_get_unchecked(column)?;
                Ok(bytes.map(Bytes::from))
            }
        }
    }

    /// The bytes of a text that is always there.
    pub(crate) fn needed_bytes(&self, column: usize) -> Result<Bytes, DatabaseError> {
        self.bytes(column)?.ok_or_else(|| unreadable(column, "is empty"))
    }

    /// A whole number, or nothing.
    pub(crate) fn int(&self, column: usize) -> Result<Option<i64>, DatabaseError> {
        match self {
            Self::Sqlite(cells) => match cells.get(column) {
                Some(Cell::Int(number)) => Ok(Some(*number)),
                Some(Cell::Null) => Ok(None),
                _ => Err(unreadable(column, "is no whole number")),
            },
            // PostgreSQL tells narrow integers from wide ones.
            Self::Postgres(row) => match row.try_get(column) {
                Ok(wide) => Ok(wide),
                Err(_) => Ok(row.try_get::<Option<i32>, _>(column)?.map(i64::from)),
            },
        }
    }

    /// A number, or nothing.
    pub(crate) fn real(&self, column: usize) -> Result<Option<f64>, DatabaseError> {
        match self {
            Self::Sqlite(cells) => match cells.get(column) {
                Some(Cell::Real(number)) => Ok(Some(*number)),
                #[expect(clippy::cast_precision_loss, reason = "as SQLite itself makes a double of it")]
                Some(Cell::Int(number)) => Ok(Some(*number as f64)),
                Some(Cell::Null) => Ok(None),
                _ => Err(unreadable(column, "is no number")),
            },
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    /// A whole number that is always there.
    pub(crate) fn needed_int(&self, column: usize) -> Result<i64, DatabaseError> {
        self.int(column)?.ok_or_else(|| unreadable(column, "is empty"))
    }
}

fn unreadable(column: usize, what: &str) -> DatabaseError {
    DatabaseError::Unreadable {
        table: "MLflow's database",
        reason: format!("column {column} {what}"),
    }
}
