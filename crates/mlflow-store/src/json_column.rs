//! What belongs to a row (tags, assessments, …), as a column of it: the database puts it together as JSON, so that one statement,
//! with one view of the data, reads it all.

use serde::de::DeserializeOwned;

use crate::error::DatabaseError;
use crate::row::Row;
use crate::sql::Statement;

impl Statement {
    /// Begins a list of rows: the columns of one follow.
    pub(crate) fn begin_list(&mut self) -> &mut Self {
        self.pick("json_group_array(json_array(", "json_agg(json_build_array(")
    }

    /// Ends a list of rows in this order (` ORDER BY …`, or nothing: as they come).
    pub(crate) fn end_list(&mut self, order: &'static str) -> &mut Self {
        self.push(")").push(order).push(")")
    }

    /// Adds an object of the keys and values of some rows of a table `c`.
    pub(crate) fn object(&mut self) -> &mut Self {
        self.pick(
            "json_group_object(c.key, c.value)",
            "json_object_agg(c.key, c.value)::text",
        )
    }
}

/// A list of rows that is a column.
pub(crate) fn list<T: DeserializeOwned>(
    row: &Row,
    column: usize,
    table: &'static str,
) -> Result<Vec<T>, DatabaseError> {
    value(row, column, table).map(Option::unwrap_or_default)
}

/// A value that is a column, or nothing.
pub(crate) fn value<T: DeserializeOwned>(
    row: &Row,
    column: usize,
    table: &'static str,
) -> Result<Option<T>, DatabaseError> {
    let text = row.bytes(column)?;
    text.map(|text| serde_json::from_slice(&text).map_err(|error| unreadable(table, &error)))
        .transpose()
}

fn unreadable(table: &'static str, error: &serde_json::Error) -> DatabaseError {
    DatabaseError::Unreadable {
        table,
        reason: error.to_string(),
    }
}
