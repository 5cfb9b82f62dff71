//! Reviews in a Databricks workspace, which keeps them itself (managed evals).
//!
//! The workspace sees one user, the owner of our credentials, and offers no conditional writes: those who change one
//! thing through this server take turns, but a change by another server, or in the workspace itself, between our read
//! and our write is not seen. It filters no lists, so we do.

use std::collections::HashSet;

use async_trait::async_trait;
use domain::{
    ExperimentId, Item, ItemId, LabelingSession, LabelingSessionId, ReviewApp, ReviewAppChange, ReviewAppId,
    SessionChange, TraceId,
};
use futures::future::{BoxFuture, FutureExt};
use futures::stream::{self, StreamExt, TryStreamExt};
use mlflow_client::{ClientError, MlflowClient};
use store::{Assignment, Changed, ItemFilter, Page, PageRequest, SessionFilter};

use super::ReviewBackend;
use super::pages::{all_items, all_sessions};
use crate::error::ServiceError;

/// Pages without anything wanted that are passed over for one request; then it is for the reader to go on.
const MAX_PASSED_OVER: usize = 20;

/// Sessions whose items are read at once.
const PARALLEL_SESSIONS: usize = 8;

/// Reviews in a Databricks workspace.
#[derive(Debug)]
pub struct DatabricksReviews {
    client: MlflowClient,
}

impl DatabricksReviews {
    /// Reviews in the workspace of this client.
    pub fn new(client: MlflowClient) -> Self {
        Self { client }
    }
}

