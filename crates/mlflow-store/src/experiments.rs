//! Experiments.

use domain::{Experiment, ExperimentId, ExperimentTag};

use crate::MlflowStore;
use crate::error::DatabaseError;
use crate::sql::Statement;

impl MlflowStore {
    /// One experiment, deleted or not, with its tags by name.
    ///
    /// # Errors
    /// [`DatabaseError::NotFound`].
    pub async fn get_experiment(&self, id: &ExperimentId) -> Result<Experiment, DatabaseError> {
        let mut statement = Statement::new(self.dialect(), "SELECT e.name, e.artifact_location, e.lifecycle_stage, e.creation_time, e.last_update_time, t.key, t.value
             FROM experiments e LEFT JOIN experiment_tags t ON t.experiment_id = e.experiment_id
             WHERE e.experiment_id = ");
        statement
            .bind(id.as_str().parse::<i64>().unwrap_or(-1))
            .push(" ORDER BY t.key");
        let rows = self.fetch(&statement, Ok).await?;
        let first = rows.first().ok_or_else(|| unknown_experiment(id))?;
        let mut tags = Vec::new();
        for row in &rows {
            if let Some(key) = row.text(5)? {
                let value = row.text(6)?.unwrap_or_default();
                tags.push(ExperimentTag { key, value });
            }
        }
        Ok(Experiment {
            experiment_id: id.as_str().to_owned(),
            name: first.text(0)?.unwrap_or_default(),
            artifact_location: first.text(1)?.unwrap_or_default(),
            lifecycle_stage: first.text(2)?.unwrap_or_default(),
            creation_time: first.int(3)?,
            last_update_time: first.int(4)?,
            tags,
        })
    }
}

pub(crate) fn unknown_experiment(id: &ExperimentId) -> DatabaseError {
    DatabaseError::NotFound(format!("there is no experiment {id}"))
}
