//! Labeling sessions of a review app.

use domain::{LabelingSession, LabelingSessionId, ReviewAppId, SessionChange};
use reqwest::Method;
use serde_json::json;

use super::{Page, PageAnswer, given, page_call, patch_call, session_path, sessions_path};
use crate::client::MlflowClient;
use crate::error::ClientError;
use crate::transport::Call;

impl MlflowClient {
    /// One page of a review app's labeling sessions; `page_size` is 1 to 1000.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the workspace does not know the review app.
    pub async fn list_labeling_sessions(
        &self,
        app: &ReviewAppId,
        page_size: u32,
        page_token: Option<&str>,
    ) -> Result<Page<LabelingSession>, ClientError> {
        let call = page_call(
            "labeling_sessions.list",
            sessions_path(app),
            page_size,
            page_token,
        );
        Ok(self
            .transport()
            .json::<PageAnswer<LabelingSession>>(&call)
            .await?
            .into())
    }

    /// One labeling session. (Databricks' own client lists them all and looks for it.)
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the workspace does not know it.
    pub async fn get_labeling_session(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
    ) -> Result<LabelingSession, ClientError> {
        let call = Call::get("labeling_sessions.get", session_path(app, session));
        self.transport().json(&call).await
    }

    /// Makes a labeling session; the workspace makes its MLflow run. Not idempotent: each call makes one more.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the workspace does not know the review app, [`ClientError::Rejected`] when it
    /// refuses the session (agents, schemas and users must be known to it).
    pub async fn create_labeling_session(
        &self,
        app: &ReviewAppId,
        new: &SessionChange,
    ) -> Result<LabelingSession, ClientError> {
        let body = given(json!({
            "name": new.name,
            "assigned_users": new.assigned_users,
            "labeling_schemas": new.labeling_schemas,
            "agent": new.agent,
            "dataset": new.dataset,
            "additional_configs": new.additional_configs,
        }));
        let call = Call::write(
            "labeling_sessions.create",
            Method::POST,
            sessions_path(app),
            &body,
        )?;
        self.transport().json(&call).await
    }

    /// Sets these members of a labeling session to what `session` says of them; as it is then. Idempotent: a list is
    /// set whole. Without fields it only reads.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the workspace does not know it, [`ClientError::Rejected`] when it refuses the
    /// change.
    pub async fn update_labeling_session(
        &self,
        app: &ReviewAppId,
        session: &LabelingSession,
        fields: &[&'static str],
    ) -> Result<LabelingSession, ClientError> {
        let id = &session.labeling_session_id;
        if fields.is_empty() {
            return self.get_labeling_session(app, id).await;
        }
        let path = session_path(app, id);
        let call = patch_call("labeling_sessions.update", path, fields, session)?;
        self.transport().json(&call).await
    }

    /// Deletes a labeling session.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the workspace does not know it (any more: also when a first try deleted it and
    /// its answer was lost).
    pub async fn delete_labeling_session(
        &self,
        app: &ReviewAppId,
        session: &LabelingSessionId,
    ) -> Result<(), ClientError> {
        let call = Call::delete("labeling_sessions.delete", session_path(app, session));
        self.transport().done(&call).await
    }
}
