//! Traces linked to sessions and runs: once, and safe to repeat.

use http::StatusCode;
use serde_json::{Value, json};

use crate::place::{DEV, Kept, Place, mlflow};

on_each! {
    linking_again_neither_fails_nor_doubles on Sqlite, Postgres, Workspace;
    an_unknown_trace_links_nothing on Sqlite, Postgres;
    items_come_in_pages_and_by_state on Sqlite, Postgres, Workspace;
}

fn trace_of(item: &Value) -> &str {
    item["source"]["trace_id"].as_str().unwrap()
}

/// The traces that MLflow itself finds by the run.
async fn linked(place: &Place, run: &str) -> Vec<String> {
    let body = json!({
        "locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": place.experiment}}],
        "filter": format!("attributes.run_id = '{run}'"), "max_results": 500,
    });
    let found = mlflow(&place.upstream, "/api/3.0/mlflow/traces/search", &body).await;
    let traces = found["traces"].as_array().cloned().unwrap_or_default();
    traces
        .iter()
        .map(|trace| trace["trace_id"].as_str().unwrap().to_owned())
        .collect()
}

async fn linking_again_neither_fails_nor_doubles(kept: Kept) {
    let place = Place::new(kept).await;
    let traces = place.traces(130).await;
    let (session, run) = place.session(&["ann@example.com"], &[]).await;
    let dev = place.server.as_user(DEV);
    let path = format!("/api/labeling-sessions/{session}/link-traces");
    let first = json!({"mlflow_run_id": run, "trace_ids": &traces[..60]});
    let answer = dev.post_json(&path, &first).await;
    assert_eq!(
        answer,
        json!({"success": true, "linked_traces": 60, "items_created": 60, "message": "traces linked: 60, new items: 60"})
    );
    assert_eq!(dev.post_json(&path, &first).await["items_created"], 0);
    // More than MLflow takes at once, some of them linked already, one named twice.
    let mut more = traces[30..].to_vec();
    more.push(traces[129].clone());
    let answer = dev
        .post_json(&path, &json!({"mlflow_run_id": run, "trace_ids": more}))
        .await;
    assert_eq!(
        (&answer["linked_traces"], &answer["items_created"]),
        (&json!(100), &json!(70))
    );
    let items = place.items(&session).await;
    assert_eq!(
        items.iter().map(trace_of).collect::<Vec<_>>(),
        traces,
        "in the order they were added"
    );
    assert_eq!(items[7]["request_preview"], "question 7");
    assert_eq!(
        (&items[7]["state"], &items[7]["labels"]),
        (&json!("PENDING"), &json!({}))
    );
    assert_eq!(items[7]["created_by"], place.author(DEV));
    let mut found = linked(&place, &run).await;
    found.sort();
    let mut expected = traces.clone();
    expected.sort();
    assert_eq!(found, expected);
    let wrong = json!({"mlflow_run_id": "0369c1902ac742509073ee058e6c6756", "trace_ids": [traces[0]]});
    let (status, problem) = dev.try_post(&path, &wrong).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["error"]["details"]["field"], "mlflow_run_id");
}

async fn an_unknown_trace_links_nothing(kept: Kept) {
    let place = Place::new(kept).await;
    let traces = place.traces(2).await;
    let (session, run) = place.session(&["ann@example.com"], &[]).await;
    let dev = place.server.as_user(DEV);
    let ids = json!([traces[0], "tr-00000000000000000000000000000000", traces[1]]);
    let path = format!("/api/labeling-sessions/{session}/link-traces");
    let (status, problem) = dev
        .try_post(&path, &json!({"mlflow_run_id": run, "trace_ids": ids}))
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("tr-00000000000000000000000000000000")
    );
    let to_run = json!({"run_id": run, "trace_ids": ids});
    let (status, _) = dev.try_post("/api/mlflow/traces/link-to-run", &to_run).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(
        (
            place.items(&session).await.len(),
            linked(&place, &run).await.len()
        ),
        (0, 0)
    );
    // As the frontend spells it.
    let to_run = json!({"runId": run, "traceIds": traces});
    let answer = dev.post_json("/api/traces/link-to-run/", &to_run).await;
    assert_eq!(
        answer,
        json!({"success": true, "linked_count": 2, "message": "traces linked: 2"})
    );
    assert_eq!(linked(&place, &run).await.len(), 2);
    let unknown = json!({"run_id": "0369c1902ac742509073ee058e6c6756", "trace_ids": traces});
    let (status, _) = dev.try_post("/api/mlflow/traces/link-to-run", &unknown).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

