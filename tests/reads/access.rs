//! Who asks, and what they may see.

use harness::{TraceServer, Upstream};
use serde_json::json;

/// Every route that shows traces or runs.
const GUARDED: [(&str, bool); 9] = [
    ("/api/mlflow/search-traces", true),
    ("/api/traces/batch", true),
    ("/api/mlflow/traces/batch", true),
    ("/api/traces/TRACE", false),
    ("/api/mlflow/traces/TRACE", false),
    ("/api/mlflow/traces/TRACE/data", false),
    ("/api/traces/TRACE/spans", false),
    ("/api/mlflow/runs/RUN", false),
    ("/api/mlflow/runs/search", true),
];

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
async fn reviewers_see_no_traces_outside_of_their_sessions_and_developers_see_all() {
    let (upstream, server) = behind_proxy("dev@example.com").await;
    for (path, is_post) in GUARDED {
        let path = path
            .replace("TRACE", upstream.trace("rag"))
            .replace("RUN", &upstream.seed.run_id);
        let ask = async |user: &'static str| {
            let body = json!({"trace_ids": [upstream.trace("rag")], "experiment_ids": [upstream.seed.experiment_id]});
            let request = if is_post {
                server.post(&path, &body)
            } else {
                server.get(&path)
            };
            request.header("x-forwarded-email", user).send().await.unwrap()
        };
        assert_eq!(ask("Dev@Example.com").await.status(), 200, "{path}");
        let refused = ask("ann@example.com").await;
        assert_eq!(refused.status(), 403, "{path}");
        assert!(
            refused.text().await.unwrap().contains("AUTHORIZATION_ERROR"),
            "{path}"
        );
        let unnamed = if is_post {
            server.post(&path, &json!({}))
        } else {
            server.get(&path)
        };
        assert_eq!(
            unnamed.send().await.unwrap().status(),
            403,
            "{path}: nobody is named"
        );
    }
    let experiment = format!("/api/mlflow/experiments/{}", upstream.seed.experiment_id);
    let answer = server
        .get(&experiment)
        .header("x-forwarded-email", "ann@example.com")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn the_user_is_who_the_trusted_proxy_names() {
    let (_, server) = behind_proxy("dev@example.com").await;
    let request = server
        .get("/api/user/me")
        .header("x-forwarded-email", "dev@example.com");
    let request = request
        .header("x-forwarded-user", "7@x")
        .header("x-forwarded-access-token", "user-secret");
    let me: serde_json::Value =
        serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap();
    assert_eq!(
        (&me["userName"], &me["role"], &me["has_token"]),
        (&json!("dev@example.com"), &json!("developer"), &json!(true))
    );
    assert!(!server.log().await.join("\n").contains("user-secret"));
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
