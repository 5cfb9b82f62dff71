//! A Databricks workspace: credentials, signed downloads, who asks.

use harness::{CLIENT_ID, CLIENT_SECRET, TOKEN, TraceServer, Upstream, Workspace};
use serde_json::{Value, json};

async fn on_workspace(credentials: &[(&str, &str)]) -> (Upstream, Workspace, TraceServer) {
    let upstream = Upstream::v3();
    let workspace = Workspace::over(&upstream.url).await;
    let own = [
        ("MLFLOW_TRACKING_URI", "databricks"),
        ("DATABRICKS_HOST", workspace.url.as_str()),
        ("MLFLOW_EXPERIMENT_ID", upstream.seed.experiment_id.as_str()),
        ("TRACE_SERVER_USER", ""),
    ];
    let server = TraceServer::with(&[&own[..], credentials].concat()).await;
    (upstream, workspace, server)
}

#[tokio::test]
async fn traces_come_by_signed_downloads_that_never_see_the_token() {
    let (upstream, workspace, server) = on_workspace(&[("DATABRICKS_TOKEN", TOKEN)]).await;
    let direct = TraceServer::on(&upstream.url, &upstream.seed.experiment_id).await;
    for name in ["rag", "all_types", "big", "artifact"] {
        let path = format!("/api/mlflow/traces/{}", upstream.trace(name));
        assert_eq!(server.json(&path).await, direct.json(&path).await, "{name}");
    }
    // The stand-in refuses a download that brings Authorization.
    assert_eq!(workspace.downloads(), 4);
    let page = server
        .post_json("/api/mlflow/search-traces", &json!({"max_results": 5}))
        .await;
    assert_eq!(page["traces"].as_array().unwrap().len(), 5);
    let log = server.log().await.join("\n");
    assert!(!log.contains("planted-"), "no secret reaches the log: {log}");
}

#[tokio::test]
async fn one_oauth_token_serves_all_who_wait_for_it() {
    let credentials = [
        ("DATABRICKS_CLIENT_ID", CLIENT_ID),
        ("DATABRICKS_CLIENT_SECRET", CLIENT_SECRET),
    ];
    let (upstream, workspace, server) = on_workspace(&credentials).await;
    let ids = &upstream.seed.trace_ids[..8];
    let asked = ids
        .iter()
        .map(|id| server.get(&format!("/api/traces/{id}")).send());
    for answer in futures::future::join_all(asked).await {
        assert_eq!(answer.unwrap().status(), 200);
    }
    assert_eq!(workspace.tokens_given(), 1);
}

#[tokio::test]
async fn the_local_user_is_the_owner_of_the_credentials() {
    let (_, workspace, server) = on_workspace(&[("DATABRICKS_TOKEN", TOKEN)]).await;
    let me = server.json("/api/user/me").await;
    let expected = json!({
        "userName": "owner@example.com", "displayName": "Olga Owner", "active": true, "emails": ["owner@example.com"],
        "is_obo": false, "has_token": false, "role": "developer", "is_developer": true, "can_access_dev_pages": true,
    });
    assert_eq!(me, expected);
    let whole = server.json("/api/user/me/workspace").await;
    assert_eq!(whole["user"], expected);
    assert_eq!(whole["workspace"]["url"], workspace.url);
}

#[tokio::test]
async fn users_with_tokens_of_their_own_are_never_served_by_the_service_principal() {
    let settings = [
        ("DATABRICKS_CLIENT_ID", CLIENT_ID),
        ("DATABRICKS_CLIENT_SECRET", CLIENT_SECRET),
        ("TRACE_SERVER_AUTH", "user"),
        ("TRACE_SERVER_TRUST_PROXY", "true"),
        ("DEVELOPERS", "ann@example.com,eve@example.com"),
    ];
    let (upstream, workspace, server) = on_workspace(&settings).await;
    let paths = [
        format!("/api/traces/{}", upstream.trace("rag")),
        format!("/api/traces/{}/spans", upstream.trace("rag")),
        "/api/review-apps".to_owned(),
        "/api/labeling-sessions".to_owned(),
    ];
    for path in &paths {
        let by = |user: &'static str, token: &'static str| {
            let request = server.as_user(user).get(path);
            request.header("x-forwarded-access-token", token).send()
        };
        assert_eq!(
            by("ann@example.com", TOKEN).await.unwrap().status(),
            200,
            "{path}"
        );
        let other = by("eve@example.com", "planted-token-of-nobody").await.unwrap();
        assert_eq!(other.status(), 401, "{path}");
    }
    let own = format!("Bearer {TOKEN}");
    let used = workspace.calls().into_iter().filter_map(|call| {
        let token = call.headers.get("authorization")?.to_str().ok()?.to_owned();
        call.path.starts_with("/api/").then_some(token)
    });
    let used: std::collections::BTreeSet<_> = used.collect();
    assert_eq!(used.len(), 2, "Ann's and Eve's alone: {used:?}");
    assert!(used.contains(&own));
    assert_eq!(
        workspace.tokens_given(),
        0,
        "the service principal was not needed"
    );
    assert!(workspace.downloads() > 0, "the cloud store was sent no token");
}

#[tokio::test]
async fn refused_credentials_are_our_trouble_and_not_the_users() {
    let (upstream, _, server) = on_workspace(&[("DATABRICKS_TOKEN", "planted-wrong-token")]).await;
    let answer = server
        .get(&format!("/api/traces/{}", upstream.trace("rag")))
        .send()
        .await
        .unwrap();
    // Nobody can be identified, so nothing is shown.
    assert_eq!(answer.status(), 502);
    let problem: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(
        problem["detail"],
        "MLflow does not accept this server's credentials"
    );
    assert!(!problem.to_string().contains("planted-"));
}
