use futures::TryStreamExt;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::DatabaseConfig;

fn place(location: &str) -> Result<Place, String> {
    let artifacts = Artifacts::new(Some("/srv/artifacts/".into()));
    artifacts.place(location).map_err(|Elsewhere(why)| why.to_owned())
}

fn in_folder(path: &str) -> Place {
    Place::Folder(path.to_owned())
}

#[test]
fn a_location_is_understood_as_mlflow_writes_it() {
    for (location, is) in [
        ("/data/1/traces/tr-1/artifacts", "/data/1/traces/tr-1/artifacts"),
        ("file:///data/1", "/data/1"),
        ("file:///my%20data/1", "/my data/1"),
        ("file:/data/1", "/data/1"),
        (
            "mlflow-artifacts:/1/traces/tr-1/artifacts",
            "/srv/artifacts/1/traces/tr-1/artifacts",
        ),
        ("mlflow-artifacts://host:5000/1/traces", "/srv/artifacts/1/traces"),
    ] {
        assert_eq!(place(location), Ok(in_folder(is)));
    }
    for (location, is) in [
        ("s3://b/1/traces", "s3://b/1/traces"),
        ("gs://b/1", "gs://b/1"),
        (
            "wasbs://c@a.blob.core.windows.net/1",
            "abfss://c@a.dfs.core.windows.net/1",
        ),
    ] {
        assert_eq!(place(location), Ok(Place::Bucket(is.parse().unwrap())));
    }
}

#[test]
fn a_destination_that_leads_back_to_itself_is_refused() {
    let artifacts = Artifacts::new(Some("mlflow-artifacts:/".into()));
    assert!(artifacts.place("mlflow-artifacts:/1/traces").is_err());
}

#[test]
fn what_leads_elsewhere_is_refused() {
    for location in [
        "",
        "/data/../etc",
        "file:///a/../b",
        "mlflow-artifacts:/../../etc",
        "file:///a/%2e%2E/b",
        "s3://b/../x",
        "s3://b/a/%2e%2e/x",
        "http://host/x",
        "dbfs:/x/../y",
    ] {
        assert!(place(location).is_err(), "{location}");
    }
    let without = Artifacts::new(None).place("mlflow-artifacts:/1").unwrap_err().0;
    assert!(without.contains("MLFLOW_ARTIFACTS_DESTINATION"), "{without}");
}

#[tokio::test]
async fn a_file_is_read_and_one_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(SPANS), r#"{"spans":[]}"#).unwrap();
    let artifacts = Artifacts::default();
    let location = folder.path().to_str().unwrap();
    let text = open_spans(&artifacts, location).await.unwrap();
    assert_eq!(text.length, 12);
    let pieces: Vec<Bytes> = text.pieces.try_collect().await.unwrap();
    assert_eq!(pieces.concat(), br#"{"spans":[]}"#);
    let absent = open_spans(&artifacts, &format!("{location}/absent")).await;
    assert!(matches!(absent, Err(DatabaseError::SpansNotFound(_))));
}

const SCHEMA: &str = include_str!("../../demo/schema/mlflow-dc11669786a5.sql");
const REPORT: &str = "analysis/session_summary/report.md";

/// An empty database of MLflow 3.17.2, and the folder of artifacts beside it.
fn store() -> (TempDir, MlflowStore) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mlflow.db");
    let schema = format!("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; BEGIN; {SCHEMA} COMMIT;");
    Connection::open(&path).unwrap().execute_batch(&schema).unwrap();
    let store = MlflowStore::new(&DatabaseConfig {
        uri: format!("sqlite:///{}", path.display()).into(),
        max_connections: 1,
        statement_timeout: Duration::from_mins(1),
        breaker: breaker::BreakerPolicy::default(),
        artifacts_destination: Some(folder.path().join("kept").to_str().unwrap().to_owned()),
    });
    (folder, store.unwrap())
}

fn run(artifact_uri: &str) -> Run {
    let info = serde_json::json!({"run_id": "0369c190", "artifact_uri": artifact_uri});
    serde_json::from_value(serde_json::json!({ "info": info })).unwrap()
}

#[tokio::test]
async fn a_file_is_written_where_the_run_says_and_replaced_by_the_next() {
    let (folder, store) = store();
    let at = folder.path().display();
    for (location, lies_in) in [
        (
            "mlflow-artifacts:/1/r1/artifacts".to_owned(),
            "kept/1/r1/artifacts",
        ),
        (format!("{at}/mlruns/1/r2"), "mlruns/1/r2"),
        (format!("file://{at}/my%20runs/r3"), "my runs/r3"),
    ] {
        let run = run(&location);
        assert_eq!(
            store.get_artifact(&run, REPORT).await.unwrap(),
            None,
            "{location}"
        );
        for text in ["a longer first one", "second"] {
            store.put_artifact(&run, REPORT, text.into()).await.unwrap();
            let read = store.get_artifact(&run, REPORT).await.unwrap();
            assert_eq!(read.unwrap(), text, "{location}");
        }
        let file = folder.path().join(lies_in).join(REPORT);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "second");
        // Nothing half written lies beside it.
        let beside = std::fs::read_dir(file.parent().unwrap()).unwrap().count();
        assert_eq!(beside, 1, "{location}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_an_error_and_not_nothing() {
    let (folder, store) = store();
    let run = run(folder.path().to_str().unwrap());
    let file = std::fs::File::create(folder.path().join("large")).unwrap();
    file.set_len(MAX_ARTIFACT_BYTES).unwrap();
    let read = store.get_artifact(&run, "large").await.unwrap().unwrap();
    assert_eq!(read.len() as u64, MAX_ARTIFACT_BYTES);
    file.set_len(MAX_ARTIFACT_BYTES + 1).unwrap();
    let refused = store.get_artifact(&run, "large").await.unwrap_err();
    assert!(refused.to_string().contains("larger than 16 MiB"), "{refused}");
}

#[tokio::test]
async fn a_store_that_is_only_read_takes_no_files() {
    let (folder, store) = store();
    let database = Connection::open(folder.path().join("mlflow.db")).unwrap();
    database
        .execute("UPDATE alembic_version SET version_num = '1b5f0d9ad7c1'", [])
        .unwrap();
    let run = run("mlflow-artifacts:/1/r1/artifacts");
    let put = store.put_artifact(&run, REPORT, "text".into()).await;
    assert!(matches!(put, Err(DatabaseError::ReadOnly { .. })), "{put:?}");
    assert!(!folder.path().join("kept").exists());
    assert_eq!(store.get_artifact(&run, REPORT).await.unwrap(), None);
}

#[tokio::test]
async fn what_cannot_be_reached_is_told() {
    let (_folder, store) = store();
    for location in ["mlflow-artifacts:/../r1", "ftp://host/r1", "dbfs:/x/../y", ""] {
        let run = run(location);
        let read = store.get_artifact(&run, REPORT).await;
        let put = store.put_artifact(&run, REPORT, "text".into()).await;
        for error in [read.unwrap_err(), put.unwrap_err()] {
            assert!(
                matches!(error, DatabaseError::ArtifactsElsewhere(_)),
                "{location}: {error}"
            );
        }
    }
}
