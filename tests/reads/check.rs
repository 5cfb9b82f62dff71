//! `trace-server check`.

use harness::{ChatServer, TOKEN, TraceServer, Upstream, Workspace};

async fn check(settings: &[(&str, &str)]) -> (String, bool) {
    let (text, status) = TraceServer::command(&["check"], settings).await;
    assert!(!text.contains('\x1b'), "colours are for terminals: {text:?}");
    (text, status.success())
}

#[tokio::test]
async fn a_good_connection_is_said_to_be_good() {
    let upstream = Upstream::v3();
    let (text, is_good) = check(&[
        ("MLFLOW_TRACKING_URI", &upstream.url),
        ("MLFLOW_EXPERIMENT_ID", &upstream.seed.experiment_id),
    ])
    .await;
    assert!(is_good, "{text}");
    for told in [
        "✓ the server answers: MLflow 3.17.2",
        "✓ reviews are kept in SQLite, ",
        "\"support-agent-review\"",
        "✓ search finds 10",
        "✓ spans of",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_fix() {
    let upstream = Upstream::v3();
    let workspace = Workspace::over(&upstream.url).await;
    for (settings, told) in [
        (
            vec![("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")],
            "fix: start the server",
        ),
        (
            vec![
                ("MLFLOW_TRACKING_URI", upstream.url.as_str()),
                ("MLFLOW_EXPERIMENT_ID", "99999"),
            ],
            "fix: set MLFLOW_EXPERIMENT_ID",
        ),
        (
            vec![
                ("DATABRICKS_HOST", workspace.url.as_str()),
                ("DATABRICKS_TOKEN", "planted-wrong-token"),
            ],
            "fix: set MLFLOW_TRACKING_TOKEN",
        ),
        (
            vec![
                ("MLFLOW_TRACKING_URI", upstream.url.as_str()),
                ("DATABASE_URL", "sqlite:///nowhere/at/all/x.db"),
            ],
            "fix: set DATABASE_URL",
        ),
        (vec![], "set MLFLOW_TRACKING_URI"),
    ] {
        let (text, is_good) = check(&settings).await;
        assert!(!is_good && text.contains(told), "{settings:?}: {text}");
        assert!(!text.contains("planted-"), "{text}");
    }
    let (text, is_good) = check(&[
        ("DATABRICKS_HOST", &workspace.url),
        ("DATABRICKS_TOKEN", TOKEN),
        ("MLFLOW_EXPERIMENT_ID", &upstream.seed.experiment_id),
    ])
    .await;
    assert!(
        is_good && text.contains("knows us as owner@example.com"),
        "{text}"
    );
}

#[tokio::test]
async fn whom_analyses_ask_for_insights_is_said_and_nobody_is_asked() {
    let upstream = Upstream::v3();
    let workspace = Workspace::over(&upstream.url).await;
    let chat = ChatServer::start().await;
    let mlflow = ("MLFLOW_TRACKING_URI", upstream.url.as_str());
    let databricks = [
        ("DATABRICKS_HOST", workspace.url.as_str()),
        ("DATABRICKS_TOKEN", TOKEN),
    ];
    let (model, openai) = (("MODEL_ENDPOINT", "org/small"), ("OPENAI_BASE_URL", chat.url()));
    for (settings, is_usable, told) in [
        (
            vec![mlflow, model],
            true,
            "no model is configured (OPENAI_BASE_URL)",
        ),
        (
            vec![mlflow, openai],
            true,
            "unless a request names a model (MODEL_ENDPOINT)",
        ),
        (
            vec![mlflow, openai, model],
            true,
            "ask org/small for insights, an OpenAI-compatible server",
        ),
        (
            vec![databricks[0], databricks[1], ("MODEL_ENDPOINT", "small")],
            true,
            "ask small for insights, a serving endpoint of the workspace",
        ),
        (
            vec![databricks[0], databricks[1], openai, model],
            true,
            "an OpenAI-compatible server",
        ),
        (
            vec![databricks[0], databricks[1], model],
            false,
            "fix: MODEL_ENDPOINT must be 1 to 200 letters",
        ),
        (
            vec![mlflow, ("OPENAI_BASE_URL", "localhost:1")],
            false,
            "fix: OPENAI_BASE_URL",
        ),
    ] {
        let (text, is_good) = check(&settings).await;
        assert!(text.contains(told), "{told}: {text}");
        assert_eq!(is_good, is_usable, "{text}");
        assert!(!text.contains(chat.url()), "{text}");
    }
    assert!(chat.requests().is_empty() && workspace.model_requests().is_empty());
}
