//! Runs made and changed.

use domain::{BrokenRule, RunId, RunTag, check_storable};
pub use domain::{NewRun, RunStatus, RunUpdate};
use serde_json::json;

use crate::Services;
use crate::answer::{Answer, Origin};
use crate::cache::Thing;
use crate::error::ServiceError;
use crate::records::Document;
use crate::upstream::UpstreamError;

impl Services {
    /// Makes a run: `{"run": Run}`.
    ///
    /// # Errors
    /// [`ServiceError::ExperimentNotFound`], [`ServiceError::Invalid`].
    pub async fn create_run(&self, new: NewRun) -> Result<Answer, ServiceError> {
        check_storable("run_name", new.run_name.as_deref().unwrap_or_default())?;
        check_storable("user_id", new.user_id.as_deref().unwrap_or_default())?;
        check_tags(&new.tags)?;
        let services = self.clone();
        self.write(vec![Thing::AnyRun], async move {
            match services.sink.create_run(&new).await {
                Ok(run) => Ok(Document::render(&json!({ "run": run }))?.into_answer(Origin::ASKED)),
                Err(error) if error.is_not_found() => {
                    Err(ServiceError::ExperimentNotFound(new.experiment_id))
                }
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// Changes a run's status, end and tags.
    ///
    /// # Errors
    /// [`ServiceError::RunNotFound`], [`ServiceError::Invalid`].
    pub async fn update_run(
        &self,
        run: RunId,
        update: RunUpdate,
        tags: Vec<RunTag>,
    ) -> Result<(), ServiceError> {
        check_tags(&tags)?;
        let services = self.clone();
        self.write(vec![Thing::Run(run.clone()), Thing::AnyRun], async move {
            let unknown = |error: UpstreamError| match error {
                error if error.is_not_found() => ServiceError::RunNotFound(run.clone()),
                error => error.into(),
            };
            // First what is refused more often: a run that has ended must not be told to have failed to.
            if !tags.is_empty() {
                services.sink.set_run_tags(&run, &tags).await.map_err(unknown)?;
            }
            // Tags alone need no update, and an update of nothing is how an unknown run is found out.
            if tags.is_empty() || update.status.is_some() || update.end_time.is_some() {
                services.sink.update_run(&run, &update).await.map_err(unknown)?;
            }
            Ok(())
        })
        .await
    }
}

fn check_tags(tags: &[RunTag]) -> Result<(), BrokenRule> {
    tags.iter().try_for_each(|tag| {
        check_storable("tags", &tag.key)?;
        check_storable("tags", &tag.value)
    })
}
