//! MLflow's daily statistics of assessments, where they are switched on.

use std::collections::BTreeSet;

use domain::Timestamp;

use super::unix_ms;
use crate::error::DatabaseError;
use crate::pool::Transaction;
use crate::sql::Statement;

/// Days are added up once they are this old (3.17.2); a younger one is not there yet.
const ADDED_UP_AFTER_MS: i64 = 24 * 60 * 60 * 1000;

/// Tells MLflow that a day's statistics must be made anew. Whether they are switched on is a matter of the MLflow server's
/// environment, which is not known here: they are when the experiment has any.
pub(super) async fn invalidate(
    all: &mut Transaction,
    experiment_id: i64,
    trace_timestamp_ms: i64,
) -> Result<(), DatabaseError> {
    invalidate_all(all, [(experiment_id, trace_timestamp_ms)]).await
}

/// The same for the days of many: each once, and in one order, so that two who do it do not wait for each other.
pub(super) async fn invalidate_all(
    all: &mut Transaction,
    places: impl IntoIterator<Item = (i64, i64)>,
) -> Result<(), DatabaseError> {
    let added_up_until = unix_ms() - ADDED_UP_AFTER_MS;
    let old = places
        .into_iter()
        .filter(|(_, timestamp_ms)| *timestamp_ms <= added_up_until);
    let days: BTreeSet<_> = old
        .map(|(experiment_id, timestamp_ms)| (experiment_id, day(timestamp_ms)))
        .collect();
    for (experiment_id, day) in days {
        invalidate_day(all, experiment_id, day).await?;
    }
    Ok(())
}

/// `2026-11-24`, in UTC.
fn day(timestamp_ms: i64) -> String {
    let time = Timestamp::from_unix_ms(timestamp_ms);
    time.as_str().split('T').next().unwrap_or_default().to_owned()
}

async fn invalidate_day(all: &mut Transaction, experiment_id: i64, day: String) -> Result<(), DatabaseError> {
    let dialect = all.dialect();
    let mut statement = Statement::new(
        dialect,
        "INSERT INTO sql_trace_rollup_rebuild_queue (experiment_id, rollup_day, rollup_family) SELECT ",
    );
    statement
        .push(dialect.pick("", "CAST("))
        .bind(experiment_id)
        .push(dialect.pick(", ", " AS INTEGER), CAST("));
    statement.bind(day).push(dialect.pick("", " AS DATE)"));
    statement.push(
        ", 'assessment' WHERE EXISTS (SELECT 1 FROM sql_assessment_daily_rollups WHERE experiment_id = ",
    );
    statement.bind(experiment_id);
    // Locks a row that is there already, as MLflow does.
    statement.push(
        ") ON CONFLICT (experiment_id, rollup_day, rollup_family) DO UPDATE SET rollup_family = excluded.rollup_family",
    );
    all.execute(&statement).await.map(|_| ())
}
