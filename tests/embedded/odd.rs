//! What is odd in a store hides nothing else in it, and is told for what it is.

use http::StatusCode;
use serde_json::json;
use sqlx::Connection;

use crate::Kind;
use crate::store::OwnStore;

on_each_store! {
    a_row_that_cannot_be_read_hides_no_other;
    spans_that_are_no_json_are_refused_and_hide_no_others;
    archived_spans_are_told_to_be_archived;
    a_name_of_nothing_leaves_a_run_its_own;
    what_was_made_ahead_of_a_migration_does_not_count_yet;
}

/// `mlflow db prepopulate-trace-analytics` makes the columns of the next revision while a server runs that does not fill them.
async fn what_was_made_ahead_of_a_migration_does_not_count_yet(kind: Kind) {
    let store = OwnStore::new(kind).await;
    store.run("label", &[]);
    let id = &store.traces[0];
    store.run("revision", &["b7e2c1a4d9f3"]);
    let named = format!(
        "INSERT INTO trace_tags (key, value, request_id) VALUES ('mlflow.traceName', 'of old', '{id}')"
    );
    for statement in [
        "DROP TABLE sql_assessment_daily_rollups",
        "UPDATE assessments SET experiment_id = NULL, trace_timestamp_ms = NULL",
        &named,
    ] {
        store.run("execute", &[statement]);
    }
    let server = store.server().await;
    for filter in ["feedback.correctness = 'gut'", "name = 'of old'"] {
        let page = json!({"filter": filter});
        let page = server
            .as_local_user()
            .post_json("/api/mlflow/search-traces", &page)
            .await;
        assert_eq!(
            crate::texts(&page["traces"], "/info/trace_id"),
            std::slice::from_ref(id),
            "{filter}"
        );
        assert_eq!(page["traces"][0]["info"]["tags"]["mlflow.traceName"], "of old");
    }
}

async fn a_row_that_cannot_be_read_hides_no_other(kind: Kind) {
    let store = OwnStore::new(kind).await;
    store.run("label", &[]);
    let odd = &store.traces[1];
    store.run(
        "execute",
        &["UPDATE assessments SET assessment_type = 'rumour' WHERE name = (SELECT min(name) FROM assessments)"],
    );
    let is_sqlite = kind == Kind::Sqlite;
    if is_sqlite {
        // SQLite keeps a text where a number belongs.
        let update = format!("UPDATE trace_info SET timestamp_ms = 'noon' WHERE request_id = '{odd}'");
        store.run("execute", &[&update]);
    }
    let server = store.server().await;
    let asker = server.as_local_user();
    let page = asker.post_json("/api/mlflow/search-traces", &json!({})).await;
    let found = crate::texts(&page["traces"], "/info/trace_id");
    let expected = store.traces.iter().rev().filter(|&id| !(is_sqlite && id == odd));
    assert_eq!(found, expected.cloned().collect::<Vec<_>>());
    let batch = json!({"trace_ids": store.traces});
    let batch = asker.post_json("/api/traces/batch", &batch).await;
    for (id, trace) in store.traces.iter().zip(batch["traces"].as_array().unwrap()) {
        assert_eq!(trace.is_null(), is_sqlite && id == odd, "{batch}");
    }
    if is_sqlite {
        assert_eq!(batch["errors"][odd]["code"], "UPSTREAM_ERROR", "{batch}");
        let (status, problem) = asker.try_get(&format!("/api/traces/{odd}")).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{problem}");
    }
    let log = server.log().await.join("\n");
    assert!(log.contains("an assessment is left out"), "{log}");
    assert_eq!(log.contains("a trace is left out"), is_sqlite, "{log}");
}

async fn spans_that_are_no_json_are_refused_and_hide_no_others(kind: Kind) {
    let store = OwnStore::new(kind).await;
    let odd = &store.traces[1];
    let content = format!("UPDATE spans SET content = substr(content, 1, 40) WHERE trace_id = '{odd}'");
    store.run("execute", &[&content]);
    let server = store.server().await;
    let asker = server.as_local_user();
    for path in ["", "/spans"] {
        let (status, problem) = asker.try_get(&format!("/api/traces/{odd}{path}")).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains("not valid JSON"),
            "{problem}"
        );
    }
    let page = json!({"include_spans": true});
    let page = asker.post_json("/api/mlflow/search-traces", &page).await;
    assert_eq!(page["traces"].as_array().unwrap().len(), store.traces.len());
    for trace in page["traces"].as_array().unwrap() {
        let is_odd = trace["info"]["trace_id"] == odd.as_str();
        assert_eq!(
            trace["data"]["spans"].as_array().unwrap().is_empty(),
            is_odd,
            "{trace}"
        );
    }
}

