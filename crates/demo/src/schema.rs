//! MLflow's tables, and what it puts in them before anyone uses them.

use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use crate::record::Experiment;

/// Of the revision that MLflow 3.17.2 has: it opens this one without a migration.
pub(crate) const TABLES: &str = include_str!("../schema/mlflow-dc11669786a5.sql");

const INSERT_DEFAULT_EXPERIMENT: &str = "INSERT INTO experiments (experiment_id, name, artifact_location, \
     lifecycle_stage, creation_time, last_update_time, workspace) VALUES (0, 'Default', ?, 'active', ?, ?, 'default')";

/// MLflow makes this one at its first start, as old as the database.
pub(crate) async fn insert_default_experiment(
    connection: &mut SqliteConnection,
    beside: &Experiment,
) -> Result<(), sqlx::Error> {
    query(INSERT_DEFAULT_EXPERIMENT)
        .bind(format!("{}/0", beside.artifacts))
        .bind(beside.created_ms)
        .bind(beside.created_ms)
        .execute(connection)
        .await?;
    Ok(())
}
