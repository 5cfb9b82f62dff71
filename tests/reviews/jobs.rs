//! Work in the background: one about each subject, whoever leaves, whichever server ends.

use std::time::Duration;

use harness::{Fault, Gate, TraceServer};
use http::StatusCode;
use serde_json::{Value, json};

use crate::analyses::over;
use crate::place::{DEV, Kept, Place};

on_each! {
    an_analysis_goes_on_when_whoever_asked_has_left on Sqlite;
    a_subject_is_analysed_once_at_a_time on Sqlite, Postgres, Workspace;
    a_cancelled_analysis_stops_and_leaves_what_was on Sqlite, Workspace;
    a_report_that_is_being_stored_is_stored on Sqlite;
    too_many_are_refused_at_once on Sqlite;
    a_server_that_is_stopped_says_so on Sqlite, Postgres;
    a_server_that_is_killed_leaves_no_analysis_that_seems_to_run on Sqlite, Postgres;
    every_server_tells_and_cancels_what_another_does on Postgres;
}

/// A session whose analysis waits at the gate, and how often it came there.
async fn held(place: &Place) -> (String, Gate) {
    let traces = place.traces(2).await;
    let (session, _) = place.session(&["ann@example.com"], &traces).await;
    (session, hold(place))
}

/// Holds what writes artifacts, or asks to.
fn hold(place: &Place) -> Gate {
    let gate = Gate::default();
    let held = gate.clone();
    place.proxy.rule(move |call| {
        if is_storing(&call.path) && call.method != "GET" {
            Fault::Held(held.clone())
        } else {
            Fault::None
        }
    });
    gate
}

/// Holds what reads labels.
fn hold_reads(place: &Place) -> Gate {
    let gate = Gate::default();
    place.proxy.does_to("/traces/", Fault::Held(gate.clone()));
    gate
}

