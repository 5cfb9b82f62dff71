//! Review apps: one for each experiment.

use async_trait::async_trait;
use domain::{BrokenRule, ExperimentId, ReviewApp, ReviewAppChange, ReviewAppId, Timestamp};
use store::Changed;
use tokio::sync::MutexGuard;

use super::change::{Target, changed};
use crate::Services;
use crate::error::ServiceError;

/// A review app that is to be changed.
struct AppTarget {
    services: Services,
    id: ReviewAppId,
    fields: Vec<&'static str>,
    by: String,
}

#[async_trait]
impl Target for AppTarget {
    type Thing = ReviewApp;

    fn missing(&self) -> ServiceError {
        ServiceError::ReviewAppNotFound(self.id.clone())
    }

    async fn turn(&self) -> MutexGuard<'_, ()> {
        self.services.changing.wait(&self.id).await
    }

    async fn read(&self) -> Result<Option<ReviewApp>, ServiceError> {
        self.services.reviews.get_app(&self.id).await
    }

    async fn write(&self, app: &ReviewApp) -> Result<Changed<ReviewApp>, ServiceError> {
        self.services
            .reviews
            .update_app(app, &self.fields, &self.by)
            .await
    }
}

impl Services {
    /// The review app of the configured experiment; `None` when there is none yet, or no experiment is configured.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn review_app(&self) -> Result<Option<ReviewApp>, ServiceError> {
        match &self.experiment_id {
            Some(experiment) => self.reviews.find_app(experiment).await,
            None => Ok(None),
        }
    }

    /// The review apps of an experiment: one or none.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn find_review_app(
        &self,
        experiment: &ExperimentId,
    ) -> Result<Option<ReviewApp>, ServiceError> {
        self.reviews.find_app(experiment).await
    }

    /// A review app.
    ///
    /// # Errors
    /// [`ServiceError::ReviewAppNotFound`].
    pub async fn get_review_app(&self, id: &ReviewAppId) -> Result<ReviewApp, ServiceError> {
        let app = self.reviews.get_app(id).await?;
        app.ok_or_else(|| ServiceError::ReviewAppNotFound(id.clone()))
    }

    /// Makes the review app of an experiment.
    ///
    /// # Errors
    /// [`ServiceError::Conflict`] when it has one; [`ServiceError::ExperimentNotFound`].
    pub async fn create_review_app(
        &self,
        experiment: ExperimentId,
        members: ReviewAppChange,
        by: String,
    ) -> Result<ReviewApp, ServiceError> {
        members.check(&[])?;
        self.check_experiment(&experiment).await?;
        self.make_review_app(experiment, members, by).await
    }

    async fn make_review_app(
        &self,
        experiment: ExperimentId,
        members: ReviewAppChange,
        by: String,
    ) -> Result<ReviewApp, ServiceError> {
        let services = self.clone();
        self.write(Vec::new(), async move {
            match services.reviews.create_app(&experiment, &members, &by).await? {
                Changed::Done(app) => Ok(app),
                _ => Err(ServiceError::Conflict(format!(
                    "experiment {experiment} has a review app already"
                ))),
            }
        })
        .await
    }

    /// Changes a review app; `seen` is its `last_update_time` as the user knows it.
    ///
    /// # Errors
    /// [`ServiceError::ReviewAppNotFound`], [`ServiceError::Conflict`].
    pub async fn update_review_app(
        &self,
        id: ReviewAppId,
        change: ReviewAppChange,
        seen: Option<Timestamp>,
        by: String,
    ) -> Result<ReviewApp, ServiceError> {
        let fields = change.fields();
        self.change_app(id, fields, seen, by, move |app| {
            change.check(&app.labeling_schemas)?;
            let ReviewAppChange {
                agents,
                labeling_schemas,
            } = change.clone();
            if let Some(agents) = agents {
                app.agents = agents;
            }
            if let Some(schemas) = labeling_schemas {
                app.labeling_schemas = schemas;
            }
            Ok(())
        })
        .await
    }

    /// Changes the newest version of a review app.
    pub(super) async fn change_app(
        &self,
        id: ReviewAppId,
        fields: Vec<&'static str>,
        seen: Option<Timestamp>,
        by: String,
        change: impl Fn(&mut ReviewApp) -> Result<(), ServiceError> + Send + Sync + 'static,
    ) -> Result<ReviewApp, ServiceError> {
        let target = AppTarget {
            services: self.clone(),
            id,
            fields,
            by,
        };
        self.write(Vec::new(), changed(target, seen, change)).await
    }

    /// The review app of the configured experiment, made if there is none.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when no experiment is configured.
    pub async fn own_review_app(&self, by: &str) -> Result<ReviewApp, ServiceError> {
        let experiment = self.configured_experiment()?;
        if let Some(app) = self.reviews.find_app(experiment).await? {
            return Ok(app);
        }
        self.check_experiment(experiment).await?;
        // Several pages of one developer ask at once when there is none yet.
        let _turn = self.changing.wait(experiment).await;
        if let Some(app) = self.reviews.find_app(experiment).await? {
            return Ok(app);
        }
        match self
            .make_review_app(experiment.clone(), ReviewAppChange::default(), by.to_owned())
            .await
        {
            // Another server made it between our look and our making.
            Err(ServiceError::Conflict(text)) => {
                let made = self.reviews.find_app(experiment).await?;
                made.ok_or(ServiceError::Conflict(text))
            }
            made => made,
        }
    }

    /// The id of the configured experiment's review app. An app is never taken away, so that the id is asked for once.
    pub(crate) async fn review_app_id(&self) -> Result<Option<ReviewAppId>, ServiceError> {
        if let Some(id) = self.review_app_id.get() {
            return Ok(Some(id.clone()));
        }
        let id = self.review_app().await?.map(|app| app.review_app_id);
        if let Some(id) = &id {
            // Set meanwhile by another: to the same.
            let _ = self.review_app_id.set(id.clone());
        }
        Ok(id)
    }

    pub(super) fn configured_experiment(&self) -> Result<&ExperimentId, ServiceError> {
        let rule = "must be configured (MLFLOW_EXPERIMENT_ID)";
        let configured = self.experiment_id.as_ref();
        configured.ok_or_else(|| BrokenRule::new("experiment_id", rule).into())
    }

    async fn check_experiment(&self, id: &ExperimentId) -> Result<(), ServiceError> {
        self.get_experiment(id, crate::Freshness::Cached)
            .await
            .map(|_| ())
    }
}
