//! What MLflow writes while the server runs is seen as soon as the settings say.

use std::time::{Duration, Instant};

use harness::{TraceServer, Upstream};
use serde_json::{Value, json};

use crate::Kind;
use crate::store::OwnStore;

on_each_store! {
    what_mlflow_writes_is_seen_in_time;
}

/// How long searches are fresh. Nothing else is said to the server.
const TTL: Duration = Duration::from_secs(1);
/// How much later than that it may be on a busy machine.
const SLACK: Duration = Duration::from_secs(3);

async fn what_mlflow_writes_is_seen_in_time(kind: Kind) {
    let upstream = kind.upstream();
    let new = json!({"name": format!("fresh-{:?}", std::time::SystemTime::now())});
    let made = crate::mlflow(&upstream, "/api/2.0/mlflow/experiments/create", &new).await;
    let experiment = made["experiment_id"].as_str().unwrap();
    let settings = [
        ("MLFLOW_EXPERIMENT_ID", experiment),
        ("TRACE_SERVER_CACHE_SEARCH_TTL", "1s"),
    ];
    let server = crate::embedded(&upstream, &settings).await;
    let first = written(&upstream, experiment);
    let [all, labeled, tagged] = [
        json!({}),
        json!({"filter": "feedback.quality = 'good'"}),
        json!({"filter": "tags.mood = 'calm'"}),
    ];
    let path = format!("/api/mlflow/traces/{first}");
    for search in [&all, &labeled, &tagged] {
        let expected: &[&str] = if *search == all { &[&first] } else { &[] };
        assert_eq!(found(&server, search).await, expected);
    }
    let before = server.json(&path).await;
    assert_eq!(before["info"]["assessments"], json!([]));

    // A trace.
    let second = written(&upstream, experiment);
    seen(async || found(&server, &all).await.contains(&second), "the trace").await;
    assert_eq!(found(&server, &all).await, [second.as_str(), first.as_str()]);
    let trace = server.json(&format!("/api/mlflow/traces/{second}")).await;
    assert!(trace["data"]["spans"].as_array().unwrap().len() > 3);

    // A label and a tag; what is asked first is the trace alone, which no search brought in the meantime.
    let changes = ["--label", "quality=good", "--tag", "mood=calm"];
    upstream.run_script("change_trace.py", &[&[first.as_str()], &changes[..]].concat());
    let is_changed = async || {
        let info = server.json(&path).await["info"].clone();
        info["assessments"][0]["name"] == "quality" && info["tags"]["mood"] == "calm"
    };
    seen(is_changed, "the label and the tag of the trace").await;
    for search in [&labeled, &tagged] {
        seen(
            async || found(&server, search).await == [first.as_str()],
            "what a search finds",
        )
        .await;
    }

    // What did not change is answered as before, whether it was looked up anew or not.
    for search in [&all, &labeled, &tagged] {
        let (_, before) = asked(&server, search).await;
        tokio::time::sleep(TTL + Duration::from_millis(300)).await;
        let (status, after) = asked(&server, search).await;
        assert_eq!((status, after), (200, before), "{search}");
    }
}

#[tokio::test]
async fn a_store_that_takes_the_place_of_another_is_read() {
    let store = OwnStore::new(Kind::Sqlite).await;
    let settings = [&store.settings()[..], &[("TRACE_SERVER_CACHE_SEARCH_TTL", "1s")]].concat();
    let server = TraceServer::with(&settings).await;
    let all = json!({});
    assert_eq!(found(&server, &all).await.len(), store.traces.len());
    let copy = store.folder().join("copy.db");
    std::fs::copy(store.file(), &copy).unwrap();
    // It goes on in the old file, which nobody reads any more.
    let gone = &store.traces[0];
    store.run(
        "execute",
        &[&format!("DELETE FROM trace_info WHERE request_id = '{gone}'")],
    );
    std::fs::rename(store.file(), store.folder().join("old.db")).unwrap();
    std::fs::rename(&copy, store.file()).unwrap();
    store.run(
        "execute",
        &["UPDATE trace_tags SET value = 'restored' WHERE key = 'mlflow.traceName'"],
    );
    store.run("execute", &["UPDATE trace_info SET trace_name = 'restored'"]);
    let is_restored = async || {
        let (status, page) = asked(&server, &all).await;
        let names = crate::texts(&page["traces"], "/info/tags/mlflow.traceName");
        status == 200 && names.len() == store.traces.len() && names.iter().all(|name| name == "restored")
    };
    seen(is_restored, "the store in the place of the other").await;
}

/// A trace that MLflow's SDK writes now.
fn written(upstream: &Upstream, experiment: &str) -> String {
    let told = upstream.run_script("converse.py", &["--experiment", experiment, "--count", "1"]);
    told.trim().to_owned()
}

async fn asked(server: &TraceServer, search: &Value) -> (u16, Value) {
    let asker = server.as_local_user();
    let (status, page) = asker.try_post("/api/mlflow/search-traces", search).await;
    (status.as_u16(), page)
}

async fn found(server: &TraceServer, search: &Value) -> Vec<String> {
    let (status, page) = asked(server, search).await;
    assert_eq!(status, 200, "{search}: {page}");
    crate::texts(&page["traces"], "/info/trace_id")
}

/// Asks until it is so, which must be in time.
async fn seen(is_so: impl AsyncFn() -> bool, what: &str) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < TTL + SLACK, "{what} is not seen in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
