//! Databricks OAuth for service principals: one token for everyone, fetched once for all who wait.

use std::sync::Arc;
use std::time::Duration;

use calls::Calls;
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

/// After a failure no token is asked for again for this long: those who wait share the failure.
const FAILURE_PAUSE: Duration = Duration::from_secs(2);
/// After an early renewal that failed the next is this far.
const RENEWAL_PAUSE: Duration = Duration::from_secs(30);
/// A token that is refused within this time of being fetched is not fetched anew.
const YOUNG_FOR: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub(crate) struct TokenCache(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    host: Url,
    client_id: String,
    client_secret: SecretString,
    calls: Calls,
    /// The lock is held while a token is fetched: whoever waits for it finds the fresh token, or the failure.
    state: Mutex<State>,
    renewal: Mutex<()>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenCache")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    failed: Option<(Instant, Failure)>,
}

/// Why a token could not be had, for those who ask soon after.
#[derive(Clone, Copy)]
enum Failure {
    Refused,
    Unavailable,
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    fetched_at: Instant,
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
        calls: Calls,
    ) -> Self {
        Self(Arc::new(Inner {
            http,
            host,
            client_id,
            client_secret,
            calls,
            state: Mutex::default(),
            renewal: Mutex::new(()),
        }))
    }

    pub(super) async fn header(&self) -> Result<HeaderValue, ClientError> {
        let mut state = self.0.state.lock().await;
        let now = Instant::now();
        if let Some(current) = state.token.as_ref().filter(|token| now < token.expires_at) {
            if now >= current.renew_at {
                self.renew_in_background();
            }
            return Ok(current.header.clone());
        }
        if let Some((at, failure)) = state.failed
            && at.elapsed() < FAILURE_PAUSE
        {
            return Err(failure.into());
        }
        let fetched = self.0.fetch().await;
        state.failed = fetched
            .as_ref()
            .err()
            .map(|error| (Instant::now(), Failure::from(error)));
        Ok(state.token.insert(fetched?).header.clone())
    }

    /// Drops a token the server refused. A young one stays: a server that refuses every token is not helped by more.
    pub(super) async fn forget(&self, used: &HeaderValue) -> bool {
        let mut state = self.0.state.lock().await;
        let Some(current) = state.token.as_ref().filter(|token| token.header == used) else {
            return true;
        };
        let is_old = current.fetched_at.elapsed() >= YOUNG_FOR;
        if is_old {
            state.token = None;
        }
        is_old
    }

    fn renew_in_background(&self) {
        let cache = self.clone();
        tokio::spawn(async move {
            // Someone else is at it already.
            let Ok(_renewal) = cache.0.renewal.try_lock() else {
                return;
            };
            let is_due = |token: &Token| Instant::now() >= token.renew_at;
            if !cache.0.state.lock().await.token.as_ref().is_some_and(is_due) {
                return;
            }
            let fetched = cache.0.fetch().await;
            let mut state = cache.0.state.lock().await;
            match (fetched, state.token.as_mut()) {
                (Ok(fresh), _) => state.token = Some(fresh),
                (Err(error), Some(token)) => {
                    tracing::warn!(%error, "the access token could not be renewed early; trying again in a while");
                    token.renew_at = Instant::now() + RENEWAL_PAUSE;
                }
                (Err(_), None) => {}
            }
        });
    }
}

impl From<&ClientError> for Failure {
    fn from(error: &ClientError) -> Self {
        if matches!(error, ClientError::Credentials(_)) {
            Self::Refused
        } else {
            Self::Unavailable
        }
    }
}

impl From<Failure> for ClientError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused => ConfigError::ClientCredentialsRefused.into(),
            Failure::Unavailable => Self::Unavailable {
                operation: OPERATION,
                status: 503,
                retry_after: Some(FAILURE_PAUSE),
            },
        }
    }
}

impl Inner {
    async fn fetch(&self) -> Result<Token, ClientError> {
        let fetched = self.ask().await;
        self.calls.count_token(&fetched);
        fetched
    }

    async fn ask(&self) -> Result<Token, ClientError> {
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
            fetched_at: asked_at,
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