/// SQLite takes any bytes for a text, and any value for a column's.
#[tokio::test]
async fn bytes_that_are_no_text_are_refused_and_hide_no_other() {
    let store = OwnStore::new(Kind::Sqlite).await;
    let (odd, good) = (&store.traces[1], &store.traces[0]);
    let server = store.server().await;
    let asker = server.as_local_user();
    let file = format!("sqlite://{}", store.file().display());
    let mut connection = sqlx::SqliteConnection::connect(&file).await.unwrap();
    let not_utf8 = "CAST(x'7b226e616d65223a2022ff227d' AS TEXT)";
    for (column, value, is_of_info) in [
        ("trace_info SET request_preview", not_utf8, true),
        ("trace_info SET request_preview", "x'ff00'", true),
        ("spans SET content", not_utf8, false),
        ("spans SET content", "x'ff00'", false),
        ("spans SET content", "7", false),
    ] {
        let case = format!("{column} = {value}");
        let (name, key) = column.split_once(" SET ").unwrap();
        let id = if is_of_info { "request_id" } else { "trace_id" };
        let keep = format!(
            "CREATE TABLE kept AS SELECT rowid AS place, {key} AS was FROM {name} WHERE {id} = '{odd}'"
        );
        run(&mut connection, &keep).await;
        run(
            &mut connection,
            &format!("UPDATE {column} = {value} WHERE {id} = '{odd}'"),
        )
        .await;
        let batch = json!({"trace_ids": [odd, good], "include_spans": true});
        let batch = asker
            .request(http::Method::POST, "/api/traces/batch")
            .json(&batch);
        let (status, batch) = harness::answer(batch.header("cache-control", "no-cache")).await;
        assert_eq!(status, StatusCode::OK, "{case}: {batch}");
        assert!(batch["traces"][0].is_null(), "{case}: {batch}");
        assert_eq!(batch["errors"][odd]["code"], "UPSTREAM_ERROR", "{case}: {batch}");
        let spans = &batch["traces"][1]["data"]["spans"];
        assert!(
            spans.as_array().is_some_and(|spans| !spans.is_empty()),
            "{case}: {batch}"
        );
        let path = format!("/api/traces/{odd}");
        let (status, problem) = harness::answer(asker.get(&path).header("cache-control", "no-cache")).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{case}: {problem}");
        let back = format!(
            "UPDATE {column} = (SELECT was FROM kept WHERE place = {name}.rowid) WHERE {id} = '{odd}'"
        );
        run(&mut connection, &back).await;
        run(&mut connection, "DROP TABLE kept").await;
        let trace = harness::answer(asker.get(&path).header("cache-control", "no-cache"))
            .await
            .1;
        assert_eq!(trace["info"]["trace_id"], odd.as_str(), "{case}: {trace}");
        assert!(trace["data"]["error"].is_null(), "{case}: {trace}");
    }
}

async fn run(connection: &mut sqlx::SqliteConnection, sql: &str) {
    let statement = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()));
    statement.execute(connection).await.unwrap();
}

async fn archived_spans_are_told_to_be_archived(kind: Kind) {
    let store = OwnStore::new(kind).await;
    let (archived, emptied) = (&store.traces[0], &store.traces[1]);
    let tag = format!(
        "UPDATE trace_tags SET value = 'ARCHIVE_REPO' WHERE key = 'mlflow.trace.spansLocation' AND request_id = '{archived}'"
    );
    let content = format!("UPDATE spans SET content = '' WHERE trace_id = '{emptied}'");
    store.run("execute", &[&tag]);
    store.run("execute", &[&content]);
    let server = store.server().await;
    let asker = server.as_local_user();
    for id in [archived, emptied] {
        let trace = asker.get_json(&format!("/api/traces/{id}")).await;
        assert_eq!(trace["data"]["spans"], json!([]));
        let told = trace["data"]["error"]["message"].as_str().unwrap();
        assert!(told.contains("archive"), "{told}");
        let (status, problem) = asker.try_get(&format!("/api/traces/{id}/spans")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains("archive"),
            "{problem}"
        );
    }
    let page = json!({"include_spans": true});
    let page = asker.post_json("/api/mlflow/search-traces", &page).await;
    for trace in page["traces"].as_array().unwrap() {
        let id = trace["info"]["trace_id"].as_str().unwrap();
        let is_gone = [archived, emptied].iter().any(|gone| *gone == id);
        assert_eq!(
            trace["data"]["spans"].as_array().unwrap().is_empty(),
            is_gone,
            "{trace}"
        );
    }
}

async fn a_name_of_nothing_leaves_a_run_its_own(kind: Kind) {
    let store = OwnStore::new(kind).await;
    let server = store.server().await;
    let asker = server.as_local_user();
    let run = json!({
        "experiment_id": store.experiment, "run_name": "mine", "tags": {"mlflow.runName": ""}
    });
    let made = asker.post_json("/api/mlflow/runs/create", &run).await;
    let id = made["run"]["info"]["run_id"].as_str().unwrap();
    assert_eq!(made["run"]["info"]["run_name"], "mine");
    let tags = json!({"run_id": id, "tags": [{"key": "mlflow.runName", "value": ""}]});
    asker.post_json("/api/mlflow/runs/update", &tags).await;
    let run = &asker.get_json(&format!("/api/mlflow/runs/{id}")).await["run"];
    assert_eq!(run["info"]["run_name"], "mine", "{run}");
    let is_named = |tag: &serde_json::Value| tag["key"] == "mlflow.runName" && tag["value"] == "mine";
    assert!(
        run["data"]["tags"].as_array().unwrap().iter().any(is_named),
        "{run}"
    );
}
