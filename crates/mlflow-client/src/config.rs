//! What a client is made from. Defaults are the ones the product ships with.

use std::time::Duration;

use breaker::BreakerPolicy;

use crate::auth::TrackingServer;

/// Everything a [`crate::MlflowClient`] needs.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Which server, of which kind, with which credentials.
    pub server: TrackingServer,
    /// Limits on time.
    pub timeouts: Timeouts,
    /// Limits on connections.
    pub pool: PoolLimits,
    /// What is tried again, and how often.
    pub retry: RetryPolicy,
    /// When a server that does not answer is left alone, and for how long.
    pub breaker: BreakerPolicy,
    /// The largest answer that is read whole (search pages, infos, OTLP traces), in bytes. Spans that pass
    /// through are not bounded by it.
    pub max_buffered_bytes: usize,
}

impl ClientConfig {
    /// The default limits for a server.
    pub fn new(server: TrackingServer) -> Self {
        Self {
            server,
            timeouts: Timeouts::default(),
            pool: PoolLimits::default(),
            retry: RetryPolicy::default(),
            breaker: BreakerPolicy::default(),
            max_buffered_bytes: 64 << 20,
        }
    }
}

/// Limits on time.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// To open a connection, TLS included.
    pub connect: Duration,
    /// To wait for a place among the open connections.
    pub pool_wait: Duration,
    /// Of silence while an answer is awaited or read.
    pub read: Duration,
    /// For sent bytes to be acknowledged by the server's kernel (TCP user timeout; Linux only).
    pub write: Duration,
    /// For a whole call, its retries included; for spans that pass through: until the answer begins.
    pub call: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            pool_wait: Duration::from_secs(5),
            read: Duration::from_secs(30),
            write: Duration::from_secs(10),
            call: Duration::from_mins(1),
        }
    }
}

/// Limits on connections.
#[derive(Debug, Clone, Copy)]
pub struct PoolLimits {
    /// Connections (on HTTP/2: calls) open at once.
    pub max_connections: usize,
    /// Idle connections kept for reuse, per host.
    pub max_idle_per_host: usize,
    /// Whether connections are used again.
    pub reuse: ConnectionReuse,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            max_connections: 100,
            max_idle_per_host: 20,
            reuse: ConnectionReuse::Auto,
        }
    }
}

/// Whether connections are used again.
///
/// `mlflow server` with more than one worker (its default) answers small bodies on a reused plain-http
/// connection 40 ms late: it sends head and body in two writes without `TCP_NODELAY`, and the second waits for
/// our delayed acknowledgement. A fresh connection costs a fraction of a millisecond instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionReuse {
    /// Always over TLS; over plain http only when a measurement at first use shows no such stall.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What is tried again, and how often.
///
/// A call is tried again when it failed to connect or was answered 429, for then it was not done; an idempotent call
/// also when it lost its connection or was answered 408, 500 (Databricks only), 502, 503 or 504. A `Retry-After` is
/// honoured. A call that timed out is not tried again.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Tries of one call beyond the first.
    pub max_retries: u32,
    /// The mean of the first pause; doubles with each further try. The real pause is drawn from 0.5 to 1.5 times it.
    pub first_pause: Duration,
    /// No pause is longer, unless the server asks for it.
    pub max_pause: Duration,
    /// Retries that each call adds to the shared budget; below 1, so that retries can never double the load.
    pub budget_per_call: f32,
    /// The most retries the budget can hold, and what it starts with.
    pub budget_cap: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 3,
            first_pause: Duration::from_millis(100),
            max_pause: Duration::from_secs(5),
            budget_per_call: 0.2,
            budget_cap: 10,
        }
    }
}
