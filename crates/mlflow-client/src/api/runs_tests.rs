use super::*;
use crate::testing::{HANGS_UP, Server};
use serde_json::json;

// Captured on MLflow 3.17.2.
const CREATED: &str = r#"{"run": {"info": {"run_uuid": "0369c1902ac742509073ee058e6c6756", "experiment_id": "2",
    "run_name": "session-x", "user_id": "", "status": "RUNNING", "start_time": 1795465381968,
    "artifact_uri": "mlflow-artifacts:/2/0369c1902ac742509073ee058e6c6756/artifacts", "lifecycle_stage": "active",
    "run_id": "0369c1902ac742509073ee058e6c6756"},
    "data": {"tags": [{"key": "mlflow.user", "value": "ann"}, {"key": "mlflow.runName", "value": "session-x"}]},
    "inputs": {}}}"#;
const UPDATED: &str = r#"{"run_info": {"run_id": "r1", "status": "FINISHED"}}"#;
const UNKNOWN: &str = r#"{"error_code": "RESOURCE_DOES_NOT_EXIST",
    "message": "Run with id=00000000000000000000000000000000 not found",
    "sqlstate": "KAM00", "error_class": "RESOURCE_NOT_FOUND"}"#;

fn id() -> RunId {
    "r1".parse().unwrap()
}

fn tags(count: usize) -> Vec<RunTag> {
    (0..count)
        .map(|n| RunTag {
            key: format!("k{n}"),
            value: n.to_string(),
        })
        .collect()
}

fn new() -> NewRun {
    NewRun {
        experiment_id: "2".parse().unwrap(),
        run_name: None,
        user_id: None,
        start_time: None,
        tags: Vec::new(),
    }
}

#[tokio::test]
async fn a_run_is_made_with_all_that_is_given() {
    let server = Server::answering([(200, CREATED)]).await;
    let new = NewRun {
        run_name: Some("session-x".to_owned()),
        user_id: Some("ann".to_owned()),
        start_time: Some(1_795_465_381_968),
        tags: tags(1),
        ..new()
    };
    let run = server.client().create_run(&new).await.unwrap();
    assert_eq!(run.info.run_id, "0369c1902ac742509073ee058e6c6756");
    assert_eq!(run.data.tags[1].value, "session-x");
    let call = &server.calls()[0];
    assert_eq!(call.line, "POST /api/2.0/mlflow/runs/create");
    assert_eq!(
        call.body,
        json!({
            "experiment_id": "2", "run_name": "session-x", "user_id": "ann", "start_time": 1_795_465_381_968_i64,
            "tags": [{"key": "k0", "value": "0"}],
        })
    );
}

#[tokio::test]
async fn a_run_begins_now_unless_told_and_is_not_made_twice() {
    let server = Server::answering([HANGS_UP, (200, CREATED)]).await;
    let before = unix_ms();
    assert!(server.client().create_run(&new()).await.is_err());
    let [call] = &server.calls()[..] else {
        panic!("one call")
    };
    let start_time = call.body["start_time"].as_i64().unwrap();
    assert!((before..=unix_ms()).contains(&start_time) && before > 1_700_000_000_000);
    assert_eq!(call.body, json!({"experiment_id": "2", "start_time": start_time}));
}

#[tokio::test]
async fn a_run_is_changed_and_deleted_in_what_is_said_only() {
    let server = Server::answering([(200, UPDATED), (502, ""), (200, UPDATED), (200, "{}")]).await;
    let client = server.client();
    let finished = RunUpdate {
        status: Some(RunStatus::Finished),
        end_time: Some(7),
    };
    client.update_run(&id(), &finished).await.unwrap();
    let ended = RunUpdate {
        status: None,
        end_time: Some(8),
    };
    client.update_run(&id(), &ended).await.unwrap();
    client.delete_run(&id()).await.unwrap();
    let calls = server.calls();
    let lines: Vec<_> = calls.iter().map(|call| call.line.as_str()).collect();
    let update = "POST /api/2.0/mlflow/runs/update";
    assert_eq!(
        lines,
        [update, update, update, "POST /api/2.0/mlflow/runs/delete"]
    );
    assert_eq!(
        calls[0].body,
        json!({"run_id": "r1", "status": "FINISHED", "end_time": 7})
    );
    assert_eq!(calls[2].body, json!({"run_id": "r1", "end_time": 8}));
    assert_eq!(calls[3].body, json!({"run_id": "r1"}));
}

#[tokio::test]
async fn tags_are_set_a_hundred_at_a_time() {
    let server = Server::answering([(200, "{}"), (200, "{}"), (404, UNKNOWN)]).await;
    let client = server.client();
    client.set_run_tags(&id(), &[]).await.unwrap();
    client.set_run_tags(&id(), &tags(101)).await.unwrap();
    let calls = server.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].line, "POST /api/2.0/mlflow/runs/log-batch");
    assert_eq!(calls[0].body["tags"].as_array().unwrap().len(), 100);
    assert_eq!(
        calls[1].body,
        json!({"run_id": "r1", "tags": [{"key": "k100", "value": "100"}]})
    );
    let unknown = client.set_run_tags(&id(), &tags(1)).await;
    assert!(matches!(unknown, Err(ClientError::NotFound { .. })));
}

#[test]
fn a_status_is_read_as_it_is_written() {
    for status in [
        RunStatus::Running,
        RunStatus::Scheduled,
        RunStatus::Finished,
        RunStatus::Failed,
        RunStatus::Killed,
    ] {
        assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        assert_eq!(
            serde_json::from_value::<RunStatus>(json!(status.as_str())).unwrap(),
            status
        );
    }
}
