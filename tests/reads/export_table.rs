//! `trace-server export --format parquet`: a table that others read, whole or not at all.

use harness::{Fault, Gate, Proxy, Upstream};
use serde_json::{Value, json};

use crate::export::{Place, export, exported, lines, to_the_ms};

/// The rows as pandas reads them.
fn rows(upstream: &Upstream, path: &str) -> Vec<Value> {
    let told = upstream.run_script("read_parquet.py", &[path]);
    told.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What a row says of a trace.
fn row(trace: &Value) -> Value {
    let info = &trace["info"];
    let mut row = json!({
        "experiment_id": info["trace_location"]["mlflow_experiment"]["experiment_id"],
        "request_time": to_the_ms(&info["request_time"]),
        "spans": trace["data"]["spans"],
    });
    for column in [
        "trace_id",
        "client_request_id",
        "execution_duration_ms",
        "state",
        "request_preview",
        "response_preview",
        "trace_metadata",
        "tags",
        "assessments",
    ] {
        row[column] = info[column].clone();
    }
    row
}

#[tokio::test]
async fn each_row_is_what_the_api_answers() {
    let upstream = Upstream::v3();
    let experiment = &upstream.seed.experiment_id;
    let (by_lines, place) = (Place::new(), Place::named("traces.parquet"));
    let (told, status) = exported(&upstream.url, experiment, &["--output", &by_lines.output]).await;
    assert!(status.success(), "{told}");
    let expected: Vec<_> = lines(by_lines.output.as_ref()).iter().map(row).collect();

    // Killed while it reads, it goes on with what is there.
    let (proxy, gate) = (Proxy::before(&upstream.url).await, Gate::default());
    proxy.does_to("artifact", Fault::Held(gate.clone()));
    let args = ["--format", "parquet", "--output", &place.output];
    let mut killed = export(&proxy.url, experiment, &args).spawn().unwrap();
    proxy
        .until("it waits", |proxy| proxy.count("artifact") >= 1)
        .await;
    killed.kill().await.unwrap();
    assert_eq!(place.files(), ["traces.parquet.part", "traces.parquet.plan"]);
    gate.open();
    let (told, status) = exported(&proxy.url, experiment, &args).await;
    assert!(
        status.success() && told.contains(&format!("{} traces written", expected.len())),
        "{told}"
    );
    assert_eq!(place.files(), ["traces.parquet"]);
    let rows = rows(&upstream, &place.output);
    assert_eq!(rows.len(), expected.len());
    for (row, expected) in rows.iter().zip(&expected) {
        assert_eq!(row, expected);
    }
    let has = |column: &str| rows.iter().any(|row| !row[column].as_array().unwrap().is_empty());
    assert!(has("spans") && has("assessments"));
}

#[tokio::test]
async fn a_table_may_be_empty_and_needs_a_file_that_can_be_written() {
    let upstream = Upstream::v3();
    let experiment = &upstream.seed.experiment_id;
    let place = Place::named("none.parquet");
    let none = [
        "--filter",
        "name = 'there is none of this name'",
        "--format",
        "parquet",
    ];
    let args = [&none[..], &["--output", &place.output]].concat();
    let (told, status) = exported(&upstream.url, experiment, &args).await;
    assert!(status.success() && told.contains("0 traces written"), "{told}");
    assert_eq!(rows(&upstream, &place.output), [] as [Value; 0]);

    let (told, status) = exported(&upstream.url, experiment, &none).await;
    assert!(!status.success() && told.contains("--output FILE"), "{told}");

    // Lines that somebody changed are no table, and stay.
    let place = Place::named("traces.parquet");
    let args = ["--limit", "1", "--format", "parquet", "--output", &place.output];
    std::fs::create_dir(&place.output).unwrap();
    let forced = [&args[..], &["--force"]].concat();
    let (told, status) = exported(&upstream.url, experiment, &forced).await;
    assert!(!status.success(), "{told}");
    std::fs::remove_dir(&place.output).unwrap();
    let part = format!("{}.part", place.output);
    let text = std::fs::read_to_string(&part).unwrap();
    std::fs::write(&part, text.replace("\"tags\":", "\"flags\":")).unwrap();
    let (told, status) = exported(&upstream.url, experiment, &args).await;
    assert!(!status.success() && told.contains("line 1 is no trace"), "{told}");
    assert_eq!(place.files(), ["traces.parquet.part", "traces.parquet.plan"]);
}
