//! The server's own life: how it starts, and how it stops.

use std::time::{Duration, Instant};

use futures::StreamExt;
use harness::{Fault, Gate, TraceServer};

#[tokio::test]
async fn a_request_under_way_ends_well_before_the_server_does() {
    let (upstream, proxy, server) = crate::proxied().await;
    let gate = Gate::default();
    let held = gate.clone();
    proxy.rule(move |_| Fault::Held(held.clone()));
    let asked = tokio::spawn(
        server
            .get(&format!("/api/traces/{}", upstream.trace("rag")))
            .send(),
    );
    proxy
        .until("the trace is asked for", |proxy| proxy.calls().len() == 2)
        .await;
    server.terminate();
    let refused = async {
        while server.get("/health").send().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused)
        .await
        .expect("no new connection is taken");
    gate.open();
    let answer = asked.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert!(!answer.bytes().await.unwrap().is_empty());
    let (status, log) = server.ended().await;
    assert!(status.success(), "{status}: {log:?}");
}

#[tokio::test]
async fn a_stream_without_end_is_ended_cleanly_within_10_seconds() {
    let (upstream, proxy, server) = crate::proxied().await;
    proxy.does_to("artifact", Fault::HeldAfter(100_000, Gate::default()));
    let mut chunks = server
        .get(&format!("/api/traces/{}/spans", upstream.trace("big")))
        .send()
        .await
        .unwrap()
        .bytes_stream();
    let mut text = chunks.next().await.unwrap().unwrap().to_vec();
    let told = Instant::now();
    server.terminate();
    while let Some(chunk) = chunks.next().await {
        text.extend(chunk.expect("the stream is ended, not torn off"));
    }
    let last = String::from_utf8(text)
        .unwrap()
        .lines()
        .last()
        .unwrap()
        .to_owned();
    assert!(
        last.starts_with(r#"{"error":{"code":"UPSTREAM_UNAVAILABLE""#),
        "{last}"
    );
    let (status, log) = server.ended().await;
    assert!(status.success(), "{status}: {log:?}");
    assert!(told.elapsed() < Duration::from_secs(11), "{:?}", told.elapsed());
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_told_before_anything_starts() {
    for (settings, told) in [
        (vec![], "set MLFLOW_TRACKING_URI"),
        (
            vec![("MLFLOW_TRACKING_URI", "sqlite:///x")],
            "names a file that is not there",
        ),
        (
            vec![("MLFLOW_TRACKING_URI", "ftp://x")],
            "use http, https, databricks",
        ),
        (vec![("MLFLOW_TRACKING_URI", "databricks")], "DATABRICKS_HOST"),
        (
            vec![
                ("MLFLOW_TRACKING_URI", "http://x"),
                ("MLFLOW_EXPERIMENT_ID", "abc"),
            ],
            "experiment_id must be",
        ),
        (
            vec![
                ("MLFLOW_TRACKING_URI", "http://x"),
                ("TRACE_SERVER_STATIC_DIR", "/nowhere"),
            ],
            "index.html",
        ),
        (
            vec![
                ("MLFLOW_TRACKING_URI", "http://x"),
                ("TRACE_SERVER_CACHE_TTL", "soon"),
            ],
            "--cache-ttl",
        ),
        (
            vec![
                ("MLFLOW_TRACKING_URI", "http://x"),
                ("TRACE_SERVER_CORS_ORIGINS", "*"),
            ],
            "is not an origin",
        ),
    ] {
        let (text, status) = TraceServer::command(&[], &settings).await;
        assert!(!status.success() && text.contains(told), "{settings:?}: {text}");
    }
}

#[tokio::test]
async fn help_documents_every_setting_and_hides_every_secret() {
    let (help, status) = TraceServer::command(
        &["--help"],
        &[
            ("DATABRICKS_TOKEN", "dapi-secret"),
            ("MLFLOW_TRACKING_URI", "http://u:pw-secret@h"),
        ],
    )
    .await;
    assert!(status.success() && !help.contains("secret@") && !help.contains("dapi-secret"));
    for word in [
        "--host",
        "--port",
        "MLFLOW_TRACKING_URI",
        "MLFLOW_EXPERIMENT_ID",
        "DEVELOPERS",
        "--cache-size",
        "512MiB",
        "300s",
        "check",
    ] {
        assert!(help.contains(word), "{word}");
    }
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_no_request() {
    let (_, server) = crate::direct().await;
    server.leave_log_unread();
    // Far more lines than a pipe holds.
    for _ in 0..2000 {
        assert_eq!(server.get("/health").send().await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn an_empty_variable_is_an_unset_one() {
    let upstream = harness::Upstream::v3();
    let settings = [
        ("MLFLOW_TRACKING_URI", upstream.url.as_str()),
        ("DATABRICKS_APP_PORT", ""),
        ("TRACE_SERVER_HOST", ""),
        ("TRACE_SERVER_TRUST_PROXY", ""),
        ("TRACE_SERVER_CACHE_SIZE", ""),
        ("MLFLOW_EXPERIMENT_ID", ""),
        ("DATABRICKS_TOKEN", ""),
    ];
    let server = TraceServer::with(&settings).await;
    assert_eq!(server.json("/api/user/me").await["role"], "developer");
}

#[tokio::test]
async fn a_request_without_an_answer_is_told_that_the_server_ends() {
    let (upstream, proxy, _) = crate::proxied().await;
    proxy.rule(|_| Fault::Held(Gate::default()));
    let settings = [
        ("MLFLOW_TRACKING_URI", proxy.url.as_str()),
        ("TRACE_SERVER_SHUTDOWN_TIMEOUT", "2s"),
    ];
    let server = TraceServer::with(&settings).await;
    let asked = tokio::spawn(
        server
            .get(&format!("/api/traces/{}", upstream.trace("rag")))
            .send(),
    );
    proxy
        .until("the trace is asked for", |proxy| !proxy.calls().is_empty())
        .await;
    server.terminate();
    let answer = asked.await.unwrap().unwrap();
    assert_eq!(
        (
            answer.status().as_u16(),
            answer.headers().contains_key("retry-after")
        ),
        (503, true)
    );
    assert!(server.ended().await.0.success());
}

#[tokio::test]
async fn who_leaves_before_the_answer_is_logged_as_such() {
    let (upstream, proxy, server) = crate::proxied().await;
    proxy.rule(|_| Fault::Held(Gate::default()));
    let asked = tokio::spawn(
        server
            .get(&format!("/api/traces/{}", upstream.trace("rag")))
            .send(),
    );
    proxy
        .until("the trace is asked for", |proxy| !proxy.calls().is_empty())
        .await;
    asked.abort();
    let log = server.log().await;
    let line = log
        .iter()
        .find(|line| line.contains(upstream.trace("rag")) && line.contains("\"access\""))
        .unwrap();
    assert!(
        line.contains("nobody waited") && line.contains("WARN") && !line.contains("\"status\":200"),
        "{line}"
    );
}
