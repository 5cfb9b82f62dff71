//! A row of `trace_info` with the trace's tags, metadata and assessments in it, as a statement asks for it, and understood.

use std::collections::BTreeMap;

use crate::assessment_row::{self, AssessmentRow};
use crate::error::DatabaseError;
use crate::json_column;
use crate::python_json;
use crate::row::Row;
use crate::shape::SchemaShape;
use crate::sql::Statement;
use domain::{Assessment, Timestamp, TraceInfo, TraceLocation, TraceState};

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

/// Pushes the columns of `trace_info t` that are read: what is found is called `page`.
pub(crate) fn push_own(statement: &mut Statement, shape: SchemaShape) {
    statement.push("t.request_id, t.experiment_id, t.timestamp_ms, t.execution_time_ms, t.status");
    if shape.has_v3_columns {
        statement.push(", t.client_request_id, t.request_preview, t.response_preview");
    }
    if shape.has_promoted_columns {
        statement.push(
            ", t.trace_name, t.session_id, t.input_tokens, t.output_tokens, t.total_tokens, t.cache_read_input_tokens,
             t.cache_creation_input_tokens, t.cache_creation_input_tokens_above_1hr,
             t.input_cost, t.output_cost, t.total_cost",
        );
    }
}

/// Pushes the columns of a trace, up to `FROM`: rows `page` follow, with the columns of [`push_own`]. What belongs to a trace
/// comes as JSON: its tags and its metadata as an object, its assessments as a list.
pub(crate) fn push_columns(statement: &mut Statement, shape: SchemaShape) {
    statement.push("(SELECT ").object();
    statement.push(" FROM trace_tags c WHERE c.request_id = page.request_id), (SELECT ");
    statement.object();
    statement.push(" FROM trace_request_metadata c WHERE c.request_id = page.request_id), ");
    if shape.has_assessments {
        statement.push("(");
        assessment_row::push_list(statement);
        statement.push(")");
    } else {
        statement.push("NULL");
    }
    statement.push(", page.* FROM ");
}

/// Reads a row of [`push_columns`].
pub(crate) fn read(row: &Row, shape: SchemaShape) -> Result<TraceInfo, DatabaseError> {
    let (mut tags, mut trace_metadata) = (texts(row, 0)?, texts(row, 1)?);
    let mut columns = 3..;
    let mut next = || columns.next().unwrap_or_default();
    let trace_id = row.needed_text(next())?;
    let experiment_id = row.needed_int(next())?.to_string();
    let timestamp_ms = row.needed_int(next())?;
    let execution_time_ms = row.int(next())?;
    let status = row.needed_text(next())?;
    let [client_request_id, request_preview, response_preview] = if shape.has_v3_columns {
        [row.text(next())?, row.text(next())?, row.text(next())?]
    } else {
        [None, None, None]
    };
    if shape.has_promoted_columns {
        // MLflow moved these from tags and metadata into columns (revision 75868b020152), and its API tells them from there:
        // a row that stayed behind under such a key does not count.
        set(&mut tags, TRACE_NAME, row.text(next())?);
        set(&mut trace_metadata, SESSION, row.text(next())?);
        let tokens = TOKENS.map(|name| Ok((name, row.int(next())?.map(|count| count.to_string()))));
        set(&mut trace_metadata, TOKEN_USAGE, object(tokens)?);
        let costs = COSTS.map(|name| Ok((name, row.real(next())?.map(python_json::float))));
        set(&mut trace_metadata, COST, object(costs)?);
    }
    let mut assessments: Vec<AssessmentRow> = json_column::list(row, 2, "assessments")?;
    // Sorted here: the database would set up a sorter for each trace.
    assessments.sort_unstable_by(|a, b| a.place().cmp(&b.place()));
    let mut info = TraceInfo {
        trace_id: trace_id.parse().map_err(|error| unreadable(&error))?,
        client_request_id,
        trace_location: TraceLocation::experiment(experiment_id.parse().map_err(|error| unreadable(&error))?),
        request_time: Timestamp::from_unix_ms(timestamp_ms),
        execution_duration: None,
        execution_duration_ms: None,
        state: state(&status),
        trace_metadata,
        tags,
        assessments: assessments.into_iter().filter_map(told).collect(),
        request_preview,
        response_preview,
    };
    info.set_execution_duration_ms(execution_time_ms.and_then(|ms| u64::try_from(ms).ok()));
    Ok(info)
}

