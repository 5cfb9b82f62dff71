//! Reads, end to end: the built binary on a real MLflow, over HTTP.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test's way to fail")]
#![expect(clippy::too_many_lines, reason = "a table of cases is best read as one")]

mod access;
mod batch;
mod check;
mod coalescing;
mod conditions;
mod corrupt;
mod databricks;
mod errors;
mod export;
mod export_table;
mod fallbacks;
mod frontend;
mod hostile;
mod http_layer;
mod lifecycle;
mod openapi;
mod patterns;
mod records;
mod sdk;
mod search;
mod spans;
mod streaming;
mod traced;
mod trouble;
mod watched;

use harness::{Proxy, TraceServer, Upstream};

/// MLflow 3.17.2, a proxy before it, and a server on the proxy.
async fn proxied() -> (Upstream, Proxy, TraceServer) {
    let upstream = Upstream::v3();
    let proxy = Proxy::before(&upstream.url).await;
    let server = TraceServer::on(&proxy.url, &upstream.seed.experiment_id).await;
    (upstream, proxy, server)
}

/// MLflow 3.17.2 and a server on it.
async fn direct() -> (Upstream, TraceServer) {
    let upstream = Upstream::v3();
    let server = TraceServer::on(&upstream.url, &upstream.seed.experiment_id).await;
    (upstream, server)
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
