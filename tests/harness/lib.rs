//! What tests of the whole product stand on: real servers, the built binary, and HTTP between them.
//!
//! - [`Upstream`]: an MLflow that `tests/mlflow/serve.py` started and seeded; tests find it in the environment.
//! - [`Postgres`]: the PostgreSQL that `tests/postgres/serve.py` started; a [`Database`] of its own for each test.
//! - [`TraceServer`]: the binary, started for one test on a free port; an [`Asker`] asks it as one user.
//! - [`compare_all`]: holds all that it answers about the sample traces against what MLflow's own SDK reads.
//! - [`Proxy`]: stands between it and MLflow, counts the calls, and fails or holds them as a test asks.
//! - [`Wire`]: stands there as well, below HTTP: refuses, cuts, slows down and corrupts bytes as a test asks.
//! - [`ChatServer`]: a small OpenAI-compatible server; it answers as a test says.
//! - [`Workspace`]: the one stand-in, for a Databricks workspace, with a real MLflow behind it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test's way to fail"
)]

mod asker;
mod chat;
mod comparison;
mod databricks;
mod document;
mod faults;
mod metrics;
mod postgres;
mod proxy;
mod server;
mod upstream;
mod wire;

use std::hash::{BuildHasher, Hasher, RandomState};

pub use asker::{Asker, answer};
pub use chat::{ChatCall, ChatReply, ChatServer};
pub use comparison::{compare_all, compare_traces};
pub use databricks::{CLIENT_ID, CLIENT_SECRET, OWNER, TOKEN, Workspace};
pub use document::Document;
pub use faults::{Call, Fault, Gate};
pub use metrics::Metrics;
pub use postgres::{Database, Postgres};
pub use proxy::Proxy;
pub use server::{TraceServer, binary, http_client};
pub use upstream::{FilterSeed, Seed, Upstream};
pub use wire::{Line, Traffic, Wire, wired};

/// 32 random hexadecimal digits.
fn random_hex() -> String {
    // Every new state has keys of its own, from the system's randomness.
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}
