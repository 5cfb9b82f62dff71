//! Assessments: given, read, changed.

use std::collections::BTreeMap;

use domain::{Assessment, AssessmentId, AssessmentKind, AssessmentUpdate, NewAssessment, RunId, TraceId};
use serde_json::value::RawValue;

use super::{random_id, rollups, unix_ms};
use crate::MlflowStore;
use crate::assessment_row::{self, AssessmentRow};
use crate::dialect::Dialect;
use crate::error::DatabaseError;
use crate::filter::Refusal;
use crate::pool::Transaction;
use crate::python_json;
use crate::row::Row;
use crate::sql::Statement;
use crate::traces::unknown_trace;

/// Up to here a double holds every integer.
const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;

impl MlflowStore {
    /// Gives an assessment to a trace. Each call gives one more.
    ///
    /// # Errors
    /// [`DatabaseError::NotFound`] when there is no such trace; [`DatabaseError::ReadOnly`].
    pub async fn create_assessment(
        &self,
        trace: &TraceId,
        new: &NewAssessment,
    ) -> Result<Assessment, DatabaseError> {
        self.write(async |all| create(all, trace, new).await).await
    }

    /// One assessment of a trace.
    ///
    /// # Errors
    /// [`DatabaseError::NotFound`] when there is no such trace, or it has no such assessment.
    pub async fn get_assessment(
        &self,
        trace: &TraceId,
        id: &AssessmentId,
    ) -> Result<Assessment, DatabaseError> {
        let rows = self.fetch(&one(self.dialect(), trace, id.as_str()), Ok).await?;
        read(rows.first().ok_or_else(|| unknown(trace, id))?)
    }

    /// Changes an assessment; as it is then.
    ///
    /// # Errors
    /// [`DatabaseError::NotFound`] as for [`Self::get_assessment`], [`DatabaseError::Refused`] when it is of the other
    /// kind; [`DatabaseError::ReadOnly`].
    pub async fn update_assessment(
        &self,
        trace: &TraceId,
        id: &AssessmentId,
        update: &AssessmentUpdate,
    ) -> Result<Assessment, DatabaseError> {
        self.write(async |all| change(all, trace, id, update).await).await
    }
}

