//! The only place that sends requests: one pool, one gate on connections, one retry loop, one reading of status codes.

mod call;
mod response;
mod retry;
mod reuse;

use std::sync::Arc;
use std::time::Duration;

use breaker::{Breaker, BreakerReport, BreakerState};
use bytes::Bytes;
use calls::Calls;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, redirect};
use secrecy::SecretString;
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

pub(crate) use call::Call;
pub(crate) use response::Response;

use crate::auth::{Authenticator, ConfigError};
use crate::capabilities::Flavor;
use crate::config::{ClientConfig, Timeouts};
use crate::error::{Answers, ClientError};
use retry::Retries;
use reuse::Reuse;

const USER_AGENT: &str = concat!("trace-server/", env!("CARGO_PKG_VERSION"));

/// What the server may send ahead of a reader on HTTP/2, in bytes.
const H2_STREAM_WINDOW: u32 = 1 << 20;

/// Far above all streams together, in bytes: readers who pause must not stop the others on their connection.
const H2_CONNECTION_WINDOW: u32 = 256 << 20;

/// Sends calls to one server, as somebody.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    authenticator: Arc<Authenticator>,
    line: Arc<Line>,
}

/// The way to a server, whoever calls.
#[derive(Debug)]
pub(crate) struct Line {
    base_url: Url,
    flavor: Flavor,
    reuse: Reuse,
    connections: Arc<Semaphore>,
    timeouts: Timeouts,
    retries: Retries,
    /// Before the server.
    breaker: Breaker,
    /// Before the cloud store that the server signs URLs of.
    store_breaker: Breaker,
    max_buffered_bytes: usize,
    calls: Calls,
}

