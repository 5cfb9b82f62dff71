//! The client: one pool, one address, one key.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use calls::Calls;
use opentelemetry::KeyValue;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Response, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::answer::ChatAnswer;
use crate::error::ChatError;
use crate::request::ChatRequest;
use crate::retry::Tries;
use crate::wire::Wire;

/// By which questions are counted.
const OPERATION: &str = "model.chat";

const USER_AGENT: &str = concat!("trace-server/", env!("CARGO_PKG_VERSION"));

/// The largest answer that is read, in bytes: a model writes a few pages.
const MAX_ANSWER: usize = 1 << 20;
/// The most of an error body that is read, in bytes.
const MAX_ERROR_BODY: usize = 16 << 10;

/// What a [`ChatClient`] is made from.
#[derive(Clone)]
pub struct ChatConfig {
    /// The address below which `/chat/completions` is; its query is kept.
    pub base_url: Url,
    /// The bearer token, where the server wants one.
    pub api_key: Option<SecretString>,
    /// Time to open a connection, TLS included.
    pub connect_timeout: Duration,
    /// Time for a question, its tries included.
    pub timeout: Duration,
    /// Where questions are counted.
    pub calls: Calls,
}

impl std::fmt::Debug for ChatConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatConfig")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A client of one OpenAI-compatible server. Clones are cheap and share everything.
#[derive(Clone)]
pub struct ChatClient(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    url: Url,
    authorization: Option<HeaderValue>,
    timeout: Duration,
    wire: Wire,
    calls: Calls,
}

impl std::fmt::Debug for ChatClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatClient")
            .field("timeout", &self.0.timeout)
            .field("wire", &self.0.wire)
            .finish_non_exhaustive()
    }
}

