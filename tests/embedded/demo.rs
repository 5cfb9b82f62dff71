//! What there is to try without an MLflow: the demo, and the file that MLflow leaves by default.

use harness::{TraceServer, Upstream};
use serde_json::json;

use crate::Kind;
use crate::store::OwnStore;

#[tokio::test]
async fn the_demo_has_traces_to_read_and_a_session_to_label() {
    let server = TraceServer::demo().await;
    let search = json!({"max_results": 500, "include_spans": true});
    let page = server.post_json("/api/mlflow/search-traces", &search).await;
    let traces = page["traces"].as_array().unwrap();
    assert!(traces.len() >= 50, "{} traces", traces.len());
    for trace in traces {
        let (info, spans) = (&trace["info"], trace["data"]["spans"].as_array().unwrap());
        let is_whole =
            info["state"] == "IN_PROGRESS" || spans.iter().any(|span| span["parent_span_id"].is_null());
        assert!(is_whole && trace["data"].get("error").is_none(), "{info}");
    }
    let sessions = server.json("/api/labeling-sessions").await;
    let session = sessions["labeling_sessions"][0]["labeling_session_id"]
        .as_str()
        .unwrap();
    let items = server
        .json(&format!("/api/labeling-sessions/{session}/items"))
        .await;
    let states = crate::texts(&items["items"], "/state");
    let completed = states.iter().filter(|state| *state == "COMPLETED").count();
    assert_eq!((states.len(), completed), (12, 3));
    let labeled = items["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["state"] == "COMPLETED")
        .unwrap();
    let trace = server
        .json(&format!(
            "/api/traces/{}",
            labeled["source"]["trace_id"].as_str().unwrap()
        ))
        .await;
    let names = crate::texts(&trace["info"]["assessments"], "/name");
    assert!(
        names.contains(&"helpful".to_owned()) && names.contains(&"tone".to_owned()),
        "{names:?}"
    );
}

#[tokio::test]
async fn the_demos_schema_is_that_of_a_new_database_of_mlflow() {
    let made = Upstream::v3().run_script("dump_schema.py", &[]);
    let kept = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/demo/schema/mlflow-dc11669786a5.sql"
    );
    let kept = std::fs::read_to_string(kept).unwrap();
    assert!(
        made == kept,
        "run tests/mlflow/dump_schema.py anew and see what changed"
    );
}

#[tokio::test]
async fn without_a_word_the_file_that_mlflow_leaves_is_served() {
    let store = OwnStore::new(Kind::Sqlite).await;
    assert_eq!(store.file().parent().unwrap(), store.folder());
    let server = TraceServer::in_folder(store.folder(), &[("MLFLOW_EXPERIMENT_ID", &store.experiment)]).await;
    let page = server.post_json("/api/mlflow/search-traces", &json!({})).await;
    assert_eq!(
        crate::texts(&page["traces"], "/info/trace_id").len(),
        store.traces.len()
    );
}
