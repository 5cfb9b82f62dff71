//! Runs and experiments: small documents, rendered once.

use std::sync::Arc;

use bytes::Bytes;
/// Which runs to look for.
pub use domain::SearchRuns as RunSearch;
use domain::{ExperimentId, RunId};
use mlflow_client::CurrentUser;
use serde::Serialize;
use serde_json::{Value, json};

use crate::Services;
use crate::answer::{Answer, Fingerprint, Origin};
use crate::cache::{Fresh, Freshness, Served};
use crate::error::ServiceError;

/// A rendered document.
#[derive(Debug)]
pub(crate) struct Document {
    json: Bytes,
    fingerprint: Fingerprint,
    /// The experiment that a run belongs to.
    experiment_id: Option<ExperimentId>,
}

impl Document {
    pub(crate) fn render(value: &impl Serialize) -> Result<Self, ServiceError> {
        let json = to_json(value)?;
        Ok(Self {
            fingerprint: Fingerprint::of(&json),
            json,
            experiment_id: None,
        })
    }

    pub(crate) fn into_answer(self, origin: Origin) -> Answer {
        Answer::whole(vec![self.json], self.fingerprint, origin)
    }

    /// The id of the first run of a page of runs, read from our own text.
    pub(crate) fn first_run(&self) -> Option<RunId> {
        let page: Value = serde_json::from_slice(&self.json).ok()?;
        page.pointer("/runs/0/info/run_id")?.as_str()?.parse().ok()
    }

    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.json.len()
    }
}

/// Renders a value that cannot fail to render: no map in it has keys other than text.
pub(crate) fn to_json(value: &impl Serialize) -> Result<Bytes, ServiceError> {
    let json = serde_json::to_vec(value).map_err(|error| {
        tracing::error!(%error, "a value could not be rendered");
        ServiceError::Interrupted
    })?;
    Ok(json.into())
}

/// The owner of our credentials; `None` where the source knows no users.
#[derive(Debug)]
pub(crate) struct UserDocument(Option<CurrentUser>);

impl UserDocument {
    pub(crate) fn weight(&self) -> usize {
        let names =
            |user: &CurrentUser| user.user_name.len() + user.emails.iter().map(String::len).sum::<usize>();
        size_of::<Self>() + self.0.as_ref().map_or(0, names)
    }
}

impl From<Served<Arc<Document>>> for Answer {
    fn from(served: Served<Arc<Document>>) -> Self {
        Self::whole(
            vec![served.value.json.clone()],
            served.value.fingerprint,
            (&served).into(),
        )
    }
}

impl Services {
    /// `{"experiment": Experiment}`.
    ///
    /// # Errors
    /// [`ServiceError::ExperimentNotFound`] when MLflow does not know it.
    pub async fn get_experiment(
        &self,
        id: &ExperimentId,
        freshness: Freshness,
    ) -> Result<Answer, ServiceError> {
        let (source, wanted, cache) = (self.source(), id.clone(), self.cache.clone());
        let load = async move {
            match source.get_experiment(&wanted).await {
                Ok(experiment) => {
                    let value = Arc::new(Document::render(&json!({ "experiment": experiment }))?);
                    Ok(Fresh {
                        value,
                        fresh_for: cache.seldom(cache.policy().info_ttl),
                    })
                }
                Err(error) if error.is_not_found() => Err(ServiceError::ExperimentNotFound(wanted)),
                Err(error) => Err(error.into()),
            }
        };
        Ok(self
            .cache
            .get_or_load(self.keys.experiment(id), freshness, load)
            .await?
            .into())
    }

    /// `{"run": Run}`.
    ///
    /// # Errors
    /// [`ServiceError::RunNotFound`] when MLflow does not know it.
    pub async fn get_run(&self, id: &RunId, freshness: Freshness) -> Result<Answer, ServiceError> {
        Ok(self.run_document(id, freshness).await?.into())
    }

    /// The experiment that a run belongs to.
    pub(crate) async fn experiment_of_run(
        &self,
        id: &RunId,
        freshness: Freshness,
    ) -> Result<ExperimentId, ServiceError> {
        let run = self.run_document(id, freshness).await?;
        run.value
            .experiment_id
            .clone()
            .ok_or_else(|| ServiceError::RunNotFound(id.clone()))
    }

    async fn run_document(
        &self,
        id: &RunId,
        freshness: Freshness,
    ) -> Result<Served<Arc<Document>>, ServiceError> {
        let (source, wanted, fresh_for) = (self.source(), id.clone(), self.cache.policy().search_ttl);
        let load = async move {
            match source.get_run(&wanted).await {
                Ok(run) => {
                    let mut document = Document::render(&json!({ "run": run }))?;
                    document.experiment_id = run.info.experiment_id.parse().ok();
                    Ok(Fresh {
                        value: Arc::new(document),
                        fresh_for,
                    })
                }
                Err(error) if error.is_not_found() => Err(ServiceError::RunNotFound(wanted)),
                Err(error) => Err(error.into()),
            }
        };
        self.cache.get_or_load(self.keys.run(id), freshness, load).await
    }

    /// `{"runs": [Run], "next_page_token": text or null}`.
    ///
    /// # Errors
    /// [`ServiceError::Upstream`] with the server's words when it cannot read the filter.
    pub async fn search_runs(&self, search: RunSearch, freshness: Freshness) -> Result<Answer, ServiceError> {
        Ok(self.runs_document(search, freshness).await?.into())
    }

    pub(crate) async fn runs_document(
        &self,
        search: RunSearch,
        freshness: Freshness,
    ) -> Result<Served<Arc<Document>>, ServiceError> {
        let (source, key) = (self.source(), self.keys.search_runs(search.clone()));
        let fresh_for = self.cache.policy().search_ttl;
        let load = async move {
            let page = source.search_runs(&search).await?;
            let body = json!({ "runs": page.runs, "next_page_token": page.next_page_token });
            Ok(Fresh {
                value: Arc::new(Document::render(&body)?),
                fresh_for,
            })
        };
        self.cache.get_or_load(key, freshness, load).await
    }

    /// The owner of our credentials; `None` where the source knows no users.
    ///
    /// # Errors
    /// When the source cannot be asked.
    pub async fn current_user(&self) -> Result<Option<CurrentUser>, ServiceError> {
        let (source, fresh_for) = (self.source(), self.cache.policy().info_ttl);
        let load = async move {
            Ok(Fresh {
                value: Arc::new(UserDocument(source.current_user().await?)),
                fresh_for,
            })
        };
        let served = self
            .cache
            .get_or_load(self.keys.current_user(), Freshness::Cached, load)
            .await?;
        Ok(served.value.0.clone())
    }
}
