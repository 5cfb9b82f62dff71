//! Tests of the file that is made.

use sqlx::query_scalar;

use super::*;

async fn opened(demo: &Demo) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(&demo.database)
        .read_only(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn number(connection: &mut SqliteConnection, statement: &'static str) -> i64 {
    query_scalar(statement).fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn the_database_holds_what_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let demo = create(&folder.path().join("new")).await.unwrap();
    let mut database = opened(&demo).await;

    let counts = [
        ("SELECT count(*) FROM trace_info WHERE experiment_id = 1", 60),
        ("SELECT count(*) FROM experiments", 2),
        ("SELECT count(*) FROM workspaces", 1),
        ("SELECT count(*) FROM runs", 1),
        (
            "SELECT count(*) FROM entity_associations JOIN trace_info ON source_id = request_id",
            20,
        ),
        (
            "SELECT count(*) FROM (SELECT 1 FROM spans GROUP BY trace_id HAVING count(*) = 120)",
            1,
        ),
        (
            "SELECT count(*) FROM trace_info WHERE length(request_preview) > 1000 OR length(response_preview) > 1000",
            0,
        ),
        ("SELECT count(*) FROM spans WHERE NOT json_valid(content)", 0),
        (
            "SELECT count(*) FROM spans WHERE json_extract(content, '$.name') <> name",
            0,
        ),
        ("SELECT count(*) FROM pragma_foreign_key_check", 0),
    ];
    for (statement, expected) in counts {
        assert_eq!(number(&mut database, statement).await, expected, "{statement}");
    }
    let outside = "SELECT count(*) FROM spans JOIN spans parent ON parent.trace_id = spans.trace_id \
         AND parent.span_id = spans.parent_span_id WHERE spans.start_time_unix_nano < parent.start_time_unix_nano \
         OR spans.end_time_unix_nano > parent.end_time_unix_nano";
    assert_eq!(number(&mut database, outside).await, 0);
    let revision: String = query_scalar("SELECT version_num FROM alembic_version")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert_eq!(revision, "dc11669786a5");
    let run = query_scalar::<_, String>("SELECT artifact_uri FROM runs")
        .fetch_one(&mut database)
        .await;
    let artifacts = folder.path().join("new/mlartifacts/1");
    assert!(run.unwrap().starts_with(artifacts.to_str().unwrap()));
}

#[tokio::test]
async fn a_second_one_leaves_the_first_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let first = create(folder.path()).await.unwrap();
    let before = fs::read(&first.database).unwrap();
    let error = create(folder.path()).await.unwrap_err();
    assert!(
        matches!(&error, DemoError::Exists(path) if *path == first.database),
        "{error}"
    );
    assert_eq!(fs::read(&first.database).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn nothing_is_left_of_one_that_is_not_finished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(DATABASE);
    drop(Unfinished::begin(path.clone()).unwrap());
    assert!(!path.exists());

    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = create(&file).await.unwrap_err();
    assert!(matches!(error, DemoError::Folder { .. }), "{error}");
}

#[tokio::test]
async fn what_is_worth_showing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let demo = create(folder.path()).await.unwrap();
    let mut database = opened(&demo).await;
    for (name, status) in [
        ("failing", "ERROR"),
        ("in_progress", "IN_PROGRESS"),
        ("big", "OK"),
    ] {
        let found: String = query_scalar("SELECT status FROM trace_info WHERE request_id = ?")
            .bind(demo.named[name].as_str())
            .fetch_one(&mut database)
            .await
            .unwrap();
        assert_eq!(found, status);
    }
    assert_eq!(demo.traces, 60);
    assert_eq!(demo.experiment_id.as_str(), "1");
    assert!(demo.runs.contains_key("Nightly evaluation"));
}
