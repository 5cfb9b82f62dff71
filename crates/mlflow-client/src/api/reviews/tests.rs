use super::*;
use crate::MlflowClient;
use crate::testing::{HANGS_UP, Server};
use domain::{Item, ItemState, LabelSchemaRef, ReviewAppChange, SessionChange, TraceId};
use serde_json::json;

const APP: &str = r#"{"review_app_id": "app", "experiment_id": "1", "labeling_schemas": [
    {"name": "n", "type": "FEEDBACK", "title": "t", "pass_fail": {"positive_label": "Pass"}}]}"#;
const SESSION: &str =
    r#"{"labeling_session_id": "s", "mlflow_run_id": "r", "name": "week 47", "assigned_users": ["ann"]}"#;
const ITEM: &str = r#"{"item_id": "i", "source": {"trace_id": "tr-1"}, "state": "COMPLETED"}"#;
const UNKNOWN: &str = r#"{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no", "details": []}"#;

fn app() -> ReviewAppId {
    "app".parse().unwrap()
}

fn session() -> LabelingSessionId {
    "s".parse().unwrap()
}

fn item() -> Item {
    serde_json::from_str(ITEM).unwrap()
}

fn lines(server: &Server) -> Vec<String> {
    server.calls().into_iter().map(|call| call.line).collect()
}

async fn list(client: &MlflowClient) -> Result<Vec<domain::ReviewApp>, ClientError> {
    client.list_review_apps(&"1".parse().unwrap()).await
}

#[tokio::test]
async fn review_apps_are_read_page_by_page_until_the_token_is_empty() {
    let first = r#"{"review_apps": [], "next_page_token": "a+b="}"#;
    let last = r#"{"review_apps": [{"review_app_id": "app", "experiment_id": "1"}], "next_page_token": ""}"#;
    let server = Server::answering([(200, first), (200, last), (200, "{}")]).await;
    let found = list(&server.client()).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].review_app_id, app());
    assert!(list(&server.client()).await.unwrap().is_empty());
    let path = "GET /api/2.0/managed-evals/review-apps?page_size=500";
    assert_eq!(
        lines(&server),
        [
            format!("{path}&filter=experiment_id%3D1"),
            format!("{path}&page_token=a%2Bb%3D&filter=experiment_id%3D1"),
            format!("{path}&filter=experiment_id%3D1"),
        ]
    );
}