/// An assessment that cannot be read is told in the log and does not hide its trace.
fn told(assessment: AssessmentRow) -> Option<Assessment> {
    let told = |error: &DatabaseError| tracing::warn!(%error, "an assessment is left out of its trace");
    assessment.into_assessment().inspect_err(told).ok()
}

/// An object of texts; MLflow has empty ones where there is none.
fn texts(row: &Row, column: usize) -> Result<BTreeMap<String, String>, DatabaseError> {
    let object: Option<BTreeMap<String, Option<String>>> = json_column::value(row, column, "trace_info")?;
    let members = object.unwrap_or_default().into_iter();
    Ok(members
        .map(|(key, value)| (key, value.unwrap_or_default()))
        .collect())
}

fn set(map: &mut BTreeMap<String, String>, key: &str, value: Option<String>) {
    match value {
        Some(value) => map.insert(key.to_owned(), value),
        None => map.remove(key),
    };
}

/// Numbers by name. Spelled as Python spells it: MLflow's API does, and filters compare the text.
fn object<const COUNT: usize>(
    members: [Result<(&str, Option<String>), DatabaseError>; COUNT],
) -> Result<Option<String>, DatabaseError> {
    let mut written = Vec::with_capacity(COUNT);
    for member in members {
        if let (name, Some(number)) = member? {
            written.push(format!("\"{name}\": {number}"));
        }
    }
    Ok((!written.is_empty()).then(|| format!("{{{}}}", written.join(", "))))
}

/// MLflow 2 writes `TRACE_STATUS_UNSPECIFIED`; whatever we do not know is unspecified.
fn state(status: &str) -> TraceState {
    serde_json::from_value(serde_json::Value::from(status)).unwrap_or(TraceState::StateUnspecified)
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
    use crate::sqlite::Cell;
    use serde_json::{Value, json};

    #[test]
    fn a_state_that_is_not_known_is_unspecified() {
        assert_eq!(state("IN_PROGRESS"), TraceState::InProgress);
        assert_eq!(state("TRACE_STATUS_UNSPECIFIED"), TraceState::StateUnspecified);
    }

    /// A row as SQLite gives it.
    fn row(cells: &[Value]) -> Row {
        let cell = |value: &Value| match value {
            Value::Number(number) if number.is_i64() => Cell::Int(number.as_i64().unwrap()),
            Value::Number(number) => Cell::Real(number.as_f64().unwrap()),
            Value::String(text) => Cell::Text(text.clone().into()),
            _ => Cell::Null,
        };
        Row::Sqlite(cells.iter().map(cell).collect())
    }

    #[test]
    fn what_was_moved_into_columns_is_told_where_it_was() {
        let tags = json!({"team": "care", "mlflow.traceName": "old", "empty": null}).to_string();
        let metadata = json!({"mlflow.trace.cost": "old"}).to_string();
        let row = json!([
            tags,
            metadata,
            null,
            "tr-1",
            3,
            1_795_457_376_829_i64,
            45,
            "OK",
            null,
            "asked",
            null,
            "agent",
            "s-1",
            12,
            3,
            15,
            null,
            null,
            null,
            0.1,
            null,
            1e-05
        ]);
        let info = read(&self::row(row.as_array().unwrap()), SchemaShape::NEWEST).unwrap();
        let texts = |map: &BTreeMap<String, String>| serde_json::to_value(map).unwrap();
        assert_eq!(
            texts(&info.tags),
            json!({"empty": "", "mlflow.traceName": "agent", "team": "care"})
        );
        assert_eq!(
            texts(&info.trace_metadata),
            json!({
                "mlflow.trace.session": "s-1",
                "mlflow.trace.tokenUsage": r#"{"input_tokens": 12, "output_tokens": 3, "total_tokens": 15}"#,
                "mlflow.trace.cost": r#"{"input_cost": 0.1, "total_cost": 1e-05}"#,
            })
        );
        assert_eq!(info.execution_duration.as_deref(), Some("0.045s"));
        assert_eq!(info.request_preview.as_deref(), Some("asked"));
    }

    #[test]
    fn before_that_they_are_what_they_are() {
        let tags = json!({"mlflow.traceName": "agent"}).to_string();
        let row = json!([tags, null, null, "tr-1", 3, 0, null, "OK"]);
        let info = read(&self::row(row.as_array().unwrap()), SchemaShape::OLDEST).unwrap();
        assert_eq!(info.tags["mlflow.traceName"], "agent");
    }
}