/// What is not there is `None`.
fn found<T>(answer: Result<T, ClientError>) -> Result<Option<T>, ServiceError> {
    match answer {
        Ok(thing) => Ok(Some(thing)),
        Err(ClientError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn changed<T>(answer: Result<T, ClientError>) -> Result<Changed<T>, ServiceError> {
    match answer {
        Err(ClientError::Rejected { status: 409, .. }) => Ok(Changed::Conflict),
        answer => Ok(found(answer)?.map_or(Changed::Missing, Changed::Done)),
    }
}

/// Pages with those entries that are wanted. Some pages of none are passed over while more follow.
async fn filtered<'a, T>(
    page: PageRequest<'_>,
    get: impl Fn(Option<String>) -> BoxFuture<'a, Result<mlflow_client::Page<T>, ClientError>>,
    is_wanted: impl Fn(&T) -> bool,
) -> Result<Page<T>, ServiceError> {
    let (mut token, mut entries) = (page.token.map(str::to_owned), Vec::new());
    for _ in 0..=MAX_PASSED_OVER {
        let mut got = get(token).await?;
        got.entries.retain(&is_wanted);
        (entries, token) = (got.entries, got.next_page_token);
        if !entries.is_empty() || token.is_none() {
            break;
        }
    }
    Ok(Page {
        entries,
        next_page_token: token,
    })
}

#[async_trait]
impl ReviewBackend for DatabricksReviews {
    async fn find_app(&self, experiment: &ExperimentId) -> Result<Option<ReviewApp>, ServiceError> {
        let apps = self.client.list_review_apps(experiment).await?;
        Ok(apps.into_iter().find(|app| app.experiment_id == *experiment))
    }

    async fn get_app(&self, app: &ReviewAppId) -> Result<Option<ReviewApp>, ServiceError> {
        found(self.client.get_review_app(app).await)
    }

    async fn create_app(
        &self,
        experiment: &ExperimentId,
        members: &ReviewAppChange,
        _: &str,
    ) -> Result<Changed<ReviewApp>, ServiceError> {
        changed(self.client.create_review_app(experiment, members).await)
    }

    async fn update_app(
        &self,
        app: &ReviewApp,
        fields: &[&'static str],
        _: &str,
    ) -> Result<Changed<ReviewApp>, ServiceError> {
        changed(self.client.update_review_app(app, fields).await)
    }

    async fn list_sessions(
        &self,
        app: &ReviewAppId,
        filter: &SessionFilter,
        page: PageRequest<'_>,
    ) -> Result<Page<LabelingSession>, ServiceError> {
        let get = |token: Option<String>| {
            async move {
                self.client
                    .list_labeling_sessions(app, page.size, token.as_deref())
                    .await
            }
            .boxed()
        };
        filtered(page, get, |session| is_wanted(session, filter)).await
    }

    async fn get_session(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
    ) -> Result<Option<LabelingSession>, ServiceError> {
        found(self.client.get_labeling_session(app, session).await)
    }

    async fn create_session(
        &self,
        app: &ReviewApp,
        members: &SessionChange,
        _: &str,
    ) -> Result<LabelingSession, ServiceError> {
        let made = self
            .client
            .create_labeling_session(&app.review_app_id, members)
            .await;
        found(made)?.ok_or_else(|| ServiceError::ReviewAppNotFound(app.review_app_id.clone()))
    }

    async fn update_session(
        &self,
        app: &ReviewAppId,
        session: &LabelingSession,
        fields: &[&'static str],
        _: &str,
    ) -> Result<Changed<LabelingSession>, ServiceError> {
        changed(self.client.update_labeling_session(app, session, fields).await)
    }

    async fn delete_session(
        &self,
        app: &ReviewAppId,
        session: &LabelingSession,
    ) -> Result<bool, ServiceError> {
        let id = &session.labeling_session_id;
        Ok(found(self.client.delete_labeling_session(app, id).await)?.is_some())
    }

    async fn list_items(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        filter: ItemFilter,
        page: PageRequest<'_>,
    ) -> Result<Page<Item>, ServiceError> {
        let get = |token: Option<String>| {
            async move {
                self.client
                    .list_items(app, session, page.size, token.as_deref())
                    .await
            }
            .boxed()
        };
        filtered(page, get, |item| {
            filter.state.is_none_or(|state| item.state == state)
        })
        .await
    }

    async fn get_item(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        item: &ItemId,
    ) -> Result<Option<Item>, ServiceError> {
        found(self.client.get_item(app, session, item).await)
    }

    async fn add_items(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        traces: &[TraceId],
        _: &str,
    ) -> Result<u64, ServiceError> {
        // The workspace would make an item twice.
        let there = all_items(self, app, session, |item| item.source.trace_id).await?;
        let there: HashSet<_> = there.into_iter().collect();
        let new: Vec<_> = traces.iter().filter(|id| !there.contains(id)).cloned().collect();
        if !new.is_empty() {
            self.client.create_items(app, session, &new).await?;
        }
        Ok(new.len() as u64)
    }

    async fn update_item(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        item: &Item,
        fields: &[&'static str],
        _: &str,
    ) -> Result<Changed<Item>, ServiceError> {
        changed(self.client.update_item(app, session, item, fields).await)
    }

    async fn delete_item(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        item: &ItemId,
    ) -> Result<bool, ServiceError> {
        Ok(found(self.client.delete_item(app, session, item).await)?.is_some())
    }

    async fn assignments(
        &self,
        app: &ReviewAppId,
        names: &[String],
    ) -> Result<Vec<Assignment>, ServiceError> {
        let mut sessions = all_sessions(self, app).await?;
        sessions.retain(|session| session.is_assigned_to(names.iter().map(String::as_str)));
        let of_session = |session: LabelingSession| async move {
            let assignment = |trace_id| Assignment {
                labeling_session_id: session.labeling_session_id.clone(),
                mlflow_run_id: session.mlflow_run_id.clone(),
                trace_id,
            };
            let id = &session.labeling_session_id;
            let traces = all_items(self, app, id, |item| item.source.trace_id).await?;
            let with_traces = traces.into_iter().map(Some).map(assignment);
            Ok::<_, ServiceError>(with_traces.chain([assignment(None)]).collect())
        };
        let each = sessions.into_iter().map(of_session).collect::<Vec<_>>();
        let all: Vec<Vec<Assignment>> = stream::iter(each)
            .buffer_unordered(PARALLEL_SESSIONS)
            .try_collect()
            .await?;
        Ok(all.into_iter().flatten().collect())
    }
}

fn is_wanted(session: &LabelingSession, filter: &SessionFilter) -> bool {
    let SessionFilter {
        assigned_to,
        name,
        created_by,
        mlflow_run_id,
    } = filter;
    assigned_to
        .as_ref()
        .is_none_or(|names| session.is_assigned_to(names.iter().map(String::as_str)))
        && name.as_ref().is_none_or(|name| session.name == *name)
        && created_by
            .as_ref()
            .is_none_or(|user| session.created_by.as_ref() == Some(user))
        && mlflow_run_id
            .as_ref()
            .is_none_or(|run| session.mlflow_run_id.as_ref() == Some(run))
}
