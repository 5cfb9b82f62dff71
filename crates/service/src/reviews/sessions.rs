//! Labeling sessions of the configured experiment's review app.

use async_trait::async_trait;
use domain::{
    BrokenRule, LabelSchema, LabelSchemaRef, LabelingSession, LabelingSessionId, ReviewAppId, SessionChange,
    Timestamp,
};
use store::{Changed, Page, PageRequest, SessionFilter};
use tokio::sync::MutexGuard;

use super::change::{Target, changed, check_seen};
use crate::Services;
use crate::access::Identity;
use crate::cache::Thing;
use crate::error::ServiceError;

/// A session that is to be changed.
struct SessionTarget {
    services: Services,
    app: ReviewAppId,
    id: LabelingSessionId,
    fields: Vec<&'static str>,
    by: String,
}

#[async_trait]
impl Target for SessionTarget {
    type Thing = LabelingSession;

    fn missing(&self) -> ServiceError {
        ServiceError::SessionNotFound(self.id.clone())
    }

    async fn turn(&self) -> MutexGuard<'_, ()> {
        self.services.changing.wait(&self.id).await
    }

    async fn read(&self) -> Result<Option<LabelingSession>, ServiceError> {
        self.services.reviews.get_session(&self.app, &self.id).await
    }

    async fn write(&self, session: &LabelingSession) -> Result<Changed<LabelingSession>, ServiceError> {
        let reviews = &self.services.reviews;
        reviews
            .update_session(&self.app, session, &self.fields, &self.by)
            .await
    }
}

impl Services {
    /// The sessions that a user reaches: a developer all, a reviewer those assigned to them.
    ///
    /// # Errors
    /// When they cannot be read; [`ServiceError::Invalid`] for a page token that is none.
    pub async fn list_labeling_sessions(
        &self,
        mut filter: SessionFilter,
        page: PageRequest<'_>,
        asking: &Identity,
    ) -> Result<Page<LabelingSession>, ServiceError> {
        let Some(app) = self.review_app_id().await? else {
            return Ok(Page {
                entries: Vec::new(),
                next_page_token: None,
            });
        };
        let mut asked_for = None;
        if !asking.is_developer() {
            asked_for = filter.assigned_to.replace(asking.keys().to_vec());
        }
        let mut found = self.reviews.list_sessions(&app, &filter, page).await?;
        // A reviewer who looks for what is assigned to others finds what is assigned to both.
        if let Some(names) = asked_for {
            let is_asked_for =
                |session: &LabelingSession| session.is_assigned_to(names.iter().map(String::as_str));
            found.entries.retain(is_asked_for);
        }
        Ok(found)
    }

    /// A session.
    ///
    /// # Errors
    /// [`ServiceError::SessionNotFound`].
    pub async fn get_labeling_session(
        &self,
        id: &LabelingSessionId,
    ) -> Result<LabelingSession, ServiceError> {
        self.session_of_app(id).await.map(|(_, session)| session)
    }

    /// Makes a session and its MLflow run; makes the review app if there is none.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when it names a label schema that there is not.
    pub async fn create_labeling_session(
        &self,
        members: SessionChange,
        by: String,
    ) -> Result<LabelingSession, ServiceError> {
        let members = members.checked()?;
        if members.name.is_none() {
            return Err(BrokenRule::new("name", "is required").into());
        }
        let app = self.own_review_app(&by).await?;
        check_schemas(&members, &app.labeling_schemas, &[])?;
        let services = self.clone();
        self.write(vec![Thing::AnyRun, Thing::Assignments], async move {
            services.reviews.create_session(&app, &members, &by).await
        })
        .await
    }

    /// Changes a session; `seen` is its `last_update_time` as the user knows it.
    ///
    /// # Errors
    /// [`ServiceError::SessionNotFound`], [`ServiceError::Conflict`]; [`ServiceError::Invalid`] when it names a label
    /// schema that there is not.
    pub async fn update_labeling_session(
        &self,
        id: LabelingSessionId,
        change: SessionChange,
        seen: Option<Timestamp>,
        by: String,
    ) -> Result<LabelingSession, ServiceError> {
        let change = change.checked()?;
        let app = self.app_of_session(&id).await?;
        let known = match change.labeling_schemas {
            Some(_) => self.get_review_app(&app).await?.labeling_schemas,
            None => Vec::new(),
        };
        let target = SessionTarget {
            services: self.clone(),
            app,
            id,
            fields: change.fields(),
            by,
        };
        let apply = move |session: &mut LabelingSession| {
            check_schemas(&change, &known, &session.labeling_schemas)?;
            session.apply(change.clone());
            Ok(())
        };
        self.write(vec![Thing::Assignments], changed(target, seen, apply))
            .await
    }

    /// Takes a session away with its items. Labels already given stay, and so does its run.
    ///
    /// # Errors
    /// [`ServiceError::SessionNotFound`]; [`ServiceError::Conflict`] when it is not as the user has seen it.
    pub async fn delete_labeling_session(
        &self,
        id: LabelingSessionId,
        seen: Option<Timestamp>,
    ) -> Result<(), ServiceError> {
        let (app, session) = self.session_of_app(&id).await?;
        check_seen(seen.as_ref(), &session)?;
        let mut things = vec![Thing::Assignments, Thing::AnyRun];
        things.extend(session.mlflow_run_id.clone().map(Thing::Run));
        let services = self.clone();
        self.write(things, async move {
            if services.reviews.delete_session(&app, &session).await? {
                return Ok(());
            }
            Err(ServiceError::SessionNotFound(id))
        })
        .await
    }

    pub(super) async fn app_of_session(&self, id: &LabelingSessionId) -> Result<ReviewAppId, ServiceError> {
        let app = self.review_app_id().await?;
        app.ok_or_else(|| ServiceError::SessionNotFound(id.clone()))
    }

    pub(crate) async fn session_of_app(
        &self,
        id: &LabelingSessionId,
    ) -> Result<(ReviewAppId, LabelingSession), ServiceError> {
        let app = self.app_of_session(id).await?;
        match self.reviews.get_session(&app, id).await? {
            Some(session) => Ok((app, session)),
            None => Err(ServiceError::SessionNotFound(id.clone())),
        }
    }
}

/// Those that the session refers to already are not asked about: one may be deleted since.
fn check_schemas(
    members: &SessionChange,
    known: &[LabelSchema],
    stored: &[LabelSchemaRef],
) -> Result<(), ServiceError> {
    let named = members.labeling_schemas.as_deref().unwrap_or_default();
    let is_unknown = |named: &LabelSchemaRef| {
        !stored.contains(named) && known.iter().all(|schema| schema.name != named.name)
    };
    match named.iter().position(is_unknown) {
        Some(index) => Err(BrokenRule::new(
            format!("labeling_schemas[{index}].name"),
            "must be the name of a label schema that there is",
        )
        .into()),
        None => Ok(()),
    }
}
