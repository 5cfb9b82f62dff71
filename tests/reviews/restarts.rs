//! What a crash leaves, and what a repeat makes of it.

use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{Fault, Gate, TraceServer};
use serde_json::{Value, json};

use crate::place::{DEV, Kept, Place};

on_each! {
    a_crash_amid_linking_is_mended_by_doing_it_again on Sqlite, Postgres;
}

/// The server anew, on the same MLflow and the same database.
async fn restarted(place: &Place, database: &str) -> TraceServer {
    let settings = [
        ("MLFLOW_TRACKING_URI", place.upstream.url.as_str()),
        ("MLFLOW_EXPERIMENT_ID", place.experiment.as_str()),
        ("TRACE_SERVER_TRUST_PROXY", "true"),
        ("DEVELOPERS", DEV),
        ("DATABASE_URL", database),
    ];
    TraceServer::with(&settings).await
}

async fn a_crash_amid_linking_is_mended_by_doing_it_again(kept: Kept) {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite://{}/reviews.db", folder.path().display());
    let mut place = Place::new(kept).await;
    let database = place
        .database
        .as_ref()
        .map_or(sqlite, |database| database.url().to_owned());
    let mut server = restarted(&place, &database).await;
    std::mem::swap(&mut place.server, &mut server);
    let traces = place.traces(250).await;
    let (session, run) = place.session(&["ann@example.com"], &[]).await;
    // A second server on the same database, whose second page of links is held while it is killed.
    let gate = Gate::default();
    let held = gate.clone();
    let settings = [
        ("MLFLOW_TRACKING_URI", place.proxy.url.as_str()),
        ("MLFLOW_EXPERIMENT_ID", place.experiment.as_str()),
        ("TRACE_SERVER_TRUST_PROXY", "true"),
        ("DEVELOPERS", DEV),
        ("DATABASE_URL", database.as_str()),
    ];
    let mut doomed = TraceServer::with(&settings).await;
    let pages = AtomicUsize::new(0);
    place.proxy.rule(move |call| {
        let is_second = call.path.contains("link-to-run") && pages.fetch_add(1, Ordering::SeqCst) == 1;
        if is_second {
            Fault::Held(held.clone())
        } else {
            Fault::None
        }
    });
    let links = json!({"mlflow_run_id": run, "trace_ids": traces});
    let path = format!("/api/labeling-sessions/{session}/link-traces");
    {
        let mut request = std::pin::pin!(doomed.as_user(DEV).post(&path, &links).send());
        let under_way = place
            .proxy
            .until("the second page of links is under way", |proxy| {
                proxy.count("link-to-run") == 2
            });
        tokio::select! {
            _ = &mut request => panic!("it is held"),
            () = under_way => {}
        }
    }
    doomed.kill().await;
    gate.open();
    assert_eq!(
        place.items(&session).await.len(),
        0,
        "no item was made before all links were"
    );
    let dev = place.server.as_user(DEV);
    assert_eq!(dev.post_json(&path, &links).await["items_created"], 250);
    assert_eq!(dev.post_json(&path, &links).await["items_created"], 0);
    assert_eq!(place.items(&session).await.len(), 250);
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}/reviews.db", folder.path().display());
    let mut place = Place::new(Kept::Sqlite).await;
    place.server = restarted(&place, &database).await;
    let traces = place.traces(20).await;
    let (session, _) = place.session(&["ann@example.com"], &traces).await;
    let items = place.items(&session).await;
    let path = format!("/api/labeling-sessions/{session}/items");
    let mut done = Vec::new();
    let ann = place.server.as_user("ann@example.com");
    for item in &items {
        let id = item["item_id"].as_str().unwrap();
        done.push(
            ann.patch_json(
                &format!("{path}/{id}"),
                &json!({"state": "COMPLETED", "comment": "c"}),
            )
            .await,
        );
    }
    place.server.kill().await;
    place.server = restarted(&place, &database).await;
    let without_previews = |items: Vec<Value>| -> Vec<Value> {
        let strip = |mut item: Value| {
            item["request_preview"] = Value::Null;
            item["response_preview"] = Value::Null;
            item
        };
        items.into_iter().map(strip).collect()
    };
    assert_eq!(
        without_previews(place.items(&session).await),
        without_previews(done)
    );
}

#[tokio::test]
async fn many_servers_may_start_on_one_new_database_at_once() {
    for kept in [Kept::Sqlite, Kept::Postgres] {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = format!("sqlite://{}/reviews.db", folder.path().display());
        let place = Place::new(kept).await;
        let fresh = harness::Postgres::database().await;
        let database = match kept {
            Kept::Postgres => fresh.url().to_owned(),
            _ => sqlite,
        };
        let servers = futures::future::join_all((0..6).map(|_| restarted(&place, &database))).await;
        let schema = json!({"name": "tone", "type": "FEEDBACK", "title": "t", "text": {}});
        servers[0]
            .as_user(DEV)
            .post_json("/api/label-schemas", &schema)
            .await;
        for server in &servers {
            let listed = server.as_user(DEV).get_json("/api/label-schemas").await;
            assert_eq!(
                listed.as_array().unwrap().len(),
                1,
                "{kept:?}: all see one database"
            );
        }
    }
}

#[tokio::test]
async fn a_write_under_way_is_done_before_the_process_ends() {
    let place = Place::new(Kept::Sqlite).await;
    let traces = place.traces(1).await;
    let gate = Gate::default();
    let held = gate.clone();
    place.proxy.rule(move |call| {
        let is_label = call.path.ends_with("/assessments");
        if is_label {
            Fault::Held(held.clone())
        } else {
            Fault::None
        }
    });
    let path = format!("/api/traces/{}/feedback", traces[0]);
    let body = json!({"assessment": {"name": "tone", "value": "good"}});
    {
        let dev = place.server.as_user(DEV);
        let mut request = std::pin::pin!(dev.post(&path, &body).send());
        let under_way = place
            .proxy
            .until("the label is under way", |proxy| proxy.count("/assessments") == 1);
        tokio::select! {
            _ = &mut request => unreachable!("it is held"),
            () = under_way => {}
        }
        // The one who asked hangs up: no connection holds the process back.
    }
    place.server.terminate();
    let ended = tokio::spawn(place.server.ended());
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!ended.is_finished(), "it waits for the write");
    gate.open();
    let (status, log) = ended.await.unwrap();
    assert!(
        status.success() && !log.join("\n").contains("broken off"),
        "{log:?}"
    );
    let trace = format!("{}/api/3.0/mlflow/traces/{}", place.upstream.url, traces[0]);
    let (_, trace) = harness::answer(harness::http_client().get(trace)).await;
    assert_eq!(
        trace["trace"]["trace_info"]["assessments"][0]["assessment_name"],
        "tone"
    );
}
