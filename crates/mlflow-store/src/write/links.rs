//! Links from traces to runs.

use domain::{RunId, TraceId};

use super::unix_ms;
use crate::MlflowStore;
use crate::error::DatabaseError;
use crate::sql::Statement;
use crate::traces::texts;

impl MlflowStore {
    /// Links traces to a run, all or none; a trace that is linked already stays linked once. Whether the run and the traces
    /// are there is not looked at, as MLflow does not.
    ///
    /// # Errors
    /// [`DatabaseError::ReadOnly`].
    pub async fn link_traces(&self, run: &RunId, traces: &[TraceId]) -> Result<(), DatabaseError> {
        if traces.is_empty() {
            return Ok(());
        }
        let dialect = self.dialect();
        let mut statement = Statement::new(dialect, "INSERT INTO entity_associations
             (association_id, source_type, source_id, destination_type, destination_id, created_time) SELECT ");
        statement.push(dialect.pick(
            "lower(hex(randomblob(16))), 'trace', value, 'run', ",
            "replace(gen_random_uuid()::text, '-', ''), 'trace', value, 'run', ",
        ));
        statement.bind(run.as_str()).push(", ").bind(unix_ms());
        statement.push(dialect.pick(" FROM json_each(", " FROM unnest("));
        statement.bind_list(&texts(traces));
        statement.push(dialect.pick(") WHERE true", ") AS linked (value)"));
        statement.push(" ON CONFLICT DO NOTHING");
        self.write(async |all| all.execute(&statement).await.map(|_| ()))
            .await
    }
}
