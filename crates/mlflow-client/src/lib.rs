//! A typed client of the MLflow and Databricks REST API.
//!
//! One [`MlflowClient`] per process: clones share one connection pool, one token, one retry budget and what
//! was learned of the server. It caches no data and serves nothing.
//!
//! - Servers: open-source MLflow 2.14 to 3.17 and Databricks workspaces. What a server can do is learned once
//!   (see [`Capabilities`]); newer routes fall back to older ones.
//! - Retries: only calls that this crate declares idempotent, several of which are POST on MLflow; never more
//!   than the retry budget allows (see [`RetryPolicy`]).
//! - Writes: assessments, runs, links of traces to runs, and Databricks' review apps with their sessions and items.
//!   Those that set, link or delete are idempotent. Those that make something new are not, and are tried again only
//!   when they surely were not done: no connection came about, or the server answered 429.
//! - Spans: the bytes of MLflow's dictionary format pass through unparsed wherever the server can send it.
//!
//! Start reading at [`MlflowClient`]; one file in `api/` per family of calls, the quirks of each wire format in
//! `wire/`, and everything about sockets, time and failure in `transport/`.

mod api;
mod auth;
mod capabilities;
mod client;
mod config;
#[cfg(feature = "doors")]
pub mod doors;
mod error;
#[cfg(test)]
mod testing;
mod transport;
mod wire;

/// When a server that does not answer is left alone; see the crate [`breaker`].
pub use breaker::{BreakerPolicy, BreakerReport, BreakerState};

pub use api::assessments::is_storable;
pub use api::reviews::Page;
pub use api::spans::SpanBody;
pub use api::users::CurrentUser;
pub use auth::{AuthSettings, ConfigError, Credentials, TrackingServer};
pub use capabilities::{Capabilities, Feature, Flavor};
pub use client::MlflowClient;
pub use config::{ClientConfig, ConnectionReuse, PoolLimits, RetryPolicy, Timeouts};
pub use error::{ClientError, TransportError};
