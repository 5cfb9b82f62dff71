//! A row of `trace_info` with the trace's tags, metadata and assessments in it, as a statement asks for it, and understood.

use std::collections::BTreeMap;

use domain::{Assessment, Timestamp, TraceInfo, TraceLocation, TraceState};
use serde::Deserialize;

use crate::assessment_row::{self, AssessmentRow};
use crate::error::DatabaseError;
use crate::python_json;
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

/// Pushes a list of [`TraceRow`], of rows `page` that follow and have the columns of [`push_own`].
pub(crate) fn push_list(statement: &mut Statement, shape: SchemaShape) {
    statement.begin_list();
    statement.push(
        "page.request_id, page.experiment_id, page.timestamp_ms, page.execution_time_ms, page.status, ",
    );
    statement.nest(|statement| {
        statement.push("SELECT ").object();
        statement.push(" FROM trace_tags c WHERE c.request_id = page.request_id");
    });
    statement.push(", ").nest(|statement| {
        statement.push("SELECT ").object();
        statement.push(" FROM trace_request_metadata c WHERE c.request_id = page.request_id");
    });
    if shape.has_assessments {
        statement.push(", ").nest(assessment_row::push_list);
    } else {
        statement.push(", NULL");
    }
    statement.push(if shape.has_v3_columns {
        ", page.client_request_id, page.request_preview, page.response_preview"
    } else {
        ", NULL, NULL, NULL"
    });
    if shape.has_promoted_columns {
        statement
            .push(", page.trace_name, page.session_id, ")
            .pick("json_array(", "json_build_array(");
        statement.push(
            "page.input_tokens, page.output_tokens, page.total_tokens, page.cache_read_input_tokens,
             page.cache_creation_input_tokens, page.cache_creation_input_tokens_above_1hr), ",
        );
        // As text: in JSON, SQLite writes a double with fewer digits than it has. It writes a NULL as 0.
        statement.pick(
            "json_array(CASE WHEN page.input_cost IS NOT NULL THEN printf('%!.17g', page.input_cost) END,
             CASE WHEN page.output_cost IS NOT NULL THEN printf('%!.17g', page.output_cost) END,
             CASE WHEN page.total_cost IS NOT NULL THEN printf('%!.17g', page.total_cost) END)",
            "json_build_array(page.input_cost::text, page.output_cost::text, page.total_cost::text)",
        );
    } else {
        statement.push(", NULL, NULL, NULL, NULL");
    }
    statement.end_list("").pick(" FROM ", "::text FROM ");
}

/// A trace, as the list of [`push_list`] has it.
#[derive(Debug, Deserialize)]
pub(crate) struct TraceRow {
    request_id: String,
    experiment_id: i64,
    timestamp_ms: i64,
    execution_time_ms: Option<i64>,
    status: String,
    tags: Option<BTreeMap<String, Option<String>>>,
    metadata: Option<BTreeMap<String, Option<String>>>,
    assessments: Option<Vec<AssessmentRow>>,
    client_request_id: Option<String>,
    request_preview: Option<String>,
    response_preview: Option<String>,
    trace_name: Option<String>,
    session_id: Option<String>,
    tokens: Option<[Option<i64>; TOKENS.len()]>,
    costs: Option<[Option<String>; COSTS.len()]>,
}

