//! The plans of searches, SQLite's own on the schema of MLflow 3.17.2, and that whichever is taken finds the same.

use domain::SearchTraces;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::DatabaseConfig;

const SCHEMA: &str = include_str!("../../../demo/schema/mlflow-dc11669786a5.sql");

/// An empty database; not made safe against a loss of power, which takes seconds where disks are slow.
fn database() -> (TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let database = Connection::open(folder.path().join("mlflow.db")).unwrap();
    let schema = format!("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; BEGIN; {SCHEMA} COMMIT;");
    database.execute_batch(&schema).unwrap();
    (folder, database)
}

fn store(folder: &TempDir) -> MlflowStore {
    let path = folder.path().join("mlflow.db");
    MlflowStore::new(&DatabaseConfig {
        uri: format!("sqlite:///{}", path.display()).into(),
        max_connections: 1,
        statement_timeout: std::time::Duration::from_mins(1),
        breaker: breaker::BreakerPolicy::default(),
        artifacts_destination: None,
    })
    .unwrap()
}

/// A page of 50 from an offset.
fn search(filter: &str, order_by: &[&str], offset: i64) -> SearchTraces {
    SearchTraces {
        experiment_ids: vec!["1".parse().unwrap()],
        filter: Some(filter.to_owned()),
        max_results: 50,
        order_by: order_by.iter().map(|&key| key.to_owned()).collect(),
        page_token: (offset > 0).then(|| write_page_token(offset)),
    }
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
    let store = store(folder);
    let search = Search::read(&search(filter, order_by, 0)).unwrap();
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
        "feedback.q = 'x'",
        Extent::Gathered,
        "SEARCH a USING INDEX idx_assessments_exp_name_valid (experiment_id=? AND name=? AND valid=?)",
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
        "SEARCH b USING COVERING INDEX index_trace_info_experiment_id_timestamp_ms (experiment_id=?)",
    ),
    (
        "status = 'OK'",
        Extent::Newest(4000, Direction::Descending),
        "SEARCH t USING INDEX index_trace_info_experiment_id_timestamp_ms (experiment_id=? AND timestamp_ms>?)",
    ),
    (
        "status = 'OK'",
        Extent::Newest(4000, Direction::Ascending),
        "SEARCH t USING INDEX index_trace_info_experiment_id_timestamp_ms (experiment_id=? AND timestamp_ms<?)",
    ),
    (
        "tags.team = 'x'",
        Extent::Beyond {
            walked: 1000,
            passing: 40,
            newest: 2000,
            direction: Direction::Descending,
        },
        "SEARCH t USING INDEX index_trace_info_experiment_id_timestamp_ms \
         (experiment_id=? AND timestamp_ms>? AND timestamp_ms<?)",
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

#[test]
fn only_an_order_by_time_has_newest_traces() {
    let by_time = |keys: &[&str]| {
        let keys: Vec<_> = keys.iter().map(|&key| key.to_owned()).collect();
        TraceOrder::parse(&keys).unwrap().by_time()
    };
    assert_eq!(by_time(&[]), Some(Direction::Descending));
    assert_eq!(by_time(&["timestamp_ms"]), Some(Direction::Ascending));
    assert_eq!(
        by_time(&["timestamp_ms DESC", "request_id"]),
        Some(Direction::Descending)
    );
    for other in [
        &["timestamp_ms DESC", "request_id DESC"][..],
        &["timestamp_ms DESC", "status"],
        &["request_id"],
        &["status", "timestamp_ms DESC"],
    ] {
        assert_eq!(by_time(other), None, "{other:?}");
    }
}

/// More traces than are walked at first, many of the same time, so that every bound falls among equals; what is rare, what
/// is common, and what there is in the old ones only.
const TRACES: &str = "
    INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (1, 'e', 'active');
    WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
    INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, execution_time_ms, status)
    SELECT printf('tr-%04d', (i * 7919) % 10000), 1, i / 300, 5, CASE WHEN i % 40 = 0 THEN 'ERROR' ELSE 'OK' END FROM n;
    INSERT INTO trace_tags (request_id, key, value)
    SELECT request_id, 'often', CASE WHEN execution_time_ms = 5 THEN 'x' END FROM trace_info;
    INSERT INTO trace_tags (request_id, key, value)
    SELECT request_id, 'some', 'x' FROM trace_info WHERE request_id LIKE '%3';
    INSERT INTO trace_tags (request_id, key, value)
    SELECT request_id, 'rare', 'x' FROM trace_info WHERE request_id LIKE '%33';
    INSERT INTO trace_tags (request_id, key, value)
    SELECT request_id, 'old', 'x' FROM trace_info WHERE timestamp_ms < 10;
    INSERT INTO trace_tags (request_id, key, value)
    SELECT request_id, 'new', 'x' FROM trace_info WHERE timestamp_ms > 30;
    INSERT INTO trace_tags (request_id, key, value)
    SELECT request_id, 'both', 'x' FROM trace_info WHERE timestamp_ms IN (0, 33);
    UPDATE trace_info SET session_id = 'long' WHERE timestamp_ms BETWEEN 5 AND 20;
    INSERT INTO assessments (assessment_id, trace_id, name, assessment_type, value, valid, assessment_metadata, experiment_id,
                             created_timestamp, last_updated_timestamp, source_type)
    SELECT request_id, request_id, 'own', 'feedback', '\"yes\"', TRUE, NULL, 1, 0, 0, 'HUMAN'
    FROM trace_info WHERE request_id LIKE '%5';
    INSERT INTO assessments (assessment_id, trace_id, name, assessment_type, value, valid, assessment_metadata, experiment_id,
                             created_timestamp, last_updated_timestamp, source_type)
    SELECT 'a-session', min(request_id), 'whole', 'feedback', '\"yes\"', TRUE, '{\"mlflow.trace.session\": \"long\"}', 1, 0, 0,
           'HUMAN'
    FROM trace_info WHERE session_id = 'long';";

