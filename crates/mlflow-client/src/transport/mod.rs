//! The only place that sends requests: one pool, one gate on connections, one retry loop, one reading of status codes.

mod call;
mod response;
mod retry;
mod reuse;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

pub(crate) use call::Call;
pub(crate) use response::Response;

use crate::auth::{Authenticator, ConfigError};
use crate::capabilities::Flavor;
use crate::config::{ClientConfig, Timeouts};
use crate::error::ClientError;
use retry::Retries;
use reuse::Reuse;

const USER_AGENT: &str = concat!("trace-server/", env!("CARGO_PKG_VERSION"));

/// Sends calls to one server.
#[derive(Debug)]
pub(crate) struct Transport {
    base_url: Url,
    flavor: Flavor,
    authenticator: Authenticator,
    reuse: Reuse,
    connections: Arc<Semaphore>,
    timeouts: Timeouts,
    retries: Retries,
    max_buffered_bytes: usize,
}

impl Transport {
    pub(crate) fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        let pooled = http_client(config, config.pool.max_idle_per_host)?;
        let fresh = http_client(config, 0)?;
        let scheme = config.server.base_url.scheme();
        let reuse = Reuse::new(config.pool.reuse, scheme, pooled.clone(), fresh);
        Ok(Self {
            base_url: config.server.base_url.clone(),
            flavor: config.server.flavor,
            authenticator: Authenticator::new(&config.server, pooled)?,
            reuse,
            connections: Arc::new(Semaphore::new(config.pool.max_connections)),
            timeouts: config.timeouts,
            retries: Retries::new(config.retry),
            max_buffered_bytes: config.max_buffered_bytes,
        })
    }

    /// Sends a call and reads its JSON answer whole.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ClientError> {
        self.within_deadline(
            call,
            self.retrying(call, || async {
                let body = self.send(call).await?.whole(self.max_buffered_bytes).await?;
                serde_json::from_slice(&body).map_err(|error| call.malformed(&error))
            }),
        )
        .await
    }

    /// Sends a call and returns once its answer begins.
    pub(crate) async fn open(&self, call: &Call) -> Result<Response, ClientError> {
        self.within_deadline(call, self.retrying(call, || self.send(call)))
            .await
    }

    /// Sends a call and reads its answer whole as text, at most `limit` bytes and within `deadline`; never retried.
    pub(crate) async fn short_text(
        &self,
        call: &Call,
        limit: usize,
        deadline: Duration,
    ) -> Result<String, ClientError> {
        let read = async {
            let body = self.send(call).await?.whole(limit).await?;
            Ok(String::from_utf8_lossy(&body).into_owned())
        };
        within(call.operation, deadline, read).await
    }

    /// Opens a signed URL of a cloud store: with exactly the headers that came with it, never with our credentials.
    pub(crate) async fn open_signed(
        &self,
        operation: &'static str,
        url: Url,
        headers: &[(String, String)],
    ) -> Result<Response, ClientError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().map_err(|_| malformed_header(operation))?;
            map.append(name, value.parse().map_err(|_| malformed_header(operation))?);
        }
        map.remove(header::AUTHORIZATION);
        let open = async {
            let permit = self.connection(operation).await?;
            let request = self.reuse.pooled().get(url).headers(map);
            let answer = request.send().await;
            let answer = answer.map_err(|e| ClientError::from_reqwest(operation, e, self.timeouts.read))?;
            Response::check(operation, answer, permit, self.timeouts.read).await
        };
        within(operation, self.timeouts.call, open).await
    }

    /// Whether connections are used again; measures if that is not decided. `None` when the server did not answer.
    pub(crate) async fn connection_reuse(&self) -> Option<bool> {
        self.reuse.decide(&self.url("/version")).await
    }

    async fn within_deadline<T>(
        &self,
        call: &Call,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        within(call.operation, self.timeouts.call, work).await
    }

    async fn retrying<T, F>(&self, call: &Call, attempt: impl Fn() -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let mut retries = self.retries.begin(call.is_idempotent, self.flavor);
        loop {
            let error = match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(pause) = retries.pause_before_next(&error) else {
                return Err(error);
            };
            tracing::debug!(operation = call.operation, %error, pause_ms = pause.as_millis(), "trying again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn send(&self, call: &Call) -> Result<Response, ClientError> {
        let permit = self.connection(call.operation).await?;
        let authorization = self.authenticator.header().await?;
        let result = self.send_as(call, authorization.clone(), permit).await;
        match (result, authorization) {
            // A token may be withdrawn before its time: one try with a new one.
            (Err(ClientError::Unauthorized { .. }), Some(used))
                if self.authenticator.refused(&used).await =>
            {
                let permit = self.connection(call.operation).await?;
                let renewed = self.authenticator.header().await?;
                self.send_as(call, renewed, permit).await
            }
            (result, _) => result,
        }
    }

    async fn send_as(
        &self,
        call: &Call,
        authorization: Option<HeaderValue>,
        permit: OwnedSemaphorePermit,
    ) -> Result<Response, ClientError> {
        let mut request = self
            .reuse
            .client()
            .request(call.method.clone(), self.url(&call.path))
            .query(&call.query);
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(body) = &call.body {
            request = request
                .header(header::CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        let answer = request.send().await;
        let answer = answer.map_err(|e| ClientError::from_reqwest(call.operation, e, self.timeouts.read))?;
        Response::check(call.operation, answer, permit, self.timeouts.read).await
    }

    /// A place among the open connections; given back when the answer has been read or dropped.
    async fn connection(&self, operation: &'static str) -> Result<OwnedSemaphorePermit, ClientError> {
        let limit = self.timeouts.pool_wait;
        match tokio::time::timeout(limit, Arc::clone(&self.connections).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed, so this is the time limit.
            _ => Err(ClientError::PoolExhausted { operation, limit }),
        }
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base_url.clone();
        url.set_path(&format!("{}{path}", self.base_url.path().trim_end_matches('/')));
        url
    }
}

async fn within<T>(
    operation: &'static str,
    limit: Duration,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    let in_time = tokio::time::timeout(limit, work).await;
    in_time.unwrap_or(Err(ClientError::Timeout {
        operation,
        phase: "whole call",
        limit,
    }))
}

fn malformed_header(operation: &'static str) -> ClientError {
    ClientError::Malformed {
        operation,
        reason: "a header for the signed URL is not a header".to_owned(),
    }
}

/// Redirects are not followed: an API does not redirect, and a login page is no answer.
fn http_client(config: &ClientConfig, idle_per_host: usize) -> Result<reqwest::Client, ConfigError> {
    // Err means that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(config.timeouts.connect)
        .read_timeout(config.timeouts.read)
        .tcp_user_timeout(config.timeouts.write)
        .tcp_nodelay(true)
        .pool_max_idle_per_host(idle_per_host)
        .redirect(redirect::Policy::none())
        .build()
        .map_err(|error| ConfigError::Tls {
            reason: error.without_url().to_string(),
        })
}
