//! Who asks, and what they may see.

use harness::{TraceServer, Upstream};
use serde_json::json;

/// Routes that show neither traces nor runs; every other route of the OpenAPI document must be guarded.
const OPEN: [&str; 7] = [
    "/health",
    "/api/config",
    "/api/config/experiment-id",
    "/api/user/me",
    "/api/user/current",
    "/api/user/me/workspace",
    "/api/mlflow/experiments/{experiment_id}",
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
    let document = server.json("/openapi.json").await;
    let span = &server
        .get(&format!("/api/traces/{}", upstream.trace("rag")))
        .header("x-forwarded-email", "dev@example.com");
    let span = span
        .try_clone()
        .unwrap()
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    let span: serde_json::Value = serde_json::from_slice(&span).unwrap();
    let span_id = span["data"]["spans"][0]["span_id"]
        .as_str()
        .unwrap()
        .replace('/', "_")
        .replace('+', "-");
    for (path, item) in document["paths"].as_object().unwrap() {
        if OPEN.contains(&path.as_str()) {
            continue;
        }
        let path = path
            .replace("{trace_id}", upstream.trace("rag"))
            .replace("{run_id}", &upstream.seed.run_id);
        let path = path.replace("{span_id}", &span_id);
        let ask = async |user: Option<&'static str>| {
            let body = json!({"trace_ids": [upstream.trace("rag")], "experiment_ids": [upstream.seed.experiment_id]});
            let request = if item.get("post").is_some() {
                server.post(&path, &body)
            } else {
                server.get(&path)
            };
            let request = match user {
                Some(user) => request.header("x-forwarded-email", user),
                None => request,
            };
            request.send().await.unwrap()
        };
        assert_eq!(ask(Some("Dev@Example.com")).await.status(), 200, "{path}");
        let refused = ask(Some("ann@example.com")).await;
        assert_eq!(refused.status(), 403, "{path}");
        assert!(
            refused.text().await.unwrap().contains("AUTHORIZATION_ERROR"),
            "{path}"
        );
        assert_eq!(ask(None).await.status(), 403, "{path}: nobody is named");
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