#[tokio::test]
async fn however_a_page_is_found_it_is_the_same() {
    let (folder, database) = database();
    database
        .execute_batch(&format!("BEGIN; {TRACES} COMMIT;"))
        .unwrap();
    let store = store(&folder);
    let schema = store.schema().await.unwrap();
    let filters = [
        "status = 'ERROR'",
        "execution_time_ms > 5",
        "tags.often = 'x'",
        "tags.some = 'x'",
        "tags.rare = 'x'",
        "tags.old = 'x'",
        "tags.new = 'x' AND tags.some = 'x'",
        "tags.both = 'x'",
        "tags.none = 'x'",
        "feedback.own = 'yes'",
        "feedback.whole = 'yes'",
        "feedback.whole IS NULL",
    ];
    let orders: [&[&str]; 4] = [
        &[],
        &["timestamp_ms"],
        &["timestamp_ms", "request_id ASC"],
        &["request_id DESC"],
    ];
    for filter in filters {
        for order_by in orders {
            for offset in [0, 50, 150, 900, 1900, 7000] {
                let search = search(filter, order_by, offset);
                let page = store.search_traces(&search).await.unwrap();
                let read = Search::read(&search).unwrap();
                let walked = store.statement(&read, &schema, Extent::Walked).unwrap();
                let walked = store.infos(&walked, &schema).await.unwrap();
                let ids = |traces: Vec<TraceInfo>| traces.into_iter().map(|trace| trace.trace_id);
                let found: Vec<_> = ids(page.traces).collect();
                let expected: Vec<_> = ids(walked.into_iter().map(Result::unwrap).collect()).collect();
                let case = format!("{filter} {order_by:?} {offset}");
                assert_eq!(found, expected[..expected.len().min(50)], "{case}");
                assert_eq!(page.next_page_token.is_some(), expected.len() > 50, "{case}");
            }
        }
    }
}
