//! Whose eyes the data is seen with: those of this server's own credentials, or of each user's own token.

use std::sync::Arc;

use mlflow_client::{ConfigError, MlflowClient};
use ring::digest::{Context, SHA256};
use secrecy::{ExposeSecret, SecretString};
use service::insights::{ChatModel, ServingModel};
use service::{DatabricksReviews, ReviewBackend, Scope, SqlReviews, View};
use store::Store;

/// Makes the view of each user.
#[derive(Debug)]
pub struct UserViews {
    client: MlflowClient,
    reviews: ReviewsOfUsers,
    model: Model,
    /// Drawn anew by each process: a digest seen in one says nothing in another.
    salt: [u8; 32],
}

/// Who is asked for insights.
#[derive(Debug, Clone)]
pub enum Model {
    /// Nobody.
    None,
    /// A server of its own, by the same key for all.
    Shared(Arc<dyn ChatModel>),
    /// The workspace's serving endpoints, by each user in their own name where their own tokens count.
    Serving(ServingModel),
}

impl Model {
    /// Whom the server itself asks.
    pub fn own(&self) -> Option<Arc<dyn ChatModel>> {
        match self {
            Self::None => None,
            Self::Shared(chat) => Some(Arc::clone(chat)),
            Self::Serving(serving) => Some(Arc::new(serving.clone())),
        }
    }

    /// Whom the user asks whose client this is.
    fn of_user(&self, client: &MlflowClient) -> Option<Arc<dyn ChatModel>> {
        match self {
            Self::Serving(serving) => Some(Arc::new(serving.asked_by(client.clone()))),
            Self::None | Self::Shared(_) => self.own(),
        }
    }
}

/// Where users' reviews are kept.
#[derive(Debug)]
pub enum ReviewsOfUsers {
    /// In the workspace, where each sees what they may.
    Workspace,
    /// In our own database; their runs are made in each user's name.
    Store(Store),
}

impl UserViews {
    /// Views of what this client sees, each with a user's own token.
    pub fn new(client: MlflowClient, reviews: ReviewsOfUsers, model: Model) -> Self {
        Self {
            client,
            reviews,
            model,
            salt: rand::random(),
        }
    }

    /// The view of the user of this name, with this token.
    ///
    /// # Errors
    /// When the token cannot stand in a header.
    pub fn of(&self, name: &str, token: &SecretString) -> Result<View, ConfigError> {
        let client = self.client.of_user(token)?;
        let reviews: Arc<dyn ReviewBackend> = match &self.reviews {
            ReviewsOfUsers::Workspace => Arc::new(DatabricksReviews::new(client.clone())),
            ReviewsOfUsers::Store(store) => {
                Arc::new(SqlReviews::new(store.clone(), Arc::new(client.clone())))
            }
        };
        Ok(View {
            scope: Scope::of_user(name, self.digest(token)),
            chat: self.model.of_user(&client),
            source: Arc::new(client.clone()),
            sink: Arc::new(client),
            reviews,
        })
    }

    fn digest(&self, token: &SecretString) -> [u8; 32] {
        let mut digest = Context::new(&SHA256);
        digest.update(&self.salt);
        digest.update(token.expose_secret().as_bytes());
        let mut bytes = [0; 32];
        // SHA-256 has as many.
        bytes.copy_from_slice(digest.finish().as_ref());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chat_client::{ChatError, ChatRequest};
    use harness::{ChatReply, TOKEN, Workspace};
    use mlflow_client::{AuthSettings, ClientConfig, TrackingServer};
    use std::time::Duration;

    async fn complete(chat: Option<Arc<dyn ChatModel>>) -> Result<String, ChatError> {
        let request = ChatRequest {
            model: "small".into(),
            system: String::new(),
            user: String::new(),
            schema_name: "thing",
            schema: serde_json::json!({}),
            max_output_tokens: 1,
        };
        Ok(chat.unwrap().complete(&request).await?.content)
    }

    #[tokio::test]
    async fn users_ask_the_workspaces_models_by_their_own_tokens() {
        let workspace = Workspace::over("http://127.0.0.1:1").await;
        workspace.model_answers(vec![ChatReply::Says("yes".into()); 2]);
        let settings = AuthSettings {
            databricks_host: Some(workspace.url.clone()),
            databricks_token: Some(TOKEN.into()),
            ..AuthSettings::default()
        };
        let server = TrackingServer::resolve("databricks", &settings).unwrap();
        let client = MlflowClient::new(&ClientConfig::new(server)).unwrap();
        let model = Model::Serving(ServingModel::new(client.clone(), Duration::from_secs(9)));
        let views = UserViews::new(client, ReviewsOfUsers::Workspace, model.clone());
        let of = |token: &str| views.of("ann", &token.into()).unwrap().chat;
        assert!(matches!(
            complete(of("planted-other")).await,
            Err(ChatError::Unauthorized)
        ));
        assert!(workspace.model_requests().is_empty(), "not by the server's own");
        assert_eq!(complete(of(TOKEN)).await.unwrap(), "yes");
        assert_eq!(complete(model.own()).await.unwrap(), "yes");
    }
}
