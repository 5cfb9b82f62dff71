//! What the service needs of whoever keeps reviews.

use async_trait::async_trait;
use domain::{
    ExperimentId, Item, ItemId, LabelingSession, LabelingSessionId, ReviewApp, ReviewAppChange, ReviewAppId,
    SessionChange, TraceId,
};
use store::{Assignment, Changed, ItemFilter, Page, PageRequest, Peers, SessionFilter};

use crate::error::ServiceError;

/// Somewhere that reviews are kept.
///
/// A change is given as the thing as it shall be, with the `last_update_time` of the version it was made from, and the
/// names of the members that differ. `by` is the user who asks; a backend that knows its own users may not need it.
#[async_trait]
pub trait ReviewBackend: Send + Sync + std::fmt::Debug + 'static {
    /// The review app of an experiment.
    async fn find_app(&self, experiment: &ExperimentId) -> Result<Option<ReviewApp>, ServiceError>;
    /// The review app of this id.
    async fn get_app(&self, app: &ReviewAppId) -> Result<Option<ReviewApp>, ServiceError>;
    /// Makes the review app of an experiment; a conflict when it has one.
    async fn create_app(
        &self,
        experiment: &ExperimentId,
        members: &ReviewAppChange,
        by: &str,
    ) -> Result<Changed<ReviewApp>, ServiceError>;
    /// Changes a review app.
    async fn update_app(
        &self,
        app: &ReviewApp,
        fields: &[&'static str],
        by: &str,
    ) -> Result<Changed<ReviewApp>, ServiceError>;

    /// One page of a review app's sessions.
    async fn list_sessions(
        &self,
        app: &ReviewAppId,
        filter: &SessionFilter,
        page: PageRequest<'_>,
    ) -> Result<Page<LabelingSession>, ServiceError>;
    /// One session.
    async fn get_session(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
    ) -> Result<Option<LabelingSession>, ServiceError>;
    /// Makes a session and its run.
    async fn create_session(
        &self,
        app: &ReviewApp,
        members: &SessionChange,
        by: &str,
    ) -> Result<LabelingSession, ServiceError>;
    /// Changes a session.
    async fn update_session(
        &self,
        app: &ReviewAppId,
        session: &LabelingSession,
        fields: &[&'static str],
        by: &str,
    ) -> Result<Changed<LabelingSession>, ServiceError>;
    /// Takes a session away with its items; labels already given stay. False when there was none.
    async fn delete_session(
        &self,
        app: &ReviewAppId,
        session: &LabelingSession,
    ) -> Result<bool, ServiceError>;

    /// One page of a session's items.
    async fn list_items(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        filter: ItemFilter,
        page: PageRequest<'_>,
    ) -> Result<Page<Item>, ServiceError>;
    /// One item.
    async fn get_item(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        item: &ItemId,
    ) -> Result<Option<Item>, ServiceError>;
    /// Adds items for traces that have none in the session yet; how many. Called for one session at a time.
    async fn add_items(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        traces: &[TraceId],
        by: &str,
    ) -> Result<u64, ServiceError>;
    /// Changes an item.
    async fn update_item(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        item: &Item,
        fields: &[&'static str],
        by: &str,
    ) -> Result<Changed<Item>, ServiceError>;
    /// Takes an item away. False when there was none.
    async fn delete_item(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        item: &ItemId,
    ) -> Result<bool, ServiceError>;

    /// What is assigned to somebody who goes by one of these names (lower case).
    async fn assignments(&self, app: &ReviewAppId, names: &[String])
    -> Result<Vec<Assignment>, ServiceError>;

    /// Says something to other servers with the same reviews, where there can be any that are heard.
    async fn tell_peers(&self, _: &str) -> Result<(), ServiceError> {
        Ok(())
    }

    /// What they say; `None` where there can be none that are heard.
    fn peers(&self) -> Option<Peers> {
        None
    }
}
