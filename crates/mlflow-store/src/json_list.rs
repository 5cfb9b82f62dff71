//! Rows as one JSON text: the database puts a list of them together, and it comes as one row with one column.
//!
//! A row costs a hand-over between the thread that reads SQLite and the task that waits, which is more than the work on it;
//! and what belongs to a row (tags, assessments, …) stands within it, so that one statement, with one view of the data,
//! reads it all.

use serde::de::DeserializeOwned;

use crate::MlflowStore;
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

    /// Adds, as a column of a row, what a scalar query finds: a list or an object of its own.
    pub(crate) fn nest(&mut self, query: impl FnOnce(&mut Self)) -> &mut Self {
        // SQLite takes the result of a query for a text unless told that it is JSON.
        self.pick("json((", "((");
        query(self);
        self.push("))")
    }

    /// Adds an object of the keys and values of some rows of a table `c`.
    pub(crate) fn object(&mut self) -> &mut Self {
        self.pick(
            "json_group_object(c.key, c.value)",
            "json_object_agg(c.key, c.value)",
        )
    }
}

impl MlflowStore {
    /// The rows of a statement that gives one list, of which PostgreSQL has none where there are no rows.
    pub(crate) async fn fetch_list<T: DeserializeOwned>(
        &self,
        statement: &Statement,
        table: &'static str,
    ) -> Result<Vec<T>, DatabaseError> {
        let rows = self.fetch_all(statement).await?;
        let text = rows.first().map(|row| row.text(0)).transpose()?.flatten();
        text.map_or_else(|| Ok(Vec::new()), |text| read(&text, table))
    }
}

/// A list of rows that is a column.
pub(crate) fn list<T: DeserializeOwned>(
    row: &Row,
    column: usize,
    table: &'static str,
) -> Result<Vec<T>, DatabaseError> {
    let text = row.text(column)?;
    text.map_or_else(|| Ok(Vec::new()), |text| read(&text, table))
}

fn read<T: DeserializeOwned>(text: &str, table: &'static str) -> Result<Vec<T>, DatabaseError> {
    serde_json::from_str(text).map_err(|error| DatabaseError::Unreadable {
        table,
        reason: error.to_string(),
    })
}
