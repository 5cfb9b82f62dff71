//! The same SQLite file read here and written by MLflow's server, both as fast as they can.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use harness::TraceServer;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::Kind;

const SPANS: usize = 6;

/// How long MLflow writes.
#[expect(
    clippy::disallowed_methods,
    reason = "how long it is to take is told from outside"
)]
fn seconds() -> String {
    std::env::var("TEST_ALONGSIDE_SECONDS").unwrap_or_else(|_| "60".to_owned())
}

#[tokio::test]
async fn a_file_that_mlflow_is_writing_is_read_without_a_fault() {
    let upstream = Kind::Sqlite.upstream();
    let new = json!({"name": format!("alongside-{:?}", std::time::SystemTime::now())});
    let made = crate::mlflow(&upstream, "/api/2.0/mlflow/experiments/create", &new).await;
    let experiment = made["experiment_id"].as_str().unwrap();
    let server = crate::embedded(&upstream, &[("MLFLOW_EXPERIMENT_ID", experiment)]).await;
    let server = Arc::new(server);
    let args = ["--experiment", experiment, "--seconds", &seconds()];
    let spans = SPANS.to_string();
    let writer = upstream.script("write_on.py", &[&args[..], &["--spans", &spans]].concat());
    let mut writer = Command::from(writer)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut told = BufReader::new(writer.stdout.take().unwrap()).lines();
    let mut errors = writer.stderr.take().unwrap();
    let errors = tokio::spawn(async move {
        let mut text = String::new();
        errors.read_to_string(&mut text).await.map(|_| text)
    });
    // Readers begin with the first trace, and end with the writer.
    let complete = Arc::new(Mutex::new(vec![told.next_line().await.unwrap().unwrap()]));
    let (is_over, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let readers: Vec<_> = (0..3)
        .map(|nth| {
            let (server, complete) = (Arc::clone(&server), Arc::clone(&complete));
            let (is_over, reads) = (Arc::clone(&is_over), Arc::clone(&reads));
            tokio::spawn(async move {
                while !is_over.load(Ordering::SeqCst) {
                    let latest = complete.lock().await.last().unwrap().clone();
                    read(&server, nth, &latest).await;
                    reads.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let begun = Instant::now();
    while let Some(id) = told.next_line().await.unwrap() {
        complete.lock().await.push(id);
    }
    is_over.store(true, Ordering::SeqCst);
    let status = writer.wait().await.unwrap();
    let errors = errors.await.unwrap().unwrap();
    assert!(status.success(), "the writer failed:\n{errors}");
    for said in ["database is locked", "Traceback", "Failed to"] {
        assert!(!errors.contains(said), "the writer was in trouble:\n{errors}");
    }
    for reader in readers {
        reader.await.unwrap();
    }
    let complete = complete.lock().await;
    let (reads, took) = (reads.load(Ordering::SeqCst), begun.elapsed());
    assert!(
        complete.len() > 5 && reads > 50,
        "{} traces, {reads} reads",
        complete.len()
    );
    assert!(took > Duration::from_secs(1));
    for id in complete.iter() {
        read(&server, 1, id).await;
    }
    let search = json!({"max_results": 10_000});
    let page = server.post_json("/api/mlflow/search-traces", &search).await;
    let mut found = crate::texts(&page["traces"], "/info/trace_id");
    found.reverse();
    assert_eq!(found.len(), complete.len());
    assert!(complete.iter().all(|id| found.contains(id)));
}

/// Reads in one of three ways, past every cache; a trace that MLflow says is complete must be.
async fn read(server: &TraceServer, way: usize, complete: &str) {
    let search = json!({"max_results": 20, "filter": "span.type = 'TOOL'", "include_spans": true});
    let request = match way {
        0 => server.post("/api/mlflow/search-traces", &search),
        1 => server.get(&format!("/api/traces/{complete}")),
        _ => server
            .get(&format!("/api/traces/{complete}/spans"))
            .header("accept", "application/json"),
    };
    let (status, answer) = harness::answer(request.header("cache-control", "no-cache")).await;
    assert_eq!(status, 200, "{complete}: {answer}");
    let count = |spans: &Value| spans.as_array().map(Vec::len);
    match way {
        0 => {
            let traces = answer["traces"].as_array().unwrap();
            assert!(!traces.is_empty());
            for trace in traces {
                assert!(trace["data"].get("error").is_none(), "{trace}");
                // Of the newest some may still be missing.
                assert!(count(&trace["data"]["spans"]).unwrap() <= SPANS, "{trace}");
            }
        }
        1 => assert_eq!(
            count(&answer["data"]["spans"]),
            Some(SPANS),
            "{complete}: {answer}"
        ),
        _ => assert_eq!(count(&answer["spans"]), Some(SPANS), "{complete}: {answer}"),
    }
}