#[tokio::test]
async fn pages_without_end_are_an_error() {
    let server = Server::answering([(200, r#"{"next_page_token": "again"}"#); 100]).await;
    let found = list(&server.client()).await;
    assert!(matches!(found, Err(ClientError::Malformed { .. })));
    assert_eq!(server.calls().len(), 20);
}

#[tokio::test]
async fn a_review_app_is_made_and_changed_in_what_is_said_only() {
    let server = Server::answering([(200, APP), (200, APP), (503, ""), (200, APP), (200, APP)]).await;
    let client = server.client();
    let kept = client.get_review_app(&app()).await.unwrap();
    let schemas = ReviewAppChange {
        agents: None,
        labeling_schemas: Some(kept.labeling_schemas.clone()),
    };
    client
        .create_review_app(&"1".parse().unwrap(), &schemas)
        .await
        .unwrap();
    let changed = client.update_review_app(&kept, &["labeling_schemas"]).await;
    assert_eq!(changed.unwrap(), kept);
    client.update_review_app(&kept, &[]).await.unwrap();
    let one = "/api/2.0/managed-evals/review-apps/app";
    let patch = format!("PATCH {one}?update_mask=labeling_schemas");
    assert_eq!(
        lines(&server),
        [
            &format!("GET {one}"),
            "POST /api/2.0/managed-evals/review-apps",
            &patch,
            &patch,
            &format!("GET {one}"),
        ]
    );
    // What the workspace knows besides comes back to it.
    let schema = json!({
        "name": "n", "type": "FEEDBACK", "title": "t", "enable_comment": false,
        "pass_fail": {"positive_label": "Pass"},
    });
    let calls = server.calls();
    assert_eq!(
        calls[1].body,
        json!({"experiment_id": "1", "labeling_schemas": [schema]})
    );
    assert_eq!(calls[3].body, json!({"labeling_schemas": [schema]}));
}

#[tokio::test]
async fn sessions_and_items_come_in_pages() {
    let sessions = r#"{"labeling_sessions": [{"labeling_session_id": "s"}], "next_page_token": "t"}"#;
    let items = r#"{"items": [{"item_id": "i", "source": {}}], "next_page_token": ""}"#;
    let server = Server::answering([(200, sessions), (200, items), (200, "{}")]).await;
    let client = server.client();
    let page = client.list_labeling_sessions(&app(), 7, None).await.unwrap();
    assert_eq!(page.entries[0].labeling_session_id, session());
    assert_eq!(page.next_page_token.as_deref(), Some("t"));
    let page = client
        .list_items(&app(), &session(), 500, Some("t"))
        .await
        .unwrap();
    assert_eq!(
        (page.entries[0].state, page.next_page_token),
        (ItemState::Pending, None)
    );
    let empty = client.list_items(&app(), &session(), 1, None).await.unwrap();
    assert!(empty.entries.is_empty());
    let path = "GET /api/2.0/managed-evals/review-apps/app/labeling-sessions";
    assert_eq!(
        lines(&server),
        [
            format!("{path}?page_size=7"),
            format!("{path}/s/items?page_size=500&page_token=t"),
            format!("{path}/s/items?page_size=1"),
        ]
    );
}

#[tokio::test]
async fn what_a_session_change_takes_away_is_null_and_in_a_new_session_nothing() {
    let server = Server::answering([(200, SESSION), (200, SESSION), (200, SESSION), (200, SESSION)]).await;
    let client = server.client();
    let change = SessionChange {
        name: Some("week 47".to_owned()),
        labeling_schemas: Some(vec![LabelSchemaRef { name: "n".to_owned() }]),
        agent: Some(None),
        additional_configs: Some(Some(json!({"disable_multi_turn_chat": true}))),
        ..SessionChange::default()
    };
    let made = client.create_labeling_session(&app(), &change).await.unwrap();
    assert_eq!(made.mlflow_run_id, Some("r".parse().unwrap()));
    let (mut changed, fields) = (made, change.fields());
    changed.apply(change);
    client
        .update_labeling_session(&app(), &changed, &fields)
        .await
        .unwrap();
    client
        .update_labeling_session(&app(), &changed, &[])
        .await
        .unwrap();
    client.get_labeling_session(&app(), &session()).await.unwrap();
    let path = "/api/2.0/managed-evals/review-apps/app/labeling-sessions";
    let mask = "name,labeling_schemas,agent,additional_configs";
    assert_eq!(
        lines(&server),
        [
            format!("POST {path}"),
            format!("PATCH {path}/s?update_mask={}", mask.replace(',', "%2C")),
            format!("GET {path}/s"),
            format!("GET {path}/s"),
        ]
    );
    let mut body = json!({
        "name": "week 47", "labeling_schemas": [{"name": "n"}],
        "additional_configs": {"disable_multi_turn_chat": true},
    });
    let calls = server.calls();
    assert_eq!(calls[0].body, body);
    body["agent"] = Value::Null;
    assert_eq!(calls[1].body, body);
}

#[tokio::test]
async fn sessions_and_items_are_deleted() {
    let server = Server::answering([(200, "{}"), (200, ""), (404, UNKNOWN), (503, ""), (404, UNKNOWN)]).await;
    let client = server.client();
    client.delete_labeling_session(&app(), &session()).await.unwrap();
    let item = "i".parse().unwrap();
    client.delete_item(&app(), &session(), &item).await.unwrap();
    for _ in 0..2 {
        let gone = client.delete_item(&app(), &session(), &item).await;
        assert!(matches!(gone, Err(ClientError::NotFound { .. })));
    }
    let path = "DELETE /api/2.0/managed-evals/review-apps/app/labeling-sessions/s";
    let expected = [path.to_owned(), format!("{path}/items/i")];
    let [first, rest @ ..] = &lines(&server)[..] else {
        panic!("several calls")
    };
    assert_eq!(*first, expected[0]);
    assert!(rest.len() == 4 && rest.iter().all(|line| *line == expected[1]));
}

#[tokio::test]
async fn items_are_made_a_hundred_at_a_time_and_not_twice() {
    let some = r#"{"items": [{"item_id": "i", "source": {"trace_id": "tr-0"}}]}"#;
    let server = Server::answering([(200, some), (200, "{}"), HANGS_UP, (200, "{}")]).await;
    let client = server.client();
    let traces: Vec<TraceId> = (0..101).map(|n| format!("tr-{n}").parse().unwrap()).collect();
    let made = client.create_items(&app(), &session(), &traces).await.unwrap();
    assert_eq!(made.len(), 1);
    let path = "POST /api/2.0/managed-evals/review-apps/app/labeling-sessions/s/items:batchCreate";
    assert_eq!(lines(&server), [path, path]);
    let calls = server.calls();
    assert_eq!(calls[0].body["items"].as_array().unwrap().len(), 100);
    assert_eq!(
        calls[1].body,
        json!({"items": [{"source": {"trace_id": "tr-100"}}]})
    );
    assert!(
        client
            .create_items(&app(), &session(), &traces[..1])
            .await
            .is_err()
    );
    assert!(
        client
            .create_items(&app(), &session(), &[])
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(server.calls().len(), 3);
}

#[tokio::test]
async fn an_item_is_changed_in_the_members_named() {
    let server = Server::answering([(200, ITEM), (200, ITEM), (200, ITEM)]).await;
    let client = server.client();
    let mut item = item();
    let label = json!({"value": ["a", 1.0], "comment": "c", "by": "ann"});
    item.labels = [("tone".to_owned(), serde_json::from_value(label.clone()).unwrap())].into();
    item.request_preview = Some("?".to_owned());
    let (app, session) = (app(), session());
    let changed = client
        .update_item(&app, &session, &item, &["state", "labels"])
        .await;
    assert_eq!(changed.unwrap().state, ItemState::Completed);
    client
        .update_item(&app, &session, &item, &["comment"])
        .await
        .unwrap();
    client.update_item(&app, &session, &item, &[]).await.unwrap();
    let path = "/api/2.0/managed-evals/review-apps/app/labeling-sessions/s/items/i";
    assert_eq!(
        lines(&server),
        [
            format!("PATCH {path}?update_mask=state%2Clabels"),
            format!("PATCH {path}?update_mask=comment"),
            format!("GET {path}"),
        ]
    );
    let calls = server.calls();
    assert_eq!(
        calls[0].body,
        json!({"state": "COMPLETED", "labels": {"tone": label}})
    );
    assert_eq!(calls[1].body, json!({"comment": null}));
}
