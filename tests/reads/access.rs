//! Who asks. What they may see is held against every route in `tests/reviews/access.rs`.

use harness::{TraceServer, Upstream};
use serde_json::json;

async fn behind_proxy(developers: &str) -> (Upstream, TraceServer) {
    let upstream = Upstream::v3();
    let settings = [
        ("MLFLOW_TRACKING_URI", upstream.url.as_str()),
        ("MLFLOW_EXPERIMENT_ID", upstream.seed.experiment_id.as_str()),
        ("TRACE_SERVER_TRUST_PROXY", "true"),
        ("DEVELOPERS", developers),
    ];
    let server = TraceServer::with(&settings).await;
    (upstream, server)
}

#[tokio::test]
async fn the_user_is_who_the_trusted_proxy_names() {
    let (_, server) = behind_proxy("dev@example.com").await;
    let request = server
        .get("/api/user/me")
        .header("x-forwarded-email", "dev@example.com");
    let request = request
        .header("x-forwarded-user", "7@x")
        .header("x-forwarded-access-token", "planted-user-token");
    let me: serde_json::Value =
        serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap();
    assert_eq!(
        (&me["userName"], &me["role"], &me["has_token"]),
        (&json!("dev@example.com"), &json!("developer"), &json!(true))
    );
    assert!(!server.log().await.join("\n").contains("planted-user-token"));
}

#[tokio::test]
async fn headers_that_anyone_could_set_count_for_nothing() {
    let (upstream, server) = crate::direct().await;
    let request = server
        .get("/api/user/me")
        .header("x-forwarded-email", "mallory@example.com");
    let me: serde_json::Value =
        serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap();
    assert_eq!(
        (&me["userName"], &me["role"]),
        (&json!("ann@example.com"), &json!("developer"))
    );
    let settings = [
        ("MLFLOW_TRACKING_URI", upstream.url.as_str()),
        ("DEVELOPERS", "dev@example.com"),
    ];
    let named = TraceServer::with(&settings).await;
    let claim = named
        .get("/api/user/me")
        .header("x-forwarded-email", "dev@example.com")
        .send()
        .await
        .unwrap();
    let me: serde_json::Value = serde_json::from_slice(&claim.bytes().await.unwrap()).unwrap();
    assert_eq!(
        (&me["userName"], &me["role"]),
        (&json!("ann@example.com"), &json!("sme"))
    );
    assert_eq!(me, named.json("/api/user/current/").await);
}

#[tokio::test]
async fn a_user_whose_name_cannot_be_read_is_nobody() {
    let (_, server) = behind_proxy("ann@example.com").await;
    // The local user is a developer here; a name that cannot be read must not become theirs.
    let unreadable = reqwest::header::HeaderValue::from_bytes(b"\xff").unwrap();
    let answer = server
        .get("/api/user/me")
        .header("x-forwarded-email", unreadable)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);
    let twice = server
        .get("/api/user/me")
        .header("x-forwarded-email", "a")
        .header("x-forwarded-email", "b");
    assert_eq!(twice.send().await.unwrap().status(), 401);
}
