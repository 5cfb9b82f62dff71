//! The plans of searches: SQLite's own, on the schema of MLflow 3.17.2.

use domain::SearchTraces;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::DatabaseConfig;

const SCHEMA: &str = include_str!("../../demo/schema/mlflow-dc11669786a5.sql");

/// An empty database; not made safe against a loss of power, which takes seconds where disks are slow.
fn database() -> (TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let database = Connection::open(folder.path().join("mlflow.db")).unwrap();
    let schema = format!("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; BEGIN; {SCHEMA} COMMIT;");
    database.execute_batch(&schema).unwrap();
    (folder, database)
}

/// How SQLite would go about it: a line for each step.
async fn plan(filter: &str, order_by: &[&str], extent: Extent) -> String {
    let (folder, database) = database();
    explain(&folder, &database, filter, order_by, extent).await
}

async fn explain(
    folder: &TempDir,
    database: &Connection,
    filter: &str,
    order_by: &[&str],
    extent: Extent,
) -> String {
    let path = folder.path().join("mlflow.db");
    let store = MlflowStore::new(&DatabaseConfig {
        uri: format!("sqlite:///{}", path.display()).into(),
        max_connections: 1,
        statement_timeout: std::time::Duration::from_mins(1),
        artifacts_destination: None,
    })
    .unwrap();
    let search = Search::read(&SearchTraces {
        experiment_ids: vec!["1".parse().unwrap()],
        filter: Some(filter.to_owned()),
        max_results: 50,
        order_by: order_by.iter().map(|&key| key.to_owned()).collect(),
        page_token: None,
    })
    .unwrap();
    let schema = store.schema().await.unwrap();
    let statement = store.statement(&search, &schema, extent).unwrap();
    let mut explain = database
        .prepare(&format!("EXPLAIN QUERY PLAN {}", statement.text()))
        .unwrap();
    let steps = explain.query_map(rusqlite::params_from_iter(statement.values()), |row| row.get(3));
    let steps: Vec<String> = steps.unwrap().collect::<Result<_, _>>().unwrap();
    steps.join("\n").replace(" EXISTS USING ", " USING ")
}

const BY_TIME: &str = "SEARCH t USING INDEX index_trace_info_experiment_id_timestamp_ms (experiment_id=?)";

#[tokio::test]
async fn traces_are_walked_by_the_index_on_time_and_children_are_looked_up_by_theirs() {
    let plan = plan("", &[], Extent::Walked).await;
    for step in [
        BY_TIME,
        "SEARCH c USING INDEX index_trace_tags_request_id (request_id=?)",
        "SEARCH c USING INDEX index_trace_request_metadata_request_id (request_id=?)",
        "SEARCH a USING INDEX index_assessments_trace_id_created_timestamp (trace_id=?)",
    ] {
        assert!(plan.contains(step), "{step}\n{plan}");
    }
    assert!(
        !plan.contains("SCAN t\n") && !plan.contains("USE TEMP B-TREE FOR ORDER BY"),
        "{plan}"
    );
}

/// What is looked for, and a step that must be taken.
const STEPS: &[(&str, Extent, &str)] = &[
    (
        "tags.team = 'x'",
        Extent::Walked,
        "SEARCH v USING INDEX sqlite_autoindex_trace_tags_1 (key=? AND request_id=?)",
    ),
    (
        "metadata.user = 'x'",
        Extent::Walked,
        "SEARCH v USING INDEX sqlite_autoindex_trace_request_metadata_1 (key=? AND request_id=?)",
    ),
    (
        "metadata.user = 'x'",
        Extent::Gathered,
        "SEARCH v USING INDEX sqlite_autoindex_trace_request_metadata_1 (key=?)",
    ),
    (
        "metadata.user = 'x'",
        Extent::Gathered,
        "SEARCH t USING INDEX sqlite_autoindex_trace_info_1 (request_id=?)",
    ),
    (
        "feedback.q = 'x'",
        Extent::Walked,
        "index_assessments_trace_id_created_timestamp (trace_id=?)",
    ),
    (
        "span.type = 'TOOL'",
        Extent::Walked,
        "SEARCH s USING INDEX idx_spans_cost_trace_time_cover (trace_id=?)",
    ),
    (
        "span.type = 'TOOL' AND span.status = 'ERROR'",
        Extent::Gathered,
        "(experiment_id=? AND type=? AND status=?)",
    ),
    (
        "run_id = 'r'",
        Extent::Walked,
        "USING COVERING INDEX index_entity_associations_reverse_lookup",
    ),
    (
        "run_id = 'r'",
        Extent::Walked,
        "SEARCH t USING INDEX sqlite_autoindex_trace_info_1 (request_id=?)",
    ),
    (
        "request_id = 'tr-1'",
        Extent::Walked,
        "SEARCH t USING INDEX sqlite_autoindex_trace_info_1 (request_id=?)",
    ),
    (
        "prompt = 'p/1'",
        Extent::Walked,
        "USING COVERING INDEX index_entity_associations_reverse_lookup",
    ),
    (
        "timestamp_ms > 5",
        Extent::Walked,
        "index_trace_info_experiment_id_timestamp_ms (experiment_id=? AND timestamp_ms>?)",
    ),
    (
        "status = 'OK'",
        Extent::Newest(4000, Direction::Descending),
        BY_TIME,
    ),
];

#[tokio::test]
async fn every_kind_of_condition_is_looked_up_by_an_index() {
    let (folder, database) = database();
    for (filter, extent, step) in STEPS {
        let plan = explain(&folder, &database, filter, &[], *extent).await;
        assert!(plan.contains(step), "{filter} {extent:?}: {step}\n{plan}");
    }
}

#[tokio::test]
async fn what_no_index_tells_is_read_from_end_to_end_and_not_by_way_of_one() {
    let plan = plan(
        "client_request_id = 'x'",
        &["execution_time_ms DESC"],
        Extent::Gathered,
    )
    .await;
    assert!(plan.contains("SCAN t\n") && !plan.contains("SEARCH t "), "{plan}");
}
