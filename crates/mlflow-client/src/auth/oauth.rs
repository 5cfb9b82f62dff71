//! Databricks OAuth for service principals: one token for everyone, fetched once for all who wait.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::{bearer, resolve::ConfigError};
use crate::error::{ClientError, TransportError};

const OPERATION: &str = "oauth.token";
/// A token is renewed in the background when less than this part of its life is left.
const EARLY_RENEWAL_PART: u32 = 5;
/// One call to the token endpoint may take this long.
const TOKEN_CALL_LIMIT: Duration = Duration::from_secs(15);

#[derive(Debug, Clone)]
pub(crate) struct TokenCache(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    host: Url,
    client_id: String,
    client_secret: SecretString,
    /// The lock is held while a token is fetched: whoever waits for it finds the fresh token.
    token: Mutex<Option<Token>>,
    renewal: Mutex<()>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenCache")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    renew_at: Instant,
    expires_at: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: SecretString,
    #[serde(default = "an_hour")]
    expires_in: u64,
}

fn an_hour() -> u64 {
    3600
}

#[derive(Deserialize)]
struct Discovery {
    token_endpoint: Url,
}

impl TokenCache {
    pub(super) fn new(
        http: reqwest::Client,
        host: Url,
        client_id: String,
        client_secret: SecretString,
    ) -> Self {
        Self(Arc::new(Inner {
            http,
            host,
            client_id,
            client_secret,
            token: Mutex::new(None),
            renewal: Mutex::new(()),
        }))
    }

    pub(super) async fn header(&self) -> Result<HeaderValue, ClientError> {
        let mut token = self.0.token.lock().await;
        let now = Instant::now();
        match token.as_ref() {
            Some(current) if now < current.expires_at => {
                if now >= current.renew_at {
                    self.renew_in_background();
                }
                Ok(current.header.clone())
            }
            _ => Ok(token.insert(self.0.fetch().await?).header.clone()),
        }
    }

    pub(super) async fn forget(&self, used: &HeaderValue) {
        let mut token = self.0.token.lock().await;
        if token.as_ref().is_some_and(|current| current.header == used) {
            *token = None;
        }
    }

    fn renew_in_background(&self) {
        let cache = self.clone();
        tokio::spawn(async move {
            // Someone else is at it already.
            let Ok(_renewal) = cache.0.renewal.try_lock() else {
                return;
            };
            match cache.0.fetch().await {
                Ok(fresh) => *cache.0.token.lock().await = Some(fresh),
                Err(error) => tracing::warn!(%error, "the access token could not be renewed early"),
            }
        });
    }
}

impl Inner {
    async fn fetch(&self) -> Result<Token, ClientError> {
        let endpoint = self.token_endpoint().await;
        let asked_at = Instant::now();
        let answer = self
            .http
            .post(endpoint)
            .basic_auth(&self.client_id, Some(self.client_secret.expose_secret()))
            .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials&scope=all-apis")
            .timeout(TOKEN_CALL_LIMIT)
            .send()
            .await
            .map_err(unreachable)?;
        let status = answer.status();
        if matches!(status.as_u16(), 400 | 401 | 403) {
            return Err(ConfigError::ClientCredentialsRefused.into());
        }
        if !status.is_success() {
            return Err(ClientError::Unavailable {
                operation: OPERATION,
                status: status.as_u16(),
                retry_after: None,
            });
        }
        let body = answer.bytes().await.map_err(unreachable)?;
        let answer: TokenAnswer = serde_json::from_slice(&body).map_err(|error| ClientError::Malformed {
            operation: OPERATION,
            reason: format!("line {} column {}", error.line(), error.column()),
        })?;
        let life = Duration::from_secs(answer.expires_in);
        Ok(Token {
            header: bearer(&answer.access_token)?,
            renew_at: asked_at + life - life / EARLY_RENEWAL_PART,
            expires_at: asked_at + life,
        })
    }

    /// The discovered endpoint when it is on the workspace's own host, else the usual path there: the secret is
    /// sent nowhere else.
    async fn token_endpoint(&self) -> Url {
        let usual = with_path(&self.host, "/oidc/v1/token");
        let discovery = with_path(&self.host, "/oidc/.well-known/oauth-authorization-server");
        let Ok(answer) = self.http.get(discovery).timeout(TOKEN_CALL_LIMIT).send().await else {
            return usual;
        };
        let Ok(body) = answer.bytes().await else {
            return usual;
        };
        match serde_json::from_slice::<Discovery>(&body) {
            Ok(found) if found.token_endpoint.origin() == self.host.origin() => found.token_endpoint,
            _ => usual,
        }
    }
}

fn with_path(host: &Url, path: &str) -> Url {
    let mut url = host.clone();
    url.set_path(path);
    url
}

fn unreachable(error: reqwest::Error) -> ClientError {
    ClientError::Unreachable {
        operation: OPERATION,
        source: TransportError::new(error),
    }
}
