//! Which of MLflow's schemas this database has: what can be read from it, and whether it is written to.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::dialect::Dialect;
use crate::error::DatabaseError;
use crate::pool::Pool;
use crate::shape::SchemaShape;
use crate::sql::Statement;

/// Head revisions of MLflow's releases, and the releases. Others are read when they have the columns.
const KNOWN: [(&str, &str); 9] = [
    ("5b0e9adcef9c", "2.14"),
    ("0584bdc529eb", "2.22"),
    ("bda7b8c39065", "3.0"),
    ("770bee3ae1dd", "3.2"),
    ("71994744cf8e", "3.4"),
    ("bf29a5ff90ea", "3.6"),
    ("1b5f0d9ad7c1", "3.10"),
    ("b7e4c1a90f23", "3.14"),
    ("dc11669786a5", "3.17"),
];

/// What is written to: the schema whose writes were held against MLflow's own, row by row.
const WRITABLE: [&str; 1] = ["dc11669786a5"];

/// A running MLflow is not migrated under our hands often; a moment of an old view is all it costs.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// A schema, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schema {
    pub(crate) revision: String,
    pub(crate) shape: SchemaShape,
}

impl Schema {
    /// The MLflow release whose schema it is; `None` for one between two releases, or a newer one.
    pub(crate) fn release(&self) -> Option<&'static str> {
        KNOWN
            .iter()
            .find(|(revision, _)| *revision == self.revision)
            .map(|(_, release)| *release)
    }

    /// Refuses writes to a schema whose rules are not known.
    pub(crate) fn check_writable(&self) -> Result<(), DatabaseError> {
        check_writable(&self.revision)
    }
}

/// Refuses writes to a revision whose rules are not known.
pub(crate) fn check_writable(revision: &str) -> Result<(), DatabaseError> {
    if WRITABLE.contains(&revision) {
        return Ok(());
    }
    Err(DatabaseError::ReadOnly {
        found: revision.to_owned(),
        known: WRITABLE.join(", "),
    })
}

/// The schema that was seen last, and when.
#[derive(Debug, Default)]
pub(crate) struct SeenSchema(Mutex<Option<(Instant, Arc<Schema>)>>);

impl SeenSchema {
    /// The schema, looked at again from time to time: MLflow may be upgraded while we run.
    pub(crate) async fn get(&self, pool: &Pool, limit: Duration) -> Result<Arc<Schema>, DatabaseError> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let schema = match seen {
            Some((at, schema)) if at.elapsed() < LOOK_AGAIN => return Ok(schema),
            Some((_, schema)) if revision(pool, limit).await? == schema.revision => schema,
            _ => Arc::new(look(pool, limit).await?),
        };
        let now = (Instant::now(), Arc::clone(&schema));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(schema)
    }
}

/// The statement that tells a database's revision.
pub(crate) fn revision_statement(dialect: Dialect) -> Statement {
    Statement::new(
        dialect,
        "SELECT version_num FROM alembic_version ORDER BY version_num LIMIT 1",
    )
}

async fn revision(pool: &Pool, limit: Duration) -> Result<String, DatabaseError> {
    let rows = pool.fetch_all(&revision_statement(pool.dialect()), limit).await;
    match rows {
        Ok(rows) => match rows.first() {
            Some(row) => row.needed_text(0),
            None => Err(unknown("says no schema revision: no MLflow has used it yet")),
        },
        Err(DatabaseError::Failed(error)) if error.is_of_another_schema() => {
            Err(unknown("holds no MLflow tables (there is no alembic_version)"))
        }
        Err(error) => Err(error),
    }
}

fn unknown(found: &str) -> DatabaseError {
    DatabaseError::UnknownSchema {
        found: found.to_owned(),
        known: KNOWN.map(|(revision, _)| revision).join(", "),
    }
}

async fn look(pool: &Pool, limit: Duration) -> Result<Schema, DatabaseError> {
    let revision = revision(pool, limit).await?;
    let mut statement = Statement::new(pool.dialect(), "");
    statement.push(pool.dialect().pick(
        "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'",
        "SELECT table_name::text, column_name::text FROM information_schema.columns
         WHERE table_schema = ANY (current_schemas(false))",
    ));
    let mut columns = HashSet::new();
    for row in pool.fetch_all(&statement, limit).await? {
        columns.insert(format!("{}.{}", row.needed_text(0)?, row.needed_text(1)?));
    }
    let has = |column: &str| columns.contains(column);
    let needed = [
        "trace_info.request_id",
        "trace_info.experiment_id",
        "trace_info.timestamp_ms",
        "trace_info.execution_time_ms",
        "trace_info.status",
        "trace_tags.value",
        "trace_request_metadata.value",
        "experiments.artifact_location",
        "runs.run_uuid",
        "tags.run_uuid",
    ];
    if let Some(missing) = needed.into_iter().find(|column| !has(column)) {
        return Err(unknown(&format!(
            "has schema revision {revision} without {missing}"
        )));
    }
    // `mlflow db prepopulate-trace-analytics` makes and fills the columns of that revision ahead of the migration, while a server
    // that does not know them goes on writing: they count once there is what the migration alone makes.
    let is_analytic = has("sql_assessment_daily_rollups.experiment_id");
    let shape = SchemaShape {
        has_v3_columns: has("trace_info.client_request_id") && has("trace_info.request_preview"),
        has_promoted_columns: is_analytic && has("trace_info.trace_name") && has("trace_info.total_cost"),
        has_assessments: has("assessments.assessment_metadata"),
        has_numeric_assessments: is_analytic && has("assessments.is_numeric_value"),
        has_spans: has("spans.content"),
        has_associations: has("entity_associations.destination_id"),
    };
    Ok(Schema { revision, shape })
}
