//! A trace's row with its tags, metadata and assessments beside it, as one statement reads them, and back.
//!
//! The children come as one JSON text each: a page of traces is one statement, so one view of the data, and one row a
//! trace.

use std::collections::BTreeMap;

use domain::{Timestamp, TraceInfo, TraceLocation, TraceState};

use crate::assessment_row::{self, AssessmentRow};
use crate::error::DatabaseError;
use crate::python_json;
use crate::row::Row;
use crate::shape::SchemaShape;
use crate::sql::Statement;

const TRACE_NAME: &str = "mlflow.traceName";
const SESSION: &str = "mlflow.trace.session";
const TOKEN_USAGE: &str = "mlflow.trace.tokenUsage";
const COST: &str = "mlflow.trace.cost";

/// Token counts, in the order in which MLflow writes them.
const TOKENS: [&str; 6] = [
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation_input_tokens_above_1hr",
];
const COSTS: [&str; 3] = ["input_cost", "output_cost", "total_cost"];

/// Pushes what of `trace_info t` is read, without its children: the columns of the inner select.
pub(crate) fn push_own(statement: &mut Statement, shape: SchemaShape) {
    statement.push("t.request_id, t.experiment_id, t.timestamp_ms, t.execution_time_ms, t.status");
    statement.push(if shape.has_v3_columns {
        ", t.client_request_id, t.request_preview, t.response_preview"
    } else {
        ", NULL AS client_request_id, NULL AS request_preview, NULL AS response_preview"
    });
    if shape.has_promoted_columns {
        statement.push(
            ", t.trace_name, t.session_id, t.input_tokens, t.output_tokens, t.total_tokens, t.cache_read_input_tokens,
             t.cache_creation_input_tokens, t.cache_creation_input_tokens_above_1hr,
             t.input_cost, t.output_cost, t.total_cost",
        );
    }
}

/// Pushes what is read of `page`, rows of [`push_own`], with the children of each.
pub(crate) fn push_with_children(statement: &mut Statement, shape: SchemaShape) {
    statement.push(statement.dialect().pick(
        "SELECT (SELECT json_group_object(c.key, c.value) FROM trace_tags c WHERE c.request_id = page.request_id),
         (SELECT json_group_object(c.key, c.value) FROM trace_request_metadata c WHERE c.request_id = page.request_id), ",
        "SELECT (SELECT json_object_agg(c.key, c.value)::text FROM trace_tags c WHERE c.request_id = page.request_id),
         (SELECT json_object_agg(c.key, c.value)::text FROM trace_request_metadata c
          WHERE c.request_id = page.request_id), ",
    ));
    if shape.has_assessments {
        assessment_row::push_list(statement);
    } else {
        statement.push("NULL");
    }
    statement.push(", page.* FROM ");
}

/// The places of the columns: children first, because how many follow depends on the schema.
mod place {
    pub(super) const TAGS: usize = 0;
    pub(super) const METADATA: usize = 1;
    pub(super) const ASSESSMENTS: usize = 2;
    pub(super) const REQUEST_ID: usize = 3;
    pub(super) const EXPERIMENT_ID: usize = 4;
    pub(super) const TIMESTAMP_MS: usize = 5;
    pub(super) const EXECUTION_TIME_MS: usize = 6;
    pub(super) const STATUS: usize = 7;
    pub(super) const CLIENT_REQUEST_ID: usize = 8;
    pub(super) const REQUEST_PREVIEW: usize = 9;
    pub(super) const RESPONSE_PREVIEW: usize = 10;
    pub(super) const TRACE_NAME: usize = 11;
    pub(super) const SESSION_ID: usize = 12;
    pub(super) const TOKENS: usize = 13;
    pub(super) const COSTS: usize = 19;
}

