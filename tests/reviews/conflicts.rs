//! Changes at the same time: none is lost without a word.

use http::StatusCode;
use serde_json::{Value, json};

use crate::place::{DEV, Kept, Place};

on_each! {
    what_was_changed_by_another_is_not_overwritten on Sqlite, Postgres, Workspace;
    eight_writers_on_one_session_lose_nothing on Sqlite, Postgres;
    eight_labels_at_once_on_one_item_are_all_kept on Sqlite, Postgres;
    a_version_of_a_session_is_a_version_of_its_users on Sqlite, Postgres;
}

const REVIEWERS: [&str; 2] = ["ann@example.com", "bob@example.com"];

async fn what_was_changed_by_another_is_not_overwritten(kept: Kept) {
    let place = Place::new(kept).await;
    let traces = place.traces(1).await;
    let (session, _) = place.session(&REVIEWERS, &traces).await;
    let id = place.first_item(&session).await;
    let path = format!("/api/labeling-sessions/{session}/items/{id}");
    let [ann, bob] = REVIEWERS.map(|user| place.server.as_user(user));
    let seen = ann.get_json(&path).await;
    let changed = bob.patch_json(&path, &json!({"comment": "bob was here"})).await;
    assert!(changed["last_update_time"].as_str() > seen["last_update_time"].as_str());
    // Ann sends back what she saw, with her change.
    let mut stale = seen.clone();
    stale["comment"] = json!("ann was here");
    let (status, problem) = ann
        .try_patch(&format!("{path}?update_mask=comment"), &stale)
        .await;
    assert_eq!(
        (status, &problem["error"]["code"]),
        (StatusCode::CONFLICT, &json!("CONFLICT"))
    );
    assert_eq!(ann.get_json(&path).await["comment"], "bob was here");
    // The same by header.
    let tag = format!("\"{}\"", seen["last_update_time"].as_str().unwrap());
    let request = ann
        .patch(&path, &json!({"comment": "x"}))
        .header("if-match", &tag);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::CONFLICT);
    let answer = ann.get(&path).send().await.unwrap();
    let tag = answer.headers()["etag"].clone();
    let request = ann
        .patch(&path, &json!({"comment": "ann, too"}))
        .header("if-match", tag);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    let stale = place
        .server
        .as_user(DEV)
        .delete(&path)
        .header("if-match", "\"2026-01-01T00:00:00.000Z\"");
    assert_eq!(stale.send().await.unwrap().status(), StatusCode::CONFLICT);
    // Who has seen nothing changes the newest version.
    let blind = bob.patch_json(&path, &json!({"state": "SKIPPED"})).await;
    assert_eq!(
        (&blind["state"], &blind["comment"]),
        (&json!("SKIPPED"), &json!("ann, too"))
    );
}

async fn a_version_of_a_session_is_a_version_of_its_users(kept: Kept) {
    let place = Place::new(kept).await;
    let (session, _) = place.session(&["ann@example.com"], &[]).await;
    let path = format!("/api/labeling-sessions/{session}");
    let dev = place.server.as_user(DEV);
    let seen = dev.get_json(&path).await;
    let mask = format!("{path}?update_mask=assigned_users");
    let both = json!({"name": "Week 47", "assigned_users": REVIEWERS});
    let changed = dev.patch_json(&mask, &both).await;
    assert_eq!(changed["assigned_users"], json!(REVIEWERS));
    let mut stale = seen;
    stale["assigned_users"] = json!([]);
    assert_eq!(dev.try_patch(&mask, &stale).await.0, StatusCode::CONFLICT);
    assert_eq!(dev.get_json(&path).await, changed);
}

async fn eight_writers_on_one_session_lose_nothing(kept: Kept) {
    let place = Place::new(kept).await;
    let traces = place.traces(24).await;
    let (session, run) = place.session(&REVIEWERS, &[]).await;
    let path = format!("/api/labeling-sessions/{session}");
    // Each links half of what the next one links, too.
    let links = (0..8).map(|nth| {
        let body = json!({"mlflow_run_id": run, "trace_ids": &traces[nth * 3..(nth * 3 + 6).min(24)]});
        let (server, path) = (&place.server, format!("{path}/link-traces"));
        async move { server.as_user(DEV).post_json(&path, &body).await }
    });
    let linked = futures::future::join_all(links).await;
    let created: u64 = linked
        .iter()
        .map(|answer| answer["items_created"].as_u64().unwrap())
        .sum();
    let items = place.items(&session).await;
    assert_eq!((created, items.len()), (24, 24));
    // Eight writers, each through all items, each with a label of its own and states that differ.
    let writers = (0..8).map(|nth| {
        let (place, items, path) = (&place, &items, &path);
        async move {
            for item in items {
                let id = item["item_id"].as_str().unwrap();
                let label = json!({"labels": {(format!("label {nth}")): {"value": nth}}});
                let user = place.server.as_user(REVIEWERS[nth % 2]);
                user.patch_json(&format!("{path}/items/{id}"), &label).await;
            }
        }
    });
    futures::future::join_all(writers).await;
    for item in place.items(&session).await {
        let labels = item["labels"].as_object().unwrap();
        assert_eq!(labels.len(), 8, "{item}");
        assert!((0..8).all(|nth| labels[&format!("label {nth}")]["value"] == nth));
    }
}

async fn eight_labels_at_once_on_one_item_are_all_kept(kept: Kept) {
    let place = Place::new(kept).await;
    let traces = place.traces(1).await;
    let (session, _) = place.session(&REVIEWERS, &traces).await;
    let id = place.first_item(&session).await;
    let path = format!("/api/labeling-sessions/{session}/items/{id}");
    let values = [
        json!("text"),
        json!(4.5),
        json!(true),
        json!(["a", "b"]),
        json!({"k": [null]}),
        json!(0),
        json!(""),
        json!([]),
    ];
    let writes = values.iter().enumerate().map(|(nth, value)| {
        let body =
            json!({"labels": {(nth.to_string()): {"value": value, "comment": "c"}}, "state": "IN_PROGRESS"});
        let (place, path) = (&place, &path);
        async move {
            place
                .server
                .as_user(REVIEWERS[nth % 2])
                .patch_json(path, &body)
                .await
        }
    });
    futures::future::join_all(writes).await;
    let item = place.server.as_user(REVIEWERS[0]).get_json(&path).await;
    let kept: Vec<Value> = (0..8)
        .map(|nth| item["labels"][nth.to_string()]["value"].clone())
        .collect();
    assert_eq!(kept, values);
    let ann = place.server.as_user(REVIEWERS[0]);
    for body in [
        json!({"comment": "a\u{0}b"}),
        json!({"state": 5}),
        json!({"labels": {"": {"value": 1}}}),
        json!({"labels": {"a": {}}}),
    ] {
        let (status, problem) = ann.try_patch(&path, &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert!(problem["error"]["details"]["field"].is_string(), "{problem}");
    }
    let without = ann.patch_json(&path, &json!({"labels": {"0": null}})).await;
    assert_eq!(without["labels"].as_object().unwrap().len(), 7);
}
