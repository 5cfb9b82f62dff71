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
    assert!(!log.contains("secret"), "no secret reaches the log: {log}");
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
async fn refused_credentials_are_our_trouble_and_not_the_users() {
    let (upstream, _, server) = on_workspace(&[("DATABRICKS_TOKEN", "wrong-secret")]).await;
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
    assert!(!problem.to_string().contains("secret"));
}