/// Waits until labels are being read, and this server has told that it works on it.
async fn until_reading(place: &Place, session: &str) {
    let is_there = |proxy: &harness::Proxy| proxy.count("/traces/") > 0;
    place.proxy.until("labels are being read", is_there).await;
    while !status(&place.server, session).await["message"]
        .as_str()
        .unwrap()
        .starts_with("reading labels")
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_storing(path: &str) -> bool {
    path.contains("mlflow-artifacts/artifacts") || path.contains("credentials-for-write")
}

/// Waits until a report is being stored, and this server has told that it works on it.
async fn until_storing(place: &Place, session: &str) {
    let is_there = |proxy: &harness::Proxy| {
        proxy.count("mlflow-artifacts/artifacts") + proxy.count("credentials-for-write") > 0
    };
    place.proxy.until("the report is being stored", is_there).await;
    while status(&place.server, session).await["message"] != "storing the report" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn analysis(session: &str) -> String {
    format!("/api/labeling-sessions/{session}/analysis")
}

async fn trigger(server: &TraceServer, session: &str) -> (StatusCode, Value) {
    let path = format!("{}/trigger", analysis(session));
    server.as_user(DEV).try_post(&path, &json!({})).await
}

async fn status(server: &TraceServer, session: &str) -> Value {
    server
        .as_user(DEV)
        .get_json(&format!("{}/status", analysis(session)))
        .await
}

/// How many the server works on, and how many wait.
async fn jobs(server: &TraceServer) -> (u64, u64) {
    let metrics = server.metrics().await;
    let of = |stage: &str| metrics.count(&format!("trace_server_jobs{{stage=\"{stage}\"}}"));
    (of("running"), of("waiting"))
}

async fn an_analysis_goes_on_when_whoever_asked_has_left(kept: Kept) {
    let place = Place::new(kept).await;
    let (session, gate) = held(&place).await;
    let watching = place
        .server
        .as_user(DEV)
        .get(&format!("{}/status/stream", analysis(&session)));
    let asked = place
        .server
        .as_user(DEV)
        .post(&format!("{}/trigger", analysis(&session)), &json!({}));
    drop(asked.send().await.unwrap());
    drop(watching.send().await.unwrap());
    until_storing(&place, &session).await;
    assert_eq!(status(&place.server, &session).await["status"], "running");
    gate.open();
    let last = over(&place, &format!("{}/status", analysis(&session))).await;
    assert_eq!(last["status"], "completed", "{last}");
}

async fn a_subject_is_analysed_once_at_a_time(kept: Kept) {
    let place = Place::new(kept).await;
    let (session, gate) = held(&place).await;
    assert_eq!(trigger(&place.server, &session).await.0, StatusCode::ACCEPTED);
    until_storing(&place, &session).await;
    let all = (0..8).map(|_| trigger(&place.server, &session));
    for (code, told) in futures::future::join_all(all).await {
        assert_eq!(
            (code, &told["status"]),
            (StatusCode::ACCEPTED, &json!("running")),
            "{told}"
        );
    }
    gate.open();
    let last = over(&place, &format!("{}/status", analysis(&session))).await;
    assert_eq!(last["status"], "completed", "{last}");
    let written =
        place.proxy.count("mlflow-artifacts/artifacts") + place.proxy.count("credentials-for-write");
    assert_eq!(written, 2, "a report and its data, once");
}

async fn a_cancelled_analysis_stops_and_leaves_what_was(kept: Kept) {
    let place = Place::new(kept).await;
    let traces = place.traces(1).await;
    let (session, _) = place.session(&["ann@example.com"], &traces).await;
    trigger(&place.server, &session).await;
    over(&place, &format!("{}/status", analysis(&session))).await;
    let before = place.server.as_user(DEV).get_json(&analysis(&session)).await;
    // Cancelled while it reads: what it has not stored by then it does not store.
    let gate = hold_reads(&place);
    trigger(&place.server, &session).await;
    until_reading(&place, &session).await;
    let dev = place.server.as_user(DEV);
    let path = format!("{}/status", analysis(&session));
    let told = dev.delete_json(&path).await;
    assert_eq!(
        (&told["status"], &told["message"]),
        (&json!("failed"), &json!(format!("cancelled by {DEV}")))
    );
    assert_eq!(dev.try_delete(&path).await.0, StatusCode::CONFLICT);
    gate.open();
    assert_eq!(dev.get_json(&path).await, told);
    assert_eq!(dev.get_json(&analysis(&session)).await, before);
    // The next begins anew.
    assert_eq!(trigger(&place.server, &session).await.0, StatusCode::ACCEPTED);
    assert_eq!(over(&place, &path).await["status"], "completed");
}

async fn a_report_that_is_being_stored_is_stored(kept: Kept) {
    let place = Place::new(kept).await;
    let (session, gate) = held(&place).await;
    trigger(&place.server, &session).await;
    until_storing(&place, &session).await;
    let path = format!("{}/status", analysis(&session));
    let (code, told) = place.server.as_user(DEV).try_delete(&path).await;
    assert_eq!(code, StatusCode::CONFLICT);
    assert!(told.to_string().contains("being stored"), "{told}");
    gate.open();
    assert_eq!(over(&place, &path).await["status"], "completed");
    let kept = place.server.as_user(DEV).get_json(&analysis(&session)).await;
    assert_eq!(kept["has_analysis"], true);
}

async fn too_many_are_refused_at_once(kept: Kept) {
    let few = [
        ("TRACE_SERVER_MAX_JOBS", "1"),
        ("TRACE_SERVER_MAX_WAITING_JOBS", "1"),
    ];
    let upstream = harness::Upstream::v3();
    let experiment = crate::place::new_experiment(&upstream).await;
    let place = Place::with(kept, upstream, experiment, &few).await;
    let (first, gate) = held(&place).await;
    let (second, _) = place.session(&[], &[]).await;
    let (third, _) = place.session(&[], &[]).await;
    trigger(&place.server, &first).await;
    until_storing(&place, &first).await;
    assert_eq!(trigger(&place.server, &second).await.0, StatusCode::ACCEPTED);
    assert_eq!(status(&place.server, &second).await["status"], "pending");
    let path = format!("{}/trigger", analysis(&third));
    let refused = place
        .server
        .as_user(DEV)
        .post(&path, &json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    // What is under way is told, however much there is.
    assert_eq!(trigger(&place.server, &second).await.0, StatusCode::ACCEPTED);
    assert_eq!(jobs(&place.server).await, (1, 1));
    gate.open();
    for session in [first, second] {
        assert_eq!(
            over(&place, &format!("{}/status", analysis(&session))).await["status"],
            "completed"
        );
    }
    assert_eq!(trigger(&place.server, &third).await.0, StatusCode::ACCEPTED);
}

/// A place whose server, on a database that outlives it, holds an analysis.
async fn doomed(kept: Kept) -> (tempfile::TempDir, Place, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(kept).await;
    let sqlite = format!("sqlite://{}/jobs.db", folder.path().display());
    let database = place
        .database
        .as_ref()
        .map_or(sqlite, |database| database.url().to_owned());
    let place = Place {
        server: server(&place, &database).await,
        ..place
    };
    let (session, _) = place.session(&["ann@example.com"], &place.traces(2).await).await;
    hold_reads(&place);
    trigger(&place.server, &session).await;
    until_reading(&place, &session).await;
    (folder, place, database, session)
}

async fn server(place: &Place, database: &str) -> TraceServer {
    let settings = [
        ("MLFLOW_TRACKING_URI", place.proxy.url.as_str()),
        ("MLFLOW_EXPERIMENT_ID", place.experiment.as_str()),
        ("TRACE_SERVER_TRUST_PROXY", "true"),
        ("DEVELOPERS", DEV),
        ("DATABASE_URL", database),
    ];
    TraceServer::with(&settings).await
}

async fn a_server_that_is_stopped_says_so(kept: Kept) {
    let (_folder, place, database, session) = doomed(kept).await;
    let Place { server: stopped, .. } = &place;
    let stream = stopped
        .as_user(DEV)
        .get(&format!("{}/status/stream", analysis(&session)));
    let stream = stream.send().await.unwrap();
    stopped.terminate();
    let told = tokio::time::timeout(Duration::from_secs(20), stream.text())
        .await
        .unwrap()
        .unwrap();
    assert!(told.contains("interrupted: the server was stopped"), "{told}");
    place.proxy.rule(|_| Fault::None);
    let next = server(&place, &database).await;
    let told = status(&next, &session).await;
    assert_eq!(told["status"], "failed", "{told}");
    assert!(
        told["message"].as_str().unwrap().starts_with("interrupted: "),
        "{told}"
    );
    assert_eq!(trigger(&next, &session).await.0, StatusCode::ACCEPTED);
}

async fn a_server_that_is_killed_leaves_no_analysis_that_seems_to_run(kept: Kept) {
    let (_folder, mut place, database, session) = doomed(kept).await;
    place.server.kill().await;
    place.proxy.rule(|_| Fault::None);
    place.server = server(&place, &database).await;
    if kept == Kept::Postgres {
        // It may be another server's: its lease is waited for.
        let told = status(&place.server, &session).await;
        assert_eq!(told["status"], "running", "{told}");
    }
    let stream = format!("{}/status", analysis(&session));
    let told = over(&place, &stream).await;
    assert_eq!(told["status"], "failed", "{told}");
    assert!(
        told["message"].as_str().unwrap().starts_with("interrupted: "),
        "{told}"
    );
    assert_eq!(trigger(&place.server, &session).await.0, StatusCode::ACCEPTED);
    assert_eq!(over(&place, &stream).await["status"], "completed");
}

async fn every_server_tells_and_cancels_what_another_does(kept: Kept) {
    let place = Place::new(kept).await;
    let (session, _) = place.session(&["ann@example.com"], &place.traces(2).await).await;
    let gate = hold_reads(&place);
    let other = server(&place, place.database.as_ref().unwrap().url()).await;
    trigger(&place.server, &session).await;
    until_reading(&place, &session).await;
    assert_eq!(status(&other, &session).await["status"], "running");
    let (code, told) = trigger(&other, &session).await;
    assert_eq!((code, &told["status"]), (StatusCode::ACCEPTED, &json!("running")));
    other
        .as_user(DEV)
        .delete_json(&format!("{}/status", analysis(&session)))
        .await;
    assert_eq!(status(&place.server, &session).await["status"], "failed");
    // Where it is worked on it is found out by the next renewal.
    let is_over = async {
        while jobs(&place.server).await != (0, 0) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), is_over)
        .await
        .unwrap();
    gate.open();
    assert!(
        status(&place.server, &session).await["message"]
            .as_str()
            .unwrap()
            .starts_with("cancelled by")
    );
}
