//! What tests of the whole product stand on: real MLflow servers, the built binary, and HTTP between them.
//!
//! - [`Upstream`]: an MLflow that `tests/mlflow/serve.py` started and seeded; tests find it in the environment.
//! - [`TraceServer`]: the binary, started for one test on a free port.
//! - [`Proxy`]: stands between the two, counts the calls, and fails or holds them as a test asks.
//! - [`Workspace`]: the one stand-in, for a Databricks workspace, with a real MLflow behind it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test's way to fail"
)]

mod databricks;
mod proxy;
mod server;
mod upstream;

pub use databricks::{CLIENT_ID, CLIENT_SECRET, TOKEN, Workspace};
pub use proxy::{Call, Fault, Gate, Proxy};
pub use server::{TraceServer, http_client};
pub use upstream::{Seed, Upstream};
