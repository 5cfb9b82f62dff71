//! Items of a labeling session.

use domain::{Item, ItemId, LabelingSessionId, ReviewAppId, TraceId};
use reqwest::Method;
use serde_json::json;

use super::{Page, PageAnswer, page_call, patch_call, session_path};
use crate::client::MlflowClient;
use crate::error::ClientError;
use crate::transport::Call;

/// Items made with each call. No limit of Databricks is known; its own client sends all at once. As many traces as are
/// linked to a run in one call.
const MAX_ITEMS: usize = 100;

impl MlflowClient {
    /// One page of a session's items; `page_size` is 1 to 1000.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the workspace does not know the session.
    pub async fn list_items(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        page_size: u32,
        page_token: Option<&str>,
    ) -> Result<Page<Item>, ClientError> {
        let path = format!("{}/items", session_path(app, session));
        let call = page_call("items.list", path, page_size, page_token);
        Ok(self.transport().json::<PageAnswer<Item>>(&call).await?.into())
    }

    /// One item.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the workspace does not know it.
    pub async fn get_item(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        item: &ItemId,
    ) -> Result<Item, ClientError> {
        let call = Call::get("items.get", item_path(app, session, item));
        self.transport().json(&call).await
    }

    /// Makes an item for each trace, 100 with each call, one call after the other. Not idempotent: whether a trace that
    /// has an item gets another is the workspace's to decide. When one call fails, the items of those before it are
    /// made, and only the list tells which.
    ///
    /// Answers the items as far as the workspace tells them, which may be none. They must be linked to the session's
    /// run besides (see [`Self::link_traces`]).
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the workspace does not know the session, [`ClientError::Rejected`] when it
    /// refuses a trace.
    pub async fn create_items(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        traces: &[TraceId],
    ) -> Result<Vec<Item>, ClientError> {
        let path = format!("{}/items:batchCreate", session_path(app, session));
        let source = |trace_id: &TraceId| json!({"source": {"trace_id": trace_id}});
        let mut made = Vec::new();
        for traces in traces.chunks(MAX_ITEMS) {
            let items: Vec<_> = traces.iter().map(source).collect();
            let body = json!({ "items": items });
            let call = Call::write("items.create", Method::POST, path.clone(), &body)?;
            let answer: PageAnswer<Item> = self.transport().json(&call).await?;
            made.extend(answer.entries);
        }
        Ok(made)
    }

    /// Sets these members of an item to what `item` says of them (`state`, `labels`, `chat_rounds`, `comment`); as it
    /// is then. Idempotent: each member is set whole, labels included. Without fields it only reads.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the workspace does not know it, [`ClientError::Rejected`] when it refuses the
    /// change, as it does a member it does not know.
    pub async fn update_item(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        item: &Item,
        fields: &[&'static str],
    ) -> Result<Item, ClientError> {
        if fields.is_empty() {
            return self.get_item(app, session, &item.item_id).await;
        }
        let path = item_path(app, session, &item.item_id);
        let call = patch_call("items.update", path, fields, item)?;
        self.transport().json(&call).await
    }

    /// Deletes an item.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the workspace does not know it (any more: also when a first try deleted it and
    /// its answer was lost).
    pub async fn delete_item(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
        item: &ItemId,
    ) -> Result<(), ClientError> {
        let call = Call::delete("items.delete", item_path(app, session, item));
        self.transport().done(&call).await
    }
}

fn item_path(app: &ReviewAppId, session: &LabelingSessionId, item: &ItemId) -> String {
    format!("{}/items/{item}", session_path(app, session))
}
