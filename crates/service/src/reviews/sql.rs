//! Reviews in a database of our own, beside any MLflow.

use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    ExperimentId, InvalidId, Item, ItemId, LabelingSession, LabelingSessionId, ReviewApp, ReviewAppChange,
    ReviewAppId, RunTag, SessionChange, TraceId,
};
use domain::{NewRun, RunStatus, RunUpdate};
use store::{
    Assignment, Changed, ItemFilter, NewItem, NewReviewApp, NewSession, Page, PageRequest, Peers,
    SessionFilter, Store,
};

use super::ReviewBackend;
use crate::error::ServiceError;
use crate::ports::TraceSink;

/// The tag by which a session's run names its session.
const SESSION_TAG: &str = "trace_server.labeling_session_id";

/// Reviews in our own store; runs are made in MLflow.
#[derive(Debug)]
pub struct SqlReviews {
    store: Store,
    sink: Arc<dyn TraceSink>,
}

impl SqlReviews {
    /// Keeps reviews in this store, and makes the runs of sessions there.
    pub fn new(store: Store, sink: Arc<dyn TraceSink>) -> Self {
        Self { store, sink }
    }
}

/// 32 hex digits, as MLflow and Databricks make ids.
fn new_id<T: FromStr<Err = InvalidId>>() -> Result<T, ServiceError> {
    let id = format!("{:032x}", rand::random::<u128>());
    // Hex digits are allowed in every kind of id.
    id.parse().map_err(|_| ServiceError::Interrupted)
}

#[async_trait]
impl ReviewBackend for SqlReviews {
    async fn find_app(&self, experiment: &ExperimentId) -> Result<Option<ReviewApp>, ServiceError> {
        Ok(self.store.find_review_app(experiment).await?)
    }

    async fn get_app(&self, app: &ReviewAppId) -> Result<Option<ReviewApp>, ServiceError> {
        Ok(self.store.get_review_app(app).await?)
    }

    async fn create_app(
        &self,
        experiment: &ExperimentId,
        members: &ReviewAppChange,
        by: &str,
    ) -> Result<Changed<ReviewApp>, ServiceError> {
        let new = NewReviewApp {
            review_app_id: new_id()?,
            experiment_id: experiment.clone(),
            agents: members.agents.clone().unwrap_or_default(),
            labeling_schemas: members.labeling_schemas.clone().unwrap_or_default(),
        };
        Ok(self.store.create_review_app(&new, by).await?)
    }

    async fn update_app(
        &self,
        app: &ReviewApp,
        _: &[&'static str],
        by: &str,
    ) -> Result<Changed<ReviewApp>, ServiceError> {
        Ok(self.store.update_review_app(app, by).await?)
    }

    async fn list_sessions(
        &self,
        app: &ReviewAppId,
        filter: &SessionFilter,
        page: PageRequest<'_>,
    ) -> Result<Page<LabelingSession>, ServiceError> {
        Ok(self.store.list_sessions(app, filter, page).await?)
    }

    async fn get_session(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
    ) -> Result<Option<LabelingSession>, ServiceError> {
        Ok(self.store.get_session(app, session).await?)
    }

    /// First the run, then the session: what a crash in between leaves is a run without traces, and no session that
    /// has none.
    async fn create_session(
        &self,
        app: &ReviewApp,
        members: &SessionChange,
        by: &str,
    ) -> Result<LabelingSession, ServiceError> {
        let id: LabelingSessionId = new_id()?;
        let tag = RunTag {
            key: SESSION_TAG.to_owned(),
            value: id.as_str().to_owned(),
        };
        let run = NewRun {
            experiment_id: app.experiment_id.clone(),
            run_name: members.name.clone(),
            user_id: Some(by.to_owned()),
            start_time: None,
            tags: vec![tag],
        };
        let run = self.sink.create_run(&run).await?;
        let mlflow_run_id = run.info.run_id.parse().map_err(|_| ServiceError::Interrupted)?;
        let new = NewSession {
            labeling_session_id: id,
            review_app_id: app.review_app_id.clone(),
            mlflow_run_id,
            members: members.clone(),
        };
        let made = match self.store.create_session(&new, by).await {
            Ok(Changed::Done(session)) => return Ok(session),
            Ok(_) => ServiceError::ReviewAppNotFound(app.review_app_id.clone()),
            // Whether the session is there is not known: its run must stay.
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => error.into(),
        };
        // Nobody will ever look for it.
        if let Err(error) = self.sink.delete_run(&new.mlflow_run_id).await {
            tracing::warn!(run.id = %new.mlflow_run_id, %error, "the run of a session that was not made stays");
        }
        Err(made)
    }

    async fn update_session(
        &self,
        app: &ReviewAppId,
        session: &LabelingSession,
        _: &[&'static str],
        by: &str,
    ) -> Result<Changed<LabelingSession>, ServiceError> {
        Ok(self.store.update_session(app, session, by).await?)
    }

    /// The run stays, ended, with the traces and labels that hang on it.
    async fn delete_session(
        &self,
        app: &ReviewAppId,
        session: &LabelingSession,
    ) -> Result<bool, ServiceError> {
        let is_deleted = self
            .store
            .delete_session(app, &session.labeling_session_id)
            .await?;
        if let Some(run) = session.mlflow_run_id.as_ref().filter(|_| is_deleted) {
            let ended = RunUpdate {
                status: Some(RunStatus::Finished),
                end_time: None,
            };
            if let Err(error) = self.sink.update_run(run, &ended).await {
                tracing::warn!(run.id = %run, %error, "the run of a deleted session goes on");
            }
        }
        Ok(is_deleted)
    }

    async fn list_items(
        &self,
        _: &ReviewAppId,
        session: &LabelingSessionId,
        filter: ItemFilter,
        page: PageRequest<'_>,
    ) -> Result<Page<Item>, ServiceError> {
        Ok(self.store.list_items(session, filter, page).await?)
    }

    async fn get_item(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        item: &ItemId,
    ) -> Result<Option<Item>, ServiceError> {
        Ok(self.store.get_item(app, session, item).await?)
    }

    async fn add_items(
        &self,
        _: &ReviewAppId,
        session: &LabelingSessionId,
        traces: &[TraceId],
        by: &str,
    ) -> Result<u64, ServiceError> {
        let new = traces.iter().map(|trace_id| {
            Ok(NewItem {
                item_id: new_id()?,
                trace_id: trace_id.clone(),
            })
        });
        let new: Vec<_> = new.collect::<Result<_, ServiceError>>()?;
        match self.store.add_items(session, &new, by).await? {
            Changed::Done(count) => Ok(count),
            _ => Err(ServiceError::SessionNotFound(session.clone())),
        }
    }

    async fn update_item(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        item: &Item,
        _: &[&'static str],
        by: &str,
    ) -> Result<Changed<Item>, ServiceError> {
        Ok(self.store.update_item(app, session, item, by).await?)
    }

    async fn delete_item(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        item: &ItemId,
    ) -> Result<bool, ServiceError> {
        Ok(self.store.delete_item(app, session, item).await?)
    }

    async fn assignments(
        &self,
        app: &ReviewAppId,
        names: &[String],
    ) -> Result<Vec<Assignment>, ServiceError> {
        Ok(self.store.assignments(app, names).await?)
    }

    async fn tell_peers(&self, text: &str) -> Result<(), ServiceError> {
        Ok(self.store.tell_peers(text).await?)
    }

    fn peers(&self) -> Option<Peers> {
        self.store.peers()
    }
}
