//! Stores that are not written, or not opened at all; and a store that is only read stays as it is, to the byte.

use std::path::Path;
use std::process::Command;

use harness::{TraceServer, answer};
use http::StatusCode;
use serde_json::json;

use crate::Kind;
use crate::store::OwnStore;

/// The revision of the tables of MLflow 3.17.2.
const KNOWN: &str = "dc11669786a5";

on_each_store! {
    a_store_of_an_unknown_revision_is_read_and_not_written;
}

async fn a_store_of_an_unknown_revision_is_read_and_not_written(kind: Kind) {
    const FOUND: &str = "0123456789ab";
    let store = OwnStore::new(kind).await;
    store.run("revision", &[FOUND]);
    let before = store.run("rows", &[]);
    let server = store.server().await;
    let asker = server.as_local_user();
    let page = asker.post_json("/api/mlflow/search-traces", &json!({})).await;
    let found = crate::texts(&page["traces"], "/info/trace_id");
    assert_eq!(found.len(), store.traces.len());
    let path = format!("/api/traces/{}", store.traces[0]);
    let trace = asker.get_json(&path).await;
    assert_eq!(trace["data"]["spans"].as_array().unwrap().len(), 2);
    let label = json!({"assessment": {"name": "tone", "value": "good"}});
    let run = json!({"experiment_id": store.experiment, "run_name": "mine"});
    for (path, body) in [
        (format!("{path}/feedback"), &label),
        (format!("{path}/expectation"), &label),
        ("/api/mlflow/runs/create".to_owned(), &run),
        ("/api/labeling-sessions".to_owned(), &json!({"name": "Week 47"})),
    ] {
        let (status, problem) = asker.try_post(&path, body).await;
        assert!(
            status.is_client_error() || status.is_server_error(),
            "{path}: {status}"
        );
        crate::check_is_problem(&path, status, &problem);
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains(FOUND) && detail.contains(KNOWN),
            "it says what it found and what it knows: {problem}"
        );
    }
    assert_eq!(store.run("rows", &[]), before, "nothing is written");
}

#[tokio::test]
async fn what_is_no_store_is_not_served_and_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("text.db"), "This is no database.\n".repeat(100)).unwrap();
    std::fs::write(file("empty.db"), "").unwrap();
    let other = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(file("other.db"))
        .create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(other).await.unwrap();
    sqlx::query("CREATE TABLE recipes (name TEXT)")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    for name in [
        "text.db",
        "empty.db",
        "other.db",
        "missing.db",
        "no/such/folder.db",
    ] {
        let file = file(name);
        let before = std::fs::read(&file).ok();
        let uri = format!("sqlite:///{}", file.display());
        check_says_what_to_do(&uri, name).await;
        assert_eq!(std::fs::read(&file).ok(), before, "{name} stays as it is");
    }
    assert_eq!(names(folder.path()), ["empty.db", "other.db", "text.db"]);
}

#[tokio::test]
async fn a_postgres_that_is_no_store_is_not_served_and_one_that_is_not_there_is_waited_for() {
    let database = harness::Postgres::database().await;
    let uri = database.url().replacen("postgres://", "postgresql://", 1);
    check_says_what_to_do(&uri, "an empty database").await;
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(database.query(tables).await, "0", "nothing is made in it");
    let nowhere = "postgresql://me:hidden-secret@127.0.0.1:9/mlflow";
    let server = TraceServer::on(nowhere, "1").await;
    let (status, problem) = answer(server.get("/api/traces/tr-1")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    assert!(!server.log().await.join("\n").contains("hidden-secret"));
}

#[tokio::test]
async fn reviews_are_not_kept_in_mlflows_own_file() {
    let store = OwnStore::new(Kind::Sqlite).await;
    let before = std::fs::read(store.file()).unwrap();
    // By another way to the same file.
    let link = store.folder().join("link.db");
    std::os::unix::fs::symlink(store.file(), &link).unwrap();
    let url = format!("sqlite://{}", link.display());
    let settings = [&store.settings()[..], &[("DATABASE_URL", url.as_str())]].concat();
    let (said, status) = TraceServer::refused(&settings).await;
    assert!(
        !status.success() && said.contains("DATABASE_URL names MLflow's own"),
        "{said}"
    );
    assert_eq!(std::fs::read(store.file()).unwrap(), before);
}

/// A server on this store does not come up; on standard error it names the setting to change, and no password.
async fn check_says_what_to_do(uri: &str, case: &str) {
    let settings = [("MLFLOW_TRACKING_URI", uri), ("MLFLOW_EXPERIMENT_ID", "1")];
    let (said, status) = TraceServer::refused(&settings).await;
    assert!(!status.success(), "{case}: {said}");
    assert!(said.contains("MLFLOW_TRACKING_URI"), "{case}: {said}");
    assert!(!said.contains("panicked"), "{case}: {said}");
    if let Ok(url) = url::Url::parse(uri)
        && let Some(password) = url.password()
    {
        assert!(!said.contains(password), "{case}: {said}");
    }
}

#[tokio::test]
async fn a_file_that_is_only_read_stays_as_it_is() {
    let store = OwnStore::new(Kind::Sqlite).await;
    let (before, mode) = (sha256(&store.file()), journal_mode(&store.file()));
    let files = names(store.folder());
    let server = store.server().await;
    let asker = server.as_local_user();
    for _ in 0..3 {
        let search = json!({"filter": "span.type = 'TOOL'", "order_by": ["name"], "include_spans": true});
        let page = asker.post_json("/api/mlflow/search-traces", &search).await;
        assert_eq!(page["traces"].as_array().unwrap().len(), store.traces.len());
        for id in &store.traces {
            for path in [format!("/api/traces/{id}"), format!("/api/traces/{id}/spans")] {
                let answer = server.get(&path).header("cache-control", "no-cache").send();
                assert_eq!(answer.await.unwrap().status(), 200, "{path}");
            }
        }
        let batch = json!({"trace_ids": store.traces, "include_spans": true});
        asker.post_json("/api/traces/batch", &batch).await;
        let runs = json!({"experiment_ids": [store.experiment]});
        asker.post_json("/api/mlflow/runs/search", &runs).await;
        let path = format!("/api/mlflow/experiments/{}", store.experiment);
        asker.get_json(&path).await;
    }
    assert_eq!(names(store.folder()), files, "no -wal, no -journal, no -shm");
    let log = server.log().await;
    assert_eq!(sha256(&store.file()), before, "{log:#?}");
    assert_eq!(journal_mode(&store.file()), mode);
    assert_eq!(names(store.folder()), files);
}

fn sha256(file: &Path) -> String {
    let output = Command::new("sha256sum").arg(file).output().unwrap();
    assert!(output.status.success());
    let told = String::from_utf8(output.stdout).unwrap();
    told.split_whitespace().next().unwrap().to_owned()
}

/// The two bytes of a database's header that say so: 1 each for a rollback journal, 2 each for WAL.
fn journal_mode(file: &Path) -> Vec<u8> {
    let mode = std::fs::read(file).unwrap()[18..20].to_vec();
    assert!(mode == [1, 1] || mode == [2, 2], "{mode:?}");
    mode
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
