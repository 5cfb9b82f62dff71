//! Review apps.

use domain::{ExperimentId, ReviewApp, ReviewAppChange, ReviewAppId};
use reqwest::Method;
use serde_json::json;

use super::{Page, PageAnswer, REVIEW_APPS, app_path, given, page_call, patch_call};
use crate::client::MlflowClient;
use crate::error::ClientError;
use crate::transport::Call;

/// Review apps asked for with each call; as many as Databricks' own client asks for of sessions and items.
const PAGE_SIZE: u32 = 500;
/// The most pages that are followed. An experiment has one review app; a server that goes on past this never ends.
const MAX_PAGES: usize = 20;

impl MlflowClient {
    /// The review apps of an experiment, of all pages: one, or none.
    ///
    /// # Errors
    /// [`ClientError::RouteAbsent`] on an open-source server; [`ClientError::Malformed`] when the pages do not end.
    pub async fn list_review_apps(&self, experiment: &ExperimentId) -> Result<Vec<ReviewApp>, ClientError> {
        let mut found = Vec::new();
        let mut token = None;
        for _ in 0..MAX_PAGES {
            let call = page_call(
                "review_apps.list",
                REVIEW_APPS.to_owned(),
                PAGE_SIZE,
                token.as_deref(),
            )
            .query("filter", format!("experiment_id={experiment}"));
            let page = Page::from(self.transport().json::<PageAnswer<ReviewApp>>(&call).await?);
            found.extend(page.entries);
            token = page.next_page_token;
            if token.is_none() {
                return Ok(found);
            }
        }
        Err(ClientError::Malformed {
            operation: "review_apps.list",
            reason: format!("more than {MAX_PAGES} pages"),
        })
    }

    /// One review app.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the workspace does not know it.
    pub async fn get_review_app(&self, id: &ReviewAppId) -> Result<ReviewApp, ClientError> {
        let call = Call::get("review_apps.get", app_path(id));
        self.transport().json(&call).await
    }

    /// Makes the review app of an experiment. Not idempotent.
    ///
    /// # Errors
    /// [`ClientError::Rejected`] when the workspace refuses it, as it may where there is one already.
    pub async fn create_review_app(
        &self,
        experiment: &ExperimentId,
        new: &ReviewAppChange,
    ) -> Result<ReviewApp, ClientError> {
        let body = given(json!({
            "experiment_id": experiment,
            "agents": new.agents,
            "labeling_schemas": new.labeling_schemas,
        }));
        let call = Call::write("review_apps.create", Method::POST, REVIEW_APPS, &body)?;
        self.transport().json(&call).await
    }

    /// Sets these members of a review app to what `app` says of them; as it is then. Idempotent: a list is set whole.
    /// Without fields it only reads.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the workspace does not know it, [`ClientError::Rejected`] when it refuses the
    /// change.
    pub async fn update_review_app(
        &self,
        app: &ReviewApp,
        fields: &[&'static str],
    ) -> Result<ReviewApp, ClientError> {
        let id = &app.review_app_id;
        if fields.is_empty() {
            return self.get_review_app(id).await;
        }
        let call = patch_call("review_apps.update", app_path(id), fields, app)?;
        self.transport().json(&call).await
    }
}