/// Reads a row of [`push_with_children`].
pub(crate) fn read(row: &Row, shape: SchemaShape) -> Result<TraceInfo, DatabaseError> {
    let trace_id = row.needed_text(place::REQUEST_ID)?;
    let experiment_id = row.needed_int(place::EXPERIMENT_ID)?.to_string();
    let mut tags = texts(row, place::TAGS)?;
    let mut trace_metadata = texts(row, place::METADATA)?;
    if shape.has_promoted_columns {
        restore_promoted(row, &mut tags, &mut trace_metadata)?;
    }
    let assessments: Vec<AssessmentRow> = match row.text(place::ASSESSMENTS)? {
        Some(list) => serde_json::from_str(&list).map_err(|error| unreadable(&error))?,
        None => Vec::new(),
    };
    let mut info = TraceInfo {
        trace_id: trace_id.parse().map_err(|error| unreadable(&error))?,
        client_request_id: row.text(place::CLIENT_REQUEST_ID)?,
        trace_location: TraceLocation::experiment(experiment_id.parse().map_err(|error| unreadable(&error))?),
        request_time: Timestamp::from_unix_ms(row.needed_int(place::TIMESTAMP_MS)?),
        execution_duration: None,
        execution_duration_ms: None,
        state: state(&row.needed_text(place::STATUS)?),
        trace_metadata,
        tags,
        assessments: assessments
            .into_iter()
            .map(AssessmentRow::into_assessment)
            .collect::<Result<_, _>>()?,
        request_preview: row.text(place::REQUEST_PREVIEW)?,
        response_preview: row.text(place::RESPONSE_PREVIEW)?,
    };
    let duration = row.int(place::EXECUTION_TIME_MS)?;
    info.set_execution_duration_ms(duration.and_then(|ms| u64::try_from(ms).ok()));
    Ok(info)
}

/// Puts back what MLflow moved from tags and metadata into columns (revision `75868b020152`), as its own API does; a row
/// that stayed behind under such a key does not count.
fn restore_promoted(
    row: &Row,
    tags: &mut BTreeMap<String, String>,
    metadata: &mut BTreeMap<String, String>,
) -> Result<(), DatabaseError> {
    let set = |map: &mut BTreeMap<String, String>, key: &str, value: Option<String>| match value {
        Some(value) => map.insert(key.to_owned(), value),
        None => map.remove(key),
    };
    set(tags, TRACE_NAME, row.text(place::TRACE_NAME)?);
    set(metadata, SESSION, row.text(place::SESSION_ID)?);
    let mut tokens = Vec::new();
    for (offset, name) in TOKENS.into_iter().enumerate() {
        if let Some(count) = row.int(place::TOKENS + offset)? {
            tokens.push(format!("\"{name}\": {count}"));
        }
    }
    let mut costs = Vec::new();
    for (offset, name) in COSTS.into_iter().enumerate() {
        if let Some(cost) = row.real(place::COSTS + offset)? {
            costs.push(format!("\"{name}\": {}", python_json::float(cost)));
        }
    }
    let object = |members: Vec<String>| (!members.is_empty()).then(|| format!("{{{}}}", members.join(", ")));
    set(metadata, TOKEN_USAGE, object(tokens));
    set(metadata, COST, object(costs));
    Ok(())
}

/// MLflow 2 writes `TRACE_STATUS_UNSPECIFIED`; whatever we do not know is unspecified.
fn state(status: &str) -> TraceState {
    serde_json::from_value(serde_json::Value::from(status)).unwrap_or(TraceState::StateUnspecified)
}

fn texts(row: &Row, column: usize) -> Result<BTreeMap<String, String>, DatabaseError> {
    let Some(object) = row.text(column)? else {
        return Ok(BTreeMap::new());
    };
    let read: BTreeMap<String, Option<String>> =
        serde_json::from_str(&object).map_err(|error| unreadable(&error))?;
    Ok(read
        .into_iter()
        .map(|(key, value)| (key, value.unwrap_or_default()))
        .collect())
}

fn unreadable(error: &dyn std::error::Error) -> DatabaseError {
    DatabaseError::Unreadable {
        table: "trace_info",
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    #[test]
    fn a_state_that_is_not_known_is_unspecified() {
        assert_eq!(state("IN_PROGRESS"), TraceState::InProgress);
        assert_eq!(state("TRACE_STATUS_UNSPECIFIED"), TraceState::StateUnspecified);
    }

    #[test]
    fn the_columns_stand_where_they_are_read() {
        let mut statement = Statement::new(Dialect::Sqlite, "");
        push_own(&mut statement, SchemaShape::NEWEST);
        let columns: Vec<_> = statement
            .text()
            .split(',')
            .map(|column| column.trim().trim_start_matches("t."))
            .collect();
        for (place, column) in [
            (place::REQUEST_ID, "request_id"),
            (place::STATUS, "status"),
            (place::RESPONSE_PREVIEW, "response_preview"),
            (place::TRACE_NAME, "trace_name"),
            (place::TOKENS, TOKENS[0]),
            (place::COSTS - 1, TOKENS[5]),
            (place::COSTS, COSTS[0]),
        ] {
            assert_eq!(columns[place - place::REQUEST_ID], column);
        }
        assert_eq!(columns.len(), place::COSTS + COSTS.len() - place::REQUEST_ID);
    }
}