async fn items_come_in_pages_and_by_state(kept: Kept) {
    let place = Place::new(kept).await;
    let traces = place.traces(7).await;
    let (session, _) = place.session(&["ann@example.com"], &traces).await;
    let ann = place.server.as_user("ann@example.com");
    let path = format!("/api/labeling-sessions/{session}/items");
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let page = ann
            .get_json(&format!("{path}?page_size=3&page_token={token}"))
            .await;
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 3);
        seen.extend(items.iter().map(|item| trace_of(item).to_owned()));
        match page["next_page_token"].as_str() {
            Some(next) => next.clone_into(&mut token),
            None => break,
        }
    }
    assert_eq!(seen, traces);
    for item in &place.items(&session).await[2..5] {
        let id = item["item_id"].as_str().unwrap();
        ann.patch_json(
            &format!("{path}/{id}?update_mask=state"),
            &json!({"state": "COMPLETED"}),
        )
        .await;
    }
    let count = async |state: &str| {
        let page = ann.get_json(&format!("{path}?filter=state={state}")).await;
        page["items"].as_array().unwrap().len()
    };
    assert_eq!(
        (
            count("COMPLETED").await,
            count("PENDING").await,
            count("SKIPPED").await
        ),
        (3, 4, 0)
    );
    // A page whose entries are all passed over is not the end.
    let page = ann
        .get_json(&format!("{path}?filter=state=COMPLETED&page_size=2"))
        .await;
    assert!(!page["items"].as_array().unwrap().is_empty() && page["next_page_token"].is_string());
    for (query, field) in [
        ("page_size=0", "page_size"),
        ("page_size=1001", "page_size"),
        ("filter=state=DONE", "filter"),
        ("filter=color=red", "filter"),
    ] {
        let (status, problem) = ann.try_get(&format!("{path}?{query}")).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert_eq!(problem["error"]["details"]["field"], field, "{query}");
    }
    if kept != Kept::Workspace {
        let (status, problem) = ann.try_get(&format!("{path}?page_token=zz")).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(problem["error"]["details"]["field"], "page_token");
    }
}

#[tokio::test]
async fn items_can_be_made_and_taken_away_one_by_one() {
    let place = Place::new(Kept::Sqlite).await;
    let traces = place.traces(3).await;
    let (session, run) = place.session(&["ann@example.com"], &traces[..1]).await;
    let dev = place.server.as_user(DEV);
    let items = traces
        .iter()
        .map(|id| json!({"source": {"trace_id": id}}))
        .collect::<Vec<_>>();
    let path = format!("/api/labeling-sessions/{session}/items");
    let created = dev
        .post_json(&format!("{path}/batchCreate"), &json!({ "items": items }))
        .await;
    let traces_of = |items: &Value| -> Vec<String> {
        items
            .as_array()
            .unwrap()
            .iter()
            .map(|item| trace_of(item).to_owned())
            .collect()
    };
    assert_eq!(
        traces_of(&created["items"]),
        traces,
        "the one that was there among them"
    );
    assert_eq!(linked(&place, &run).await, traces[..1]);
    let first = created["items"][0]["item_id"].as_str().unwrap();
    assert!(dev.get_json(&format!("{path}/{first}")).await["request_preview"].is_string());
    dev.delete_json(&format!("{path}/{first}")).await;
    assert_eq!(
        dev.try_get(&format!("{path}/{first}")).await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        dev.try_delete(&format!("{path}/{first}")).await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(place.items(&session).await.len(), 2);
    assert_eq!(linked(&place, &run).await, traces[..1], "the link stays");
}
