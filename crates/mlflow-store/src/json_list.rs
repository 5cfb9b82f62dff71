//! Rows as one JSON text: the database puts a list of them together, and it comes as one row with one column.
//!
//! What belongs to a row (tags, assessments, …) stands within it, so that one statement, with one view of the data, reads it
//! all, and nothing is put together here from rows that repeat each other.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

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
    /// The rows of a statement that gives one list, of which PostgreSQL has none where there are no rows. A row that cannot be
    /// read does not hide the others.
    pub(crate) async fn fetch_list<T: DeserializeOwned>(
        &self,
        statement: &Statement,
        table: &'static str,
    ) -> Result<Vec<Result<T, DatabaseError>>, DatabaseError> {
        let rows = self.fetch_all(statement).await?;
        let text = rows.first().map(|row| row.text(0)).transpose()?.flatten();
        text.map_or_else(|| Ok(Vec::new()), |text| read_each(&text, table))
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

/// At once, which all but always succeeds; else one by one.
fn read_each<T: DeserializeOwned>(
    text: &str,
    table: &'static str,
) -> Result<Vec<Result<T, DatabaseError>>, DatabaseError> {
    if let Ok(rows) = serde_json::from_str::<Vec<T>>(text) {
        return Ok(rows.into_iter().map(Ok).collect());
    }
    let rows: Vec<&RawValue> = read(text, table)?;
    Ok(rows.into_iter().map(|row| read(row.get(), table)).collect())
}

fn read<'a, T: Deserialize<'a>>(text: &'a str, table: &'static str) -> Result<T, DatabaseError> {
    serde_json::from_str(text).map_err(|error| DatabaseError::Unreadable {
        table,
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_cannot_be_read_does_not_hide_the_others() {
        let rows = read_each::<(String, i64)>(r#"[["a", 1], ["b", "two"], ["c", 3]]"#, "t").unwrap();
        assert_eq!(
            rows.iter().map(Result::is_ok).collect::<Vec<_>>(),
            [true, false, true]
        );
        assert_eq!(rows[2].as_ref().unwrap(), &("c".to_owned(), 3));
    }
}
