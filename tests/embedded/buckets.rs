//! Spans that MLflow kept as artifacts in a bucket. What stands for the cloud here says only what S3 says to one request: it
//! cannot run on this machine.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use harness::{TraceServer, answer};
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;

use crate::Kind;
use crate::store::OwnStore;

const SPANS: &str =
    r#"{"spans": [{"name": "kept_elsewhere", "span_id": "AAAAAAAAAAE=", "parent_span_id": null}]}"#;

/// A bucket with `traces.json` in every folder but `absent`, for those who sign their requests.
async fn bucket() -> String {
    let object = |Path(path): Path<String>, headers: HeaderMap| async move {
        let signed = headers.get("authorization").is_some_and(|header| {
            header
                .to_str()
                .is_ok_and(|text| text.starts_with("AWS4-HMAC-SHA256 Credential=reader/"))
        });
        let modified = [
            ("last-modified", "Tue, 24 Nov 2026 12:00:00 GMT"),
            ("etag", "\"1\""),
        ];
        match (signed, path.as_str()) {
            (false, _) => (
                StatusCode::FORBIDDEN,
                modified,
                "<Error><Code>AccessDenied</Code></Error>",
            ),
            (true, path) if path.ends_with("present/traces.json") => (StatusCode::OK, modified, SPANS),
            (true, _) => (
                StatusCode::NOT_FOUND,
                modified,
                "<Error><Code>NoSuchKey</Code></Error>",
            ),
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/traces-bucket/{*path}", get(object));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn spans_in_a_bucket_are_read_and_those_that_are_not_there_are_told() {
    let store = OwnStore::new(Kind::Sqlite).await;
    let [present, absent] = [&store.traces[0], &store.traces[1]];
    for (trace, folder) in [(present, "present"), (absent, "absent")] {
        store.run("artifacts", &[trace, &format!("s3://traces-bucket/1/{folder}")]);
    }
    let url = bucket().await;
    let cloud = [
        ("AWS_ENDPOINT", url.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "reader"),
        ("AWS_SECRET_ACCESS_KEY", "planted-secret"),
    ];
    let server = TraceServer::with(&[&store.settings()[..], &cloud].concat()).await;
    let trace = server.json(&format!("/api/traces/{present}")).await;
    assert_eq!(trace["data"]["spans"][0]["name"], "kept_elsewhere");
    let (status, problem) = answer(server.get(&format!("/api/traces/{absent}/spans"))).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{problem}");
    assert_eq!(
        problem["error"],
        json!({"code": "RESOURCE_NOT_FOUND", "message": problem["detail"], "details": null})
    );
    assert!(!server.log().await.join("\n").contains("planted-secret"));
}
