//! Who is asked for insights: a model behind an OpenAI-compatible server, or behind a serving endpoint of a workspace.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chat_client::{ChatAnswer, ChatClient, ChatError, ChatRequest, Wire};
use domain::BrokenRule;
use mlflow_client::{ClientError, MlflowClient};
use tokio::time::Instant;

/// The longest name of a model, in bytes.
const MAX_NAME: usize = 200;

/// A chat model that can be asked. It answers with text and calls nothing.
#[async_trait]
pub trait ChatModel: Send + Sync + std::fmt::Debug {
    /// Asks it.
    async fn complete(&self, request: &ChatRequest) -> Result<ChatAnswer, ChatError>;

    /// What it is, for people; no address and no secret.
    fn describe(&self) -> String;

    /// Refuses a name that no model of this kind has.
    fn check_name(&self, name: &str) -> Result<(), BrokenRule>;
}

#[async_trait]
impl ChatModel for ChatClient {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatAnswer, ChatError> {
        self.complete(request).await
    }

    fn describe(&self) -> String {
        "an OpenAI-compatible server".to_owned()
    }

    fn check_name(&self, name: &str) -> Result<(), BrokenRule> {
        check_characters(name, "-_./:@")
    }
}

/// The serving endpoints of a workspace.
#[derive(Debug, Clone)]
pub struct ServingModel {
    client: MlflowClient,
    timeout: Duration,
    wire: Arc<Wire>,
}

impl ServingModel {
    /// Endpoints of this client's workspace. `timeout` bounds a question, its tries included.
    pub fn new(client: MlflowClient, timeout: Duration) -> Self {
        Self {
            client,
            timeout,
            wire: Arc::default(),
        }
    }

    /// The same endpoints, asked in the name of the user whose client this is.
    #[must_use]
    pub fn asked_by(&self, client: MlflowClient) -> Self {
        Self {
            client,
            ..self.clone()
        }
    }
}

#[async_trait]
impl ChatModel for ServingModel {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatAnswer, ChatError> {
        let deadline = Instant::now() + self.timeout;
        let ask = |body: serde_json::Value| async move {
            let left = deadline.saturating_duration_since(Instant::now());
            let answer = self
                .client
                .invoke_serving_endpoint(&request.model, &body, left)
                .await;
            answer.map_err(|error| chat_error(error, self.timeout))
        };
        self.wire.ask(request, ask).await
    }

    fn describe(&self) -> String {
        "a serving endpoint of the workspace".to_owned()
    }

    fn check_name(&self, name: &str) -> Result<(), BrokenRule> {
        check_characters(name, "-_.")?;
        if name.chars().all(|c| c == '.') {
            return Err(BrokenRule::new(
                "model_endpoint",
                "must be the name of a serving endpoint",
            ));
        }
        Ok(())
    }
}

fn check_characters(name: &str, marks: &str) -> Result<(), BrokenRule> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || marks.contains(c);
    if !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(is_allowed) {
        return Ok(());
    }
    let rule = format!("must be 1 to {MAX_NAME} letters, digits or any of {marks}");
    Err(BrokenRule::new("model_endpoint", rule))
}

/// What the failure of a call of the workspace means for the one who asks a model.
fn chat_error(error: ClientError, limit: Duration) -> ChatError {
    let retry_after = error.retry_after();
    match error {
        ClientError::Unauthorized { .. }
        | ClientError::Forbidden { .. }
        | ClientError::UserUnauthorized { .. }
        | ClientError::UserForbidden { .. }
        | ClientError::Credentials(_) => ChatError::Unauthorized,
        ClientError::RateLimited { .. } => ChatError::RateLimited { retry_after },
        ClientError::Rejected { status, message, .. } => ChatError::rejected(status, &message),
        ClientError::NotFound { message, .. } => ChatError::rejected(404, &message),
        ClientError::RouteAbsent { .. } => ChatError::rejected(404, ""),
        ClientError::Failed { status, .. } | ClientError::Unavailable { status, .. } => {
            ChatError::Unavailable { status, retry_after }
        }
        ClientError::Contended { .. } | ClientError::PoolExhausted { .. } | ClientError::LeftAlone { .. } => {
            ChatError::Unavailable {
                status: 503,
                retry_after,
            }
        }
        ClientError::Unreachable { .. } => ChatError::Unreachable {
            reason: "no connection, or it broke",
            is_connect: false,
        },
        ClientError::Timeout { .. } => ChatError::Timeout { limit },
        ClientError::TooLarge { limit, .. } => ChatError::TooLarge { limit },
        ClientError::Malformed { .. }
        | ClientError::SpansNotFound { .. }
        | ClientError::ArtifactsElsewhere { .. } => ChatError::Malformed {
            reason: "it is not what a serving endpoint answers",
        },
    }
}