impl ChatClient {
    /// Makes a client; sends nothing yet.
    ///
    /// # Errors
    /// [`ChatError::Config`] when the address is none, holds credentials, or the key cannot stand in a header.
    pub fn new(config: ChatConfig) -> Result<Self, ChatError> {
        let inner = Inner {
            http: http_client(config.connect_timeout)?,
            url: completions_url(config.base_url)?,
            authorization: config.api_key.as_ref().map(bearer).transpose()?,
            timeout: config.timeout,
            wire: Wire::default(),
            // The conventions' word for whom it is that is called; where they are is not told.
            calls: config
                .calls
                .beside([("gen_ai.operation.name", "chat".to_owned())]),
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Asks the model. Tried again, twice at most and within the time for all, when there was no connection, no answer, or a
    /// 408, 429 or 5xx.
    ///
    /// # Errors
    /// [`ChatError`], by meaning.
    pub async fn complete(&self, request: &ChatRequest) -> Result<ChatAnswer, ChatError> {
        let limit = self.0.timeout;
        let asked = async {
            let asked = self.0.wire.ask(request, |body| self.send(body));
            let in_time = tokio::time::timeout(limit, asked).await;
            let answer = in_time.unwrap_or(Err(ChatError::Timeout { limit }));
            calls::note(told(request, answer.as_ref().ok()));
            answer
        };
        self.0.calls.of(OPERATION, asked).await
    }

    async fn send(&self, body: Value) -> Result<Bytes, ChatError> {
        let body = Bytes::from(body.to_string());
        let mut tries = Tries::within(self.0.timeout);
        loop {
            let attempt = tokio::time::timeout(tries.time_for_one(), self.attempt(body.clone()));
            let limit = tries.limit();
            let error = match attempt.await.unwrap_or(Err(ChatError::Timeout { limit })) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(pause) = tries.pause_before_next(&error) else {
                return Err(error);
            };
            self.0.calls.count_retry(OPERATION, &error);
            tracing::debug!(%error, pause_ms = pause.as_millis(), "asking the model again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, body: Bytes) -> Result<Bytes, ChatError> {
        let mut request = self
            .0
            .http
            .post(self.0.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        if let Some(authorization) = &self.0.authorization {
            request = request.header(header::AUTHORIZATION, authorization.clone());
        }
        let answer = request
            .send()
            .await
            .map_err(|error| ChatError::from_reqwest(&error))?;
        if answer.status().is_success() {
            return whole(answer, MAX_ANSWER).await;
        }
        Err(refusal(answer).await)
    }
}

/// What the span of a question says of it, by OpenTelemetry's conventions for generative AI: of what is asked and answered only
/// how much it is.
fn told(request: &ChatRequest, answer: Option<&ChatAnswer>) -> impl Iterator<Item = KeyValue> {
    let usage = answer.and_then(|answer| answer.usage);
    let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
    let model = KeyValue::new("gen_ai.request.model", request.model.clone());
    let usage = usage.map(|usage| {
        [
            KeyValue::new("gen_ai.usage.input_tokens", count(usage.prompt_tokens)),
            KeyValue::new("gen_ai.usage.output_tokens", count(usage.completion_tokens)),
        ]
    });
    std::iter::once(model).chain(usage.into_iter().flatten())
}

/// Reads a body whole, or not at all.
async fn whole(mut answer: Response, limit: usize) -> Result<Bytes, ChatError> {
    let mut body = BytesMut::new();
    loop {
        let chunk = answer.chunk().await;
        let Some(chunk) = chunk.map_err(|error| ChatError::from_reqwest(&error))? else {
            return Ok(body.freeze());
        };
        if body.len() + chunk.len() > limit {
            return Err(ChatError::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
}

/// An error body as OpenAI writes it, and as others do.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    error: ErrorWords,
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorWords {
    message: String,
}

async fn refusal(answer: Response) -> ChatError {
    let status = answer.status().as_u16();
    let retry_after = retry_after(answer.headers());
    match status {
        401 | 403 => ChatError::Unauthorized,
        429 => ChatError::RateLimited { retry_after },
        408 | 500.. => ChatError::Unavailable { status, retry_after },
        _ => {
            let body = whole(answer, MAX_ERROR_BODY).await.unwrap_or_default();
            let said: ErrorBody = serde_json::from_slice(&body).unwrap_or_default();
            let words = [said.error.message, said.message];
            let words = words.into_iter().find(|words| !words.is_empty());
            match words {
                Some(words) => ChatError::rejected(status, &words),
                None => ChatError::rejected(status, &String::from_utf8_lossy(&body)),
            }
        }
    }
}

/// Whole seconds only; a date would need a clock we share.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

fn completions_url(mut url: Url) -> Result<Url, ChatError> {
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(ChatError::Config(
            "the model's address must be http:// or https://",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ChatError::Config("the model's address must hold no credentials"));
    }
    url.set_path(&format!("{}/chat/completions", url.path().trim_end_matches('/')));
    url.set_fragment(None);
    Ok(url)
}

fn bearer(key: &SecretString) -> Result<HeaderValue, ChatError> {
    let value = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret().trim()));
    let mut value = value.map_err(|_| ChatError::Config("the model's key cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Redirects are not followed: an API does not redirect, and the key is for this server alone.
fn http_client(connect_timeout: Duration) -> Result<reqwest::Client, ChatError> {
    // Err means that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(connect_timeout)
        .tcp_nodelay(true)
        .redirect(redirect::Policy::none())
        .build()
        .map_err(|_| ChatError::Config("TLS cannot be set up for the model's server"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str, key: &str) -> ChatConfig {
        ChatConfig {
            base_url: url.parse().unwrap(),
            api_key: Some(key.into()),
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            calls: Calls::default(),
        }
    }

    #[test]
    fn the_address_is_extended_and_its_query_kept() {
        let url = |text: &str| completions_url(text.parse().unwrap()).map(String::from);
        assert_eq!(url("http://h").unwrap(), "http://h/chat/completions");
        assert_eq!(
            url("https://h/openai/v1/?api-version=2#x").unwrap(),
            "https://h/openai/v1/chat/completions?api-version=2"
        );
        for wrong in [
            "ftp://h/v1",
            "file:///v1",
            "https://key@h/v1",
            "https://:key@h/v1",
        ] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn neither_address_nor_key_is_shown() {
        let config = config("http://planted-host/v1", "planted-key");
        let client = ChatClient::new(config.clone()).unwrap();
        let shown = format!("{config:?} {client:?}");
        assert!(!shown.contains("planted"), "{shown}");
    }

    #[test]
    fn a_key_that_cannot_stand_in_a_header_is_refused_unseen() {
        let error = ChatClient::new(config("http://h", "planted\nkey")).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("planted"));
    }
}
