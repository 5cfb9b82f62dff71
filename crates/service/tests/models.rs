//! Both ways to a chat model, against what stands at their ends: an OpenAI-compatible server, and a workspace.

#![expect(clippy::unwrap_used, reason = "a test's way to fail")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use calls::Calls;
use chat_client::{ChatClient, ChatConfig, ChatError, ChatRequest};
use harness::{ChatReply, ChatServer, TOKEN, Workspace};
use mlflow_client::{AuthSettings, ClientConfig, MlflowClient, TrackingServer};
use serde_json::{Value, json};
use service::insights::{ChatModel, ServingModel};

const LONG: Duration = Duration::from_secs(30);

fn request() -> ChatRequest {
    ChatRequest {
        model: "databricks-small".into(),
        system: "Answer.".into(),
        user: "planted-question".into(),
        schema_name: "thing",
        schema: json!({"type": "object"}),
        max_output_tokens: 50,
    }
}

/// A workspace without an MLflow: its serving endpoints need none.
async fn workspace() -> (Workspace, MlflowClient) {
    let workspace = Workspace::over("http://127.0.0.1:1").await;
    let settings = AuthSettings {
        databricks_host: Some(workspace.url.clone()),
        databricks_token: Some(TOKEN.into()),
        ..AuthSettings::default()
    };
    let server = TrackingServer::resolve("databricks", &settings).unwrap();
    let mut config = ClientConfig::new(server);
    // Other calls are not waited for as long as a model.
    config.timeouts.call = Duration::from_millis(20);
    config.timeouts.read = Duration::from_millis(20);
    (workspace, MlflowClient::new(&config).unwrap())
}

#[tokio::test]
async fn both_ways_ask_the_same_question() {
    let (workspace, client) = workspace().await;
    let server = ChatServer::start().await;
    let shared = ChatClient::new(ChatConfig {
        base_url: server.url().parse().unwrap(),
        api_key: Some("planted-chat-key".into()),
        connect_timeout: LONG,
        timeout: LONG,
        calls: Calls::default(),
    });
    let ways: [Arc<dyn ChatModel>; 2] = [
        Arc::new(shared.unwrap()),
        Arc::new(ServingModel::new(client, LONG)),
    ];
    server.answers(vec![ChatReply::json(&json!({"a": 1}))]);
    workspace.model_answers(vec![ChatReply::json(&json!({"a": 1}))]);
    for way in ways {
        let answer = way.complete(&request()).await.unwrap();
        assert_eq!(answer.content, r#"{"a":1}"#);
        assert_eq!(answer.usage.unwrap().prompt_tokens, 100);
    }
    let (by_url, by_endpoint) = (&server.requests()[0], &workspace.model_requests()[0]);
    assert_eq!(by_url.body, by_endpoint.body);
    assert_eq!(by_url.authorization.as_deref(), Some("Bearer planted-chat-key"));
    assert_eq!(
        by_endpoint.authorization.as_deref(),
        Some("Bearer planted-dapi-token")
    );
    assert_eq!(
        by_endpoint.path,
        "/serving-endpoints/databricks-small/invocations"
    );
}

#[tokio::test]
async fn an_endpoint_that_takes_no_schema_is_asked_without_from_then_on_whoever_asks() {
    let (workspace, client) = workspace().await;
    let serving = ServingModel::new(client.clone(), LONG);
    let yes = || ChatReply::Says("yes".into());
    workspace.model_answers(vec![
        ChatReply::refusal("response_format is not supported"),
        yes(),
        yes(),
    ]);
    serving.complete(&request()).await.unwrap();
    serving.asked_by(client).complete(&request()).await.unwrap();
    let has_schema = workspace
        .model_requests()
        .into_iter()
        .map(|call| call.body["response_format"] != Value::Null);
    assert_eq!(has_schema.collect::<Vec<_>>(), [true, false, false]);
}

#[tokio::test]
async fn a_users_endpoint_is_asked_by_their_own_token_alone() {
    let (workspace, client) = workspace().await;
    workspace.model_answers(vec![ChatReply::Says("yes".into())]);
    let serving = ServingModel::new(client.clone(), LONG);
    let user = client.of_user(&"planted-users-token".into()).unwrap();
    let refused = serving.asked_by(user).complete(&request()).await.unwrap_err();
    assert!(matches!(refused, ChatError::Unauthorized), "{refused}");
    assert!(workspace.model_requests().is_empty());
    serving.complete(&request()).await.unwrap();
}

#[tokio::test]
async fn what_becomes_of_an_endpoint_is_told_as_of_any_model() {
    let (workspace, client) = workspace().await;
    let serving = ServingModel::new(client.clone(), LONG);
    let said = |status, body: &str| ChatReply::Status(status, Vec::new(), body.to_owned());
    for (reply, is_it) in [
        (
            said(404, r#"{"error_code":"NOT_FOUND","message":"planted"}"#),
            (|e| matches!(e, ChatError::Rejected { status: 404, .. })) as fn(&ChatError) -> bool,
        ),
        (said(403, "{}"), |e| matches!(e, ChatError::Unauthorized)),
        (said(500, "{}"), |e| {
            matches!(e, ChatError::Unavailable { status: 500, .. })
        }),
        (said(200, "<html>"), |e| matches!(e, ChatError::Malformed { .. })),
        (ChatReply::Says("x".repeat(2 << 20)), |e| {
            matches!(e, ChatError::TooLarge { .. })
        }),
    ] {
        workspace.model_answers(vec![reply]);
        let error = serving.complete(&request()).await.unwrap_err();
        assert!(is_it(&error), "{error:?}");
        assert!(!error.to_string().contains("planted"), "{error}");
    }
    workspace.model_answers(vec![ChatReply::Hangs]);
    let (began, limit) = (Instant::now(), Duration::from_millis(200));
    let late = ServingModel::new(client, limit)
        .complete(&request())
        .await
        .unwrap_err();
    assert!(
        matches!(late, ChatError::Timeout { limit: told } if told == limit),
        "{late:?}"
    );
    assert!((limit..LONG / 6).contains(&began.elapsed()));
}