async fn create(
    all: &mut Transaction,
    trace: &TraceId,
    new: &NewAssessment,
) -> Result<Assessment, DatabaseError> {
    let dialect = all.dialect();
    let found = all.fetch_all(&place(dialect, trace, false)).await?;
    let row = found.first().ok_or_else(|| unknown_trace(trace))?;
    // The queue comes before the trace's row in MLflow, too: two who lock in one order do not wait for each other.
    let (experiment_id, timestamp_ms) = (row.needed_int(0)?, row.needed_int(1)?);
    rollups::invalidate(all, experiment_id, timestamp_ms).await?;
    let locked = all.fetch_all(&place(dialect, trace, true)).await?;
    let row = locked.first().ok_or_else(|| unknown_trace(trace))?;
    if (row.needed_int(0)?, row.needed_int(1)?) != (experiment_id, timestamp_ms) {
        return Err(came_between());
    }
    let (id, now) = (format!("a-{}", random_id()), unix_ms());
    let mut insert = Statement::new(dialect, "INSERT INTO assessments (valid, assessment_id, trace_id, name, assessment_type, value, created_timestamp,
         last_updated_timestamp, experiment_id, trace_timestamp_ms, source_type, source_id, rationale, assessment_metadata,
         aggregate_value, is_numeric_value) VALUES (");
    insert.bind(true);
    for text in [
        &id,
        trace.as_str(),
        &new.name,
        kind_word(new.kind),
        &stored(new.kind, &new.value)?,
    ] {
        insert.push(", ").bind(text);
    }
    for number in [now, now, experiment_id, timestamp_ms] {
        insert.push(", ").bind(number);
    }
    insert.push(", ").bind(new.source.source_type.as_str());
    insert.push(", ").bind(new.source.source_id.as_str());
    let metadata = metadata_text(&new.metadata);
    for text in [rationale(new.kind, new.rationale.clone()), metadata] {
        push_nullable(&mut insert, text);
    }
    push_aggregate(&mut insert, &new.value);
    insert.push(")");
    all.execute(&insert).await?;
    reread(all, trace, &id).await
}

async fn change(
    all: &mut Transaction,
    trace: &TraceId,
    id: &AssessmentId,
    update: &AssessmentUpdate,
) -> Result<Assessment, DatabaseError> {
    let dialect = all.dialect();
    // The queue first, then the row: as in `create`.
    let place = place_of(all, id, false).await?;
    if let Some((experiment_id, timestamp_ms)) = place {
        rollups::invalidate(all, experiment_id, timestamp_ms).await?;
    }
    if place_of(all, id, true).await? != place {
        return Err(came_between());
    }
    let found = all.fetch_all(&one(dialect, trace, id.as_str())).await?;
    let given = read(found.first().ok_or_else(|| unknown(trace, id))?)?;
    if given.kind() != Some(update.kind) {
        let kind = kind_word(update.kind);
        return Err(Refusal::new(format!("assessment {id} is no {kind}, which it cannot become")).into());
    }
    let mut metadata = given.metadata;
    metadata.extend(update.metadata.clone());
    let mut change = Statement::new(dialect, "UPDATE assessments SET error = NULL, value = ");
    change.bind(stored(update.kind, &update.value)?);
    change.push(", last_updated_timestamp = ").bind(unix_ms());
    change.push(", (rationale, assessment_metadata, aggregate_value, is_numeric_value) = (");
    push_value_or_null(
        &mut change,
        rationale(update.kind, update.rationale.clone().or(given.rationale)),
    );
    push_nullable(&mut change, metadata_text(&metadata));
    push_aggregate(&mut change, &update.value);
    change.push(") WHERE assessment_id = ").bind(id.as_str());
    all.execute(&change).await?;
    reread(all, trace, id.as_str()).await
}

/// Deletes the assessments that a run made: MLflow does so when the run is deleted (3.17.2), and tells them by this member of
/// their metadata, which Python wrote.
pub(super) async fn delete_of_run(all: &mut Transaction, run: &RunId) -> Result<(), DatabaseError> {
    let dialect = all.dialect();
    let member = format!("\"mlflow.assessment.sourceRunId\": \"{run}\"");
    let push_condition = |statement: &mut Statement| {
        statement.push(dialect.pick("instr(assessment_metadata, ", "strpos(assessment_metadata, "));
        statement.bind(member.as_str()).push(") > 0");
    };
    let mut affected = Statement::new(
        dialect,
        "SELECT DISTINCT experiment_id, trace_timestamp_ms FROM assessments
         WHERE experiment_id IS NOT NULL AND trace_timestamp_ms IS NOT NULL AND ",
    );
    push_condition(&mut affected);
    let rows = all.fetch_all(&affected).await?;
    let places = rows
        .iter()
        .map(|row| Ok((row.needed_int(0)?, row.needed_int(1)?)));
    rollups::invalidate_all(all, places.collect::<Result<Vec<_>, DatabaseError>>()?).await?;
    let mut delete = Statement::new(dialect, "DELETE FROM assessments WHERE ");
    push_condition(&mut delete);
    all.execute(&delete).await.map(|_| ())
}

/// The trace's experiment and time, which MLflow copies into its assessments.
fn place(dialect: Dialect, trace: &TraceId, is_locked: bool) -> Statement {
    let mut statement = Statement::new(
        dialect,
        "SELECT experiment_id, timestamp_ms FROM trace_info WHERE request_id = ",
    );
    statement.bind(trace.as_str());
    if is_locked {
        statement.push(dialect.pick("", " FOR UPDATE"));
    }
    statement
}

/// The experiment and time that stand in an assessment; none in those of an MLflow before it copied them.
async fn place_of(
    all: &mut Transaction,
    id: &AssessmentId,
    is_locked: bool,
) -> Result<Option<(i64, i64)>, DatabaseError> {
    let mut statement = Statement::new(
        all.dialect(),
        "SELECT experiment_id, trace_timestamp_ms FROM assessments WHERE assessment_id = ",
    );
    statement.bind(id.as_str());
    if is_locked {
        statement.push(all.dialect().pick("", " FOR UPDATE"));
    }
    let rows = all.fetch_all(&statement).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    Ok(row.int(0)?.zip(row.int(1)?))
}

fn came_between() -> DatabaseError {
    DatabaseError::Busy("another write came in between".to_owned())
}

fn one(dialect: Dialect, trace: &TraceId, id: &str) -> Statement {
    let mut statement = Statement::new(dialect, "");
    assessment_row::push_one(&mut statement);
    statement.push(" WHERE a.assessment_id = ").bind(id);
    statement.push(" AND a.trace_id = ").bind(trace.as_str());
    statement
}

async fn reread(all: &mut Transaction, trace: &TraceId, id: &str) -> Result<Assessment, DatabaseError> {
    let rows = all.fetch_all(&one(all.dialect(), trace, id)).await?;
    let row = rows.first().ok_or_else(|| DatabaseError::Unreadable {
        table: "assessments",
        reason: "a row that was just written is not there".to_owned(),
    })?;
    read(row)
}

fn read(row: &Row) -> Result<Assessment, DatabaseError> {
    let row: AssessmentRow =
        serde_json::from_str(&row.needed_text(0)?).map_err(|error| DatabaseError::Unreadable {
            table: "assessments",
            reason: error.to_string(),
        })?;
    row.into_assessment()
}

fn unknown(trace: &TraceId, id: &AssessmentId) -> DatabaseError {
    DatabaseError::NotFound(format!("trace {trace} has no assessment {id}"))
}

fn kind_word(kind: AssessmentKind) -> &'static str {
    match kind {
        AssessmentKind::Feedback => "feedback",
        AssessmentKind::Expectation => "expectation",
    }
}