impl Transport {
    pub(crate) fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        let pooled = http_client(config, config.pool.max_idle_per_host)?;
        let fresh = http_client(config, 0)?;
        let scheme = config.server.base_url.scheme();
        let reuse = Reuse::new(config.pool.reuse, scheme, pooled.clone(), fresh);
        let calls = Calls::to(peer(&config.server.base_url));
        let authenticator = Arc::new(Authenticator::new(&config.server, pooled, &calls)?);
        let line = Arc::new(Line {
            base_url: config.server.base_url.clone(),
            flavor: config.server.flavor,
            reuse,
            connections: Arc::new(Semaphore::new(config.pool.max_connections)),
            timeouts: config.timeouts,
            retries: Retries::new(config.retry),
            breaker: Breaker::new(config.breaker),
            store_breaker: Breaker::new(config.breaker),
            max_buffered_bytes: config.max_buffered_bytes,
            calls,
        });
        Ok(Self { authenticator, line })
    }

    /// The same way, taken by a user with a token of their own.
    pub(crate) fn of_user(&self, token: &SecretString) -> Result<Self, ConfigError> {
        Ok(Self {
            authenticator: Arc::new(Authenticator::of_user(token)?),
            line: Arc::clone(&self.line),
        })
    }

    /// Sends a call and reads its JSON answer whole.
    pub(crate) async fn json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ClientError> {
        self.within_deadline(
            call,
            self.retrying(call.operation, call.is_idempotent, || async {
                let body = self.send(call).await?.whole(self.max_buffered_bytes).await?;
                // serde would take a list for an object whose members it goes through in order: `[]` for nothing found.
                if body.trim_ascii_start().starts_with(b"[") {
                    return Err(call.unreadable("a list in place of an object"));
                }
                serde_json::from_slice(&body).map_err(|error| call.malformed(&error))
            }),
        )
        .await
    }

    /// Sends a call of whose answer nothing is read but that it is one: no body, or any JSON. A gateway's login page
    /// with status 200 is none, and what was asked for was not done.
    pub(crate) async fn done(&self, call: &Call) -> Result<(), ClientError> {
        self.within_deadline(
            call,
            self.retrying(call.operation, call.is_idempotent, || async {
                let body = self.send(call).await?.whole(self.max_buffered_bytes).await?;
                if body.trim_ascii().is_empty() {
                    return Ok(());
                }
                serde_json::from_slice::<IgnoredAny>(&body).map_err(|error| call.malformed(&error))?;
                Ok(())
            }),
        )
        .await
    }

    /// Sends a call and reads its answer whole, whatever it is, at most `limit` bytes.
    pub(crate) async fn bytes(&self, call: &Call, limit: usize) -> Result<Bytes, ClientError> {
        let read = || async { self.send(call).await?.whole(limit).await };
        self.within_deadline(call, self.retrying(call.operation, call.is_idempotent, read))
            .await
    }

    /// Sends a call and returns once its answer begins.
    pub(crate) async fn open(&self, call: &Call) -> Result<Response, ClientError> {
        let answer = self.retrying(call.operation, call.is_idempotent, || self.send(call));
        self.within_deadline(call, answer).await
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
        let answer = within(call.operation, deadline, read);
        self.calls.of(call.operation, answer).await
    }

    /// Sends a call that takes long by nature, and reads its answer whole: at most `limit` bytes, within `deadline` and not
    /// within the time of other calls. It passes the breaker by: that something slow is late says nothing of the server.
    /// Sent again only when it surely was not done, or the server says that it is one too many (429, 503).
    pub(crate) async fn long(
        &self,
        mut call: Call,
        limit: usize,
        deadline: Duration,
    ) -> Result<Bytes, ClientError> {
        call.silence = Some(deadline);
        let attempt = || async {
            let answered = async { self.send(&call).await?.whole(limit).await };
            match answered.await {
                Err(error) if !retry::is_one_too_many(&error) => Ok(Err(error)),
                answer => answer.map(Ok),
            }
        };
        let retrying = self.retrying(call.operation, true, attempt);
        let answer = async { within(call.operation, deadline, retrying).await.flatten() };
        self.calls.of(call.operation, answer).await
    }

    /// Opens a signed URL of a cloud store.
    pub(crate) async fn open_signed(
        &self,
        operation: &'static str,
        url: Url,
        headers: &[(String, String)],
    ) -> Result<Response, ClientError> {
        self.send_signed(operation, Method::GET, url, headers, None).await
    }

    /// Sends to a signed URL of a cloud store: with exactly the headers that came with it, never with our credentials.
    pub(crate) async fn send_signed(
        &self,
        operation: &'static str,
        method: Method,
        url: Url,
        headers: &[(String, String)],
        body: Option<Bytes>,
    ) -> Result<Response, ClientError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().map_err(|_| malformed_header(operation))?;
            map.append(name, value.parse().map_err(|_| malformed_header(operation))?);
        }
        map.remove(header::AUTHORIZATION);
        if body.as_ref().is_some_and(Bytes::is_empty) {
            // The HTTP library says no length of nothing; clouds refuse what comes without one (411).
            map.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let (method, url, map, body) = (&method, &url, &map, &body);
        let send = || async move {
            let permit = self.connection(operation).await?;
            let mut request = self
                .reuse
                .pooled()
                .request(method.clone(), url.clone())
                .headers(map.clone());
            if let Some(body) = body {
                request = request.body(body.clone());
            }
            answered(operation, request, permit, self.timeouts.read)
                .await
                .map_err(without_words)
        };
        self.guarded(
            &self.store_breaker,
            operation,
            self.retrying(operation, true, send),
        )
        .await
    }

    /// Whether calls go through: to the server, and to the cloud store that it signs URLs of.
    pub(crate) fn breakers(&self) -> [BreakerReport; 2] {
        [self.breaker.report(), self.store_breaker.report()]
    }

    /// What is counted of calls.
    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Whether the server is left alone for now.
    pub(crate) fn leaves_server_alone(&self) -> bool {
        self.breaker.report().state == BreakerState::Open
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
        self.guarded(&self.breaker, call.operation, work).await
    }

    /// Does what is asked within the time of a call, unless the server is left alone.
    async fn guarded<T>(
        &self,
        breaker: &Breaker,
        operation: &'static str,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let call = async {
            let pass = breaker.enter().map_err(|refused| ClientError::LeftAlone {
                operation,
                retry_after: refused.retry_after,
            })?;
            let result = within(operation, self.timeouts.call, work).await;
            match result
                .as_ref()
                .map_or_else(ClientError::proves, |_| Some(Answers::Yes))
            {
                Some(Answers::Yes) => pass.succeeded(),
                Some(Answers::No) => pass.failed(),
                None => drop(pass),
            }
            result
        };
        self.calls.of(operation, call).await
    }

    async fn retrying<T, F>(
        &self,
        operation: &'static str,
        is_idempotent: bool,
        attempt: impl Fn() -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let mut retries = self.retries.begin(is_idempotent, self.flavor);
        loop {
            let error = match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(pause) = retries.pause_before_next(&error) else {
                return Err(error);
            };
            tracing::debug!(operation, %error, pause_ms = pause.as_millis(), "trying again");
            self.calls.count_retry(operation, &error);
            tokio::time::sleep(pause).await;
        }
    }

    async fn send(&self, call: &Call) -> Result<Response, ClientError> {
        let answer = self.send_in_name(call).await;
        if self.authenticator.is_of_user() {
            return answer.map_err(ClientError::of_user);
        }
        answer
    }

    async fn send_in_name(&self, call: &Call) -> Result<Response, ClientError> {
        // First who we are, then a place: a token that is slow to come must not keep places from others.
        let authorization = self.authenticator.header().await?;
        let permit = self.connection(call.operation).await?;
        let result = self.send_as(call, authorization.clone(), permit).await;
        match (result, authorization) {
            // A token may be withdrawn before its time: one try with a new one.
            (Err(ClientError::Unauthorized { .. }), Some(used))
                if self.authenticator.refused(&used).await =>
            {
                let renewed = self.authenticator.header().await?;
                let permit = self.connection(call.operation).await?;
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
        let mut headers = HeaderMap::new();
        calls::inject(&mut headers);
        headers.extend(authorization.map(|value| (header::AUTHORIZATION, value)));
        request = request.headers(headers);
        if let Some(body) = &call.body {
            request = request
                .header(header::CONTENT_TYPE, call.content_type)
                .body(body.clone());
        }
        let silence = call.silence.unwrap_or(self.timeouts.read);
        answered(call.operation, request, permit, silence).await
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

impl std::ops::Deref for Transport {
    type Target = Line;

    fn deref(&self) -> &Line {
        &self.line
    }
}

async fn answered(
    operation: &'static str,
    request: RequestBuilder,
    permit: OwnedSemaphorePermit,
    silence: Duration,
) -> Result<Response, ClientError> {
    let answer = before_silence(operation, silence, request.send()).await?;
    Response::check(operation, answer, permit, silence).await
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

/// Waits for the server, and no longer than the limit on its silence. Counts only while we wait: a reader of ours who
/// pauses is no silence of the server's.
async fn before_silence<T>(
    operation: &'static str,
    limit: Duration,
    work: impl Future<Output = Result<T, reqwest::Error>>,
) -> Result<T, ClientError> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result.map_err(|error| ClientError::from_reqwest(operation, error, limit)),
        Err(_) => Err(ClientError::Timeout {
            operation,
            phase: "silence",
            limit,
        }),
    }
}

/// A cloud store may quote tokens and signatures in its errors: its words go nowhere. It says 400 of a token that
/// expired, as others say 403.
fn without_words(error: ClientError) -> ClientError {
    match error {
        ClientError::Rejected {
            operation,
            status: 400,
            ..
        }
        | ClientError::Forbidden { operation, .. } => ClientError::Forbidden {
            operation,
            message: String::new(),
        },
        ClientError::Rejected {
            operation, status, ..
        } => ClientError::Rejected {
            operation,
            status,
            code: String::new(),
            message: String::new(),
        },
        ClientError::Failed {
            operation, status, ..
        } => ClientError::Failed {
            operation,
            status,
            code: String::new(),
            message: String::new(),
        },
        ClientError::NotFound { operation, .. } => ClientError::NotFound {
            operation,
            message: String::new(),
        },
        other => other,
    }
}

fn malformed_header(operation: &'static str) -> ClientError {
    ClientError::Malformed {
        operation,
        reason: "a header for the signed URL is not a header".to_owned(),
    }
}

/// What our own traces say of the server.
fn peer(url: &Url) -> impl Iterator<Item = (&'static str, String)> {
    let address = url.host_str().map(|host| ("server.address", host.to_owned()));
    let port = url
        .port_or_known_default()
        .map(|port| ("server.port", port.to_string()));
    [Some(("peer.service", "mlflow".to_owned())), address, port]
        .into_iter()
        .flatten()
}

/// Redirects are not followed: an API does not redirect, and a login page is no answer.
fn http_client(config: &ClientConfig, idle_per_host: usize) -> Result<reqwest::Client, ConfigError> {
    // Err means that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(config.timeouts.connect)
        .tcp_user_timeout(config.timeouts.write)
        .tcp_nodelay(true)
        .pool_max_idle_per_host(idle_per_host)
        .http2_initial_stream_window_size(H2_STREAM_WINDOW)
        .http2_initial_connection_window_size(H2_CONNECTION_WINDOW)
        .redirect(redirect::Policy::none())
        .build()
        .map_err(|error| ConfigError::Tls {
            reason: root_cause(&error),
        })
}

/// What is behind "builder error", which says nothing: that there are no certificates, say.
fn root_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), root_cause)
}
