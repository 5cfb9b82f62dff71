//! Items of a labeling session, shown with the previews of their traces.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use domain::{Item, ItemChange, ItemId, LabelingSession, LabelingSessionId, ReviewAppId, Timestamp, TraceId};
use store::{Changed, ItemFilter, Page, PageRequest};
use tokio::sync::MutexGuard;

use super::change::{Target, changed, check_seen};
use crate::Services;
use crate::cache::{Freshness, Thing};
use crate::error::ServiceError;
use crate::traces::{InfoEntry, SpanInclusion, TraceSearch};

/// An item that is to be changed.
struct ItemTarget {
    services: Services,
    app: ReviewAppId,
    session: LabelingSessionId,
    id: ItemId,
    fields: Vec<&'static str>,
    by: String,
}

#[async_trait]
impl Target for ItemTarget {
    type Thing = Item;

    fn missing(&self) -> ServiceError {
        ServiceError::ItemNotFound(self.id.clone())
    }

    async fn turn(&self) -> MutexGuard<'_, ()> {
        self.services.changing.wait(&self.id).await
    }

    async fn read(&self) -> Result<Option<Item>, ServiceError> {
        let reviews = &self.services.reviews;
        reviews.get_item(&self.app, &self.session, &self.id).await
    }

    async fn write(&self, item: &Item) -> Result<Changed<Item>, ServiceError> {
        let reviews = &self.services.reviews;
        let (app, session) = (&self.app, &self.session);
        reviews
            .update_item(app, session, item, &self.fields, &self.by)
            .await
    }
}

/// What the labeling page searches its session with: the same search serves both.
const SEARCHED_WITH: u32 = 500;

impl Services {
    /// The items of a session, in the order they were added.
    ///
    /// # Errors
    /// [`ServiceError::SessionNotFound`]; [`ServiceError::Invalid`] for a page token that is none.
    pub async fn list_items(
        &self,
        session: &LabelingSessionId,
        filter: ItemFilter,
        page: PageRequest<'_>,
    ) -> Result<Page<Item>, ServiceError> {
        let app = self.app_of_session(session).await?;
        let (found, page) = tokio::join!(
            self.reviews.get_session(&app, session),
            self.reviews.list_items(&app, session, filter, page)
        );
        let found = found?.ok_or_else(|| ServiceError::SessionNotFound(session.clone()))?;
        let mut page = page?;
        self.preview(&found, &mut page.entries).await;
        Ok(page)
    }

    /// An item.
    ///
    /// # Errors
    /// [`ServiceError::ItemNotFound`], also where there is no such session.
    pub async fn get_item(&self, session: &LabelingSessionId, id: &ItemId) -> Result<Item, ServiceError> {
        let app = self.app_of_session(session).await?;
        let item = self.reviews.get_item(&app, session, id).await?;
        let mut item = item.ok_or_else(|| ServiceError::ItemNotFound(id.clone()))?;
        self.preview_one(&mut item).await;
        Ok(item)
    }

    /// Changes an item; `seen` is its `last_update_time` as the user knows it.
    ///
    /// # Errors
    /// [`ServiceError::ItemNotFound`], also where there is no such session; [`ServiceError::Conflict`].
    pub async fn update_item(
        &self,
        session: LabelingSessionId,
        id: ItemId,
        change: ItemChange,
        seen: Option<Timestamp>,
        by: String,
    ) -> Result<Item, ServiceError> {
        change.check()?;
        let app = self.app_of_session(&session).await?;
        let target = ItemTarget {
            services: self.clone(),
            app,
            session,
            id,
            fields: change.fields(),
            by,
        };
        let apply = move |item: &mut Item| Ok(item.apply(change.clone())?);
        let changed = self.write(Vec::new(), changed(target, seen, apply));
        let mut item = changed.await?;
        self.preview_one(&mut item).await;
        Ok(item)
    }

    /// Takes an item away. Its trace stays linked to the session's run, and labels already given stay.
    ///
    /// # Errors
    /// [`ServiceError::ItemNotFound`], also where there is no such session; [`ServiceError::Conflict`] when it is not as
    /// the user has seen it.
    pub async fn delete_item(
        &self,
        session: LabelingSessionId,
        id: ItemId,
        seen: Option<Timestamp>,
    ) -> Result<(), ServiceError> {
        let app = self.app_of_session(&session).await?;
        let services = self.clone();
        self.write(vec![Thing::Assignments], async move {
            let _turn = services.changing.wait(&id).await;
            if seen.is_some()
                && let Some(item) = services.reviews.get_item(&app, &session, &id).await?
            {
                check_seen(seen.as_ref(), &item)?;
            }
            if services.reviews.delete_item(&app, &session, &id).await? {
                return Ok(());
            }
            Err(ServiceError::ItemNotFound(id))
        })
        .await
    }

    /// Adds what the traces say in short. An item without is better than none: trouble is only logged.
    async fn preview(&self, session: &LabelingSession, items: &mut [Item]) {
        let wanted: Vec<_> = items
            .iter()
            .filter_map(|item| item.source.trace_id.clone())
            .collect();
        let Some(run) = session.mlflow_run_id.clone().filter(|_| !wanted.is_empty()) else {
            return;
        };
        // One search finds them all, where asking for each by its id costs MLflow several times as much.
        let search = TraceSearch {
            experiment_ids: Vec::new(),
            filter: None,
            run_id: Some(run),
            max_results: SEARCHED_WITH,
            page_token: None,
            order_by: Vec::new(),
            spans: SpanInclusion::None,
        };
        let mut infos: HashMap<TraceId, Arc<InfoEntry>> =
            match self.search_infos(search, Freshness::Cached).await {
                Ok(found) => found.map(|info| (info.trace_id().clone(), info)).collect(),
                Err(error) => {
                    tracing::warn!(%error, "items are shown without previews");
                    return;
                }
            };
        let missing: Vec<_> = wanted.into_iter().filter(|id| !infos.contains_key(id)).collect();
        let others = self.many_infos(&missing, Freshness::Cached).await;
        infos.extend(
            others
                .into_iter()
                .filter_map(|(id, info)| Some((id, info.ok()?.value))),
        );
        for item in items {
            if let Some(info) = item.source.trace_id.as_ref().and_then(|id| infos.get(id)) {
                set_previews(item, info);
            }
        }
    }

    async fn preview_one(&self, item: &mut Item) {
        if let Some(id) = &item.source.trace_id
            && let Ok(info) = self.trace_info(id, Freshness::Cached).await
        {
            set_previews(item, &info.value);
        }
    }
}

fn set_previews(item: &mut Item, info: &InfoEntry) {
    let (request, response) = info.previews();
    item.request_preview = request;
    item.response_preview = response;
}