/// The value as it stands after its way through MLflow's API, so that a label says the same whichever way it took: a
/// feedback, and an expectation that is a number a double holds, are protobuf values, whose numbers are doubles; other
/// expectations go as JSON text.
fn stored(kind: AssessmentKind, value: &RawValue) -> Result<String, DatabaseError> {
    let is_small = |number: f64| number.abs() <= EXACT_INTEGERS;
    let stored = match kind {
        AssessmentKind::Expectation if !value.get().parse().is_ok_and(is_small) => python_json::dumps(value),
        AssessmentKind::Feedback | AssessmentKind::Expectation => python_json::dumps_doubles(value),
    };
    stored.map_err(|_| Refusal::new("the value is no JSON that can be stored").into())
}

/// MLflow keeps no rationale of an expectation.
fn rationale(kind: AssessmentKind, rationale: Option<String>) -> Option<String> {
    rationale.filter(|_| kind == AssessmentKind::Feedback)
}

fn metadata_text(metadata: &BTreeMap<String, String>) -> Option<String> {
    let member = |(key, value): (&String, &String)| {
        format!("{}: {}", python_json::text(key), python_json::text(value))
    };
    let members: Vec<_> = metadata.iter().map(member).collect();
    (!members.is_empty()).then(|| format!("{{{}}}", members.join(", ")))
}

fn push_nullable(statement: &mut Statement, text: Option<String>) {
    statement.push(", ");
    push_value_or_null(statement, text);
}

fn push_value_or_null(statement: &mut Statement, text: Option<String>) {
    match text {
        Some(text) => statement.bind(text),
        None => statement.push("NULL"),
    };
}

/// The number that MLflow's statistics are made of, and whether the value is one itself.
fn push_aggregate(statement: &mut Statement, value: &RawValue) {
    let (aggregate, is_numeric) = aggregate(value);
    statement.push(", ");
    match aggregate {
        Some(number) => statement.bind(number),
        None => statement.push("NULL"),
    };
    statement.push(", ").bind(is_numeric);
}

fn aggregate(value: &RawValue) -> (Option<f64>, bool) {
    let of_bool = |yes: bool| Some(f64::from(u8::from(yes)));
    match serde_json::from_str(value.get()).unwrap_or_default() {
        serde_json::Value::Bool(yes) => (of_bool(yes), false),
        serde_json::Value::Number(number) => (number.as_f64(), true),
        serde_json::Value::String(text) => match text.trim().to_lowercase().as_str() {
            "yes" => (of_bool(true), false),
            "no" => (of_bool(false), false),
            _ => (None, false),
        },
        _ => (None, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_made_of_what_mlflow_makes_them_of() {
        for (value, expected) in [
            ("true", (Some(1.0), false)),
            ("4", (Some(4.0), true)),
            ("0.25", (Some(0.25), true)),
            ("\" Yes \"", (Some(1.0), false)),
            ("\"no\"", (Some(0.0), false)),
            ("\"good\"", (None, false)),
            ("[1]", (None, false)),
            ("null", (None, false)),
        ] {
            assert_eq!(
                aggregate(&RawValue::from_string(value.to_owned()).unwrap()),
                expected,
                "{value}"
            );
        }
    }
}
