//! What is deployed, run as it is where it is deployed: the image's command and environment, the bundle of a Databricks app, and
//! replicas behind nginx. No container engine is needed.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test's way to fail"
)]

mod compose;
mod databricks;
mod image;
mod prometheus;
mod replicas;

use std::path::{Path, PathBuf};

use harness::{Asker, Upstream};
use http::StatusCode;
use serde_json::json;

const DEV: &str = "dev@example.com";
const ANN: &str = "ann@example.com";

/// A file of the repository.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The static binary, where `deploy/static.sh` could build one.
fn static_binary() -> Option<PathBuf> {
    let path = std::env::var_os("TRACE_SERVER_STATIC").filter(|path| !path.is_empty());
    path.map(|path| file("").join(path))
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    uid.split_whitespace().nth(1) == Some("0")
}

/// An experiment of its own with traces of the sample agent: a session leaves a run behind, labels stay on traces.
struct Place {
    experiment: String,
    traces: Vec<String>,
}

impl Place {
    async fn at(upstream: &Upstream) -> Self {
        let name = format!("deploy-{:?}", std::time::SystemTime::now());
        let create = format!("{}/api/2.0/mlflow/experiments/create", upstream.url);
        let create = harness::http_client().post(create).json(&json!({ "name": name }));
        let (status, made) = harness::answer(create).await;
        assert!(status.is_success(), "{made}");
        let experiment = made["experiment_id"].as_str().unwrap().to_owned();
        let traces = upstream.run_script("converse.py", &["--experiment", &experiment, "--count", "2"]);
        Self {
            traces: traces.lines().map(str::to_owned).collect(),
            experiment,
        }
    }
}

/// A developer makes a session of these traces for Ann; the session's id.
async fn a_session_is_made(dev: Asker<'_>, traces: &[String]) -> String {
    let schema = json!({"name": "correct", "type": "FEEDBACK", "title": "Correct?", "categorical": {"options": ["yes", "no"]}});
    let (status, told) = dev.try_post("/api/label-schemas", &schema).await;
    assert!(status.is_success() || status == StatusCode::CONFLICT, "{told}");
    let session =
        json!({"name": "Week 47", "assigned_users": [ANN], "labeling_schemas": [{"name": "correct"}]});
    let session = dev.post_json("/api/labeling-sessions", &session).await;
    let id = session["labeling_session_id"].as_str().unwrap().to_owned();
    let links = json!({"mlflow_run_id": session["mlflow_run_id"], "trace_ids": traces});
    dev.post_json(&format!("/api/labeling-sessions/{id}/link-traces"), &links)
        .await;
    id
}

/// A reviewer sees their session, reads its first trace, labels it, and is done with it.
async fn it_is_labeled(reviewer: Asker<'_>, id: &str) {
    let sessions = reviewer.get_json("/api/labeling-sessions").await;
    let ids: Vec<_> = sessions["labeling_sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|session| &session["labeling_session_id"])
        .collect();
    assert!(ids.contains(&&json!(id)), "{sessions}");
    let items = format!("/api/labeling-sessions/{id}/items");
    let item = reviewer.get_json(&items).await["items"][0].clone();
    let trace = item["source"]["trace_id"].as_str().unwrap();
    let read = reviewer.get_json(&format!("/api/traces/{trace}")).await;
    assert!(!read["data"]["spans"].as_array().unwrap().is_empty(), "{read}");
    let feedback =
        json!({"assessment": {"name": "correct", "value": "yes", "rationale": "größer als nötig"}});
    reviewer
        .post_json(&format!("/api/traces/{trace}/feedback"), &feedback)
        .await;
    let path = format!("{items}/{}", item["item_id"].as_str().unwrap());
    let done = reviewer.patch_json(&path, &json!({"state": "COMPLETED"})).await;
    assert_eq!(done["state"], "COMPLETED");
}

/// A developer has the labels analysed, watches that, and reads the report.
async fn it_is_analysed(dev: Asker<'_>, id: &str) {
    let path = format!("/api/labeling-sessions/{id}/analysis");
    dev.post_json(&format!("{path}/trigger"), &json!({})).await;
    let events = dev.get(&format!("{path}/status/stream")).send().await.unwrap();
    let events = events.text().await.unwrap();
    assert!(events.contains(r#""status":"completed""#), "{events}");
    let report = dev.get_json(&path).await;
    assert!(
        report["content"].as_str().unwrap().contains("größer als nötig"),
        "{report}"
    );
}