impl TraceRow {
    pub(crate) fn into_info(self, shape: SchemaShape) -> Result<TraceInfo, DatabaseError> {
        let (mut tags, mut trace_metadata) = (texts(self.tags), texts(self.metadata));
        if shape.has_promoted_columns {
            // MLflow moved these from tags and metadata into columns (revision 75868b020152), and its API tells them from
            // there: a row that stayed behind under such a key does not count.
            set(&mut tags, TRACE_NAME, self.trace_name);
            set(&mut trace_metadata, SESSION, self.session_id);
            set(
                &mut trace_metadata,
                TOKEN_USAGE,
                self.tokens.and_then(|counts| tokens(&counts)),
            );
            set(
                &mut trace_metadata,
                COST,
                self.costs.and_then(|costs| cost(&costs)),
            );
        }
        let assessments = self.assessments.unwrap_or_default().into_iter();
        let experiment_id = self.experiment_id.to_string();
        let mut info = TraceInfo {
            trace_id: self.request_id.parse().map_err(|error| unreadable(&error))?,
            client_request_id: self.client_request_id,
            trace_location: TraceLocation::experiment(
                experiment_id.parse().map_err(|error| unreadable(&error))?,
            ),
            request_time: Timestamp::from_unix_ms(self.timestamp_ms),
            execution_duration: None,
            execution_duration_ms: None,
            state: state(&self.status),
            trace_metadata,
            tags,
            assessments: assessments.filter_map(told).collect(),
            request_preview: self.request_preview,
            response_preview: self.response_preview,
        };
        info.set_execution_duration_ms(self.execution_time_ms.and_then(|ms| u64::try_from(ms).ok()));
        Ok(info)
    }
}

/// An assessment that cannot be read is told in the log and does not hide its trace.
fn told(assessment: AssessmentRow) -> Option<Assessment> {
    let told = |error: &DatabaseError| tracing::warn!(%error, "an assessment is left out of its trace");
    assessment.into_assessment().inspect_err(told).ok()
}

fn texts(object: Option<BTreeMap<String, Option<String>>>) -> BTreeMap<String, String> {
    let members = object.unwrap_or_default().into_iter();
    members
        .map(|(key, value)| (key, value.unwrap_or_default()))
        .collect()
}

fn set(map: &mut BTreeMap<String, String>, key: &str, value: Option<String>) {
    match value {
        Some(value) => map.insert(key.to_owned(), value),
        None => map.remove(key),
    };
}

fn tokens(counts: &[Option<i64>; TOKENS.len()]) -> Option<String> {
    let named = TOKENS.iter().zip(counts);
    object(named.filter_map(|(name, count)| Some(format!("\"{name}\": {}", (*count)?))))
}

fn cost(costs: &[Option<String>; COSTS.len()]) -> Option<String> {
    let named = COSTS.iter().zip(costs);
    object(named.filter_map(|(name, cost)| {
        let cost: f64 = cost.as_ref()?.parse().ok()?;
        Some(format!("\"{name}\": {}", python_json::float(cost)))
    }))
}

/// Spelled as Python spells it: MLflow's API does, and filters compare the text.
fn object(members: impl Iterator<Item = String>) -> Option<String> {
    let members: Vec<_> = members.collect();
    (!members.is_empty()).then(|| format!("{{{}}}", members.join(", ")))
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
    use serde_json::json;

    #[test]
    fn a_state_that_is_not_known_is_unspecified() {
        assert_eq!(state("IN_PROGRESS"), TraceState::InProgress);
        assert_eq!(state("TRACE_STATUS_UNSPECIFIED"), TraceState::StateUnspecified);
    }

    #[test]
    fn what_was_moved_into_columns_is_told_where_it_was() {
        let row = json!([
            "tr-1", 3, 1_795_457_376_829_i64, 45, "OK", {"team": "care", "mlflow.traceName": "old", "empty": null},
            {"mlflow.trace.cost": "old"}, null, null, "asked", null, "agent", "s-1",
            [12, 3, 15, null, null, null], ["0.10000000000000001", null, "1e-05"]
        ]);
        let row: TraceRow = serde_json::from_value(row).unwrap();
        let info = row.into_info(SchemaShape::NEWEST).unwrap();
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
    }

    #[test]
    fn before_that_they_are_what_they_are() {
        let row = json!([
            "tr-1", 3, 0, null, "OK", {"mlflow.traceName": "agent"}, null, null, null, null, null, null, null, null, null
        ]);
        let row: TraceRow = serde_json::from_value(row).unwrap();
        let info = row.into_info(SchemaShape::OLDEST).unwrap();
        assert_eq!(info.tags["mlflow.traceName"], "agent");
    }
}
