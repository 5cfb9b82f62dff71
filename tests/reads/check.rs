//! `trace-server check`.

use harness::{TOKEN, TraceServer, Upstream, Workspace};

async fn check(settings: &[(&str, &str)]) -> (String, bool) {
    let (text, status) = TraceServer::command(&["check"], settings).await;
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
