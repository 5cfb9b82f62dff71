//! Every field of every sample trace, held against what MLflow's own SDK reads.

#![expect(clippy::unwrap_used, reason = "a test's way to fail")]

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::{TraceServer, Upstream};

/// Holds every field of every seeded trace, and the order of a search, against what MLflow's own SDK reads of them. The
/// server's experiment is the one that was seeded.
pub async fn compare_all(upstream: &Upstream, server: &TraceServer) {
    let mut traces = read_with_sdk(upstream, &["--seed", upstream.seed_file()]);
    let search = traces.pop().unwrap()["search"].clone();
    assert!(traces.len() >= upstream.seed.trace_ids.len());
    compare(server, &traces).await;
    let page = server
        .post_json("/api/mlflow/search-traces", &json!({"max_results": 500}))
        .await;
    let found: Vec<_> = list(&page["traces"])
        .iter()
        .map(|trace| trace["info"]["trace_id"].clone())
        .collect();
    assert_eq!(Value::from(found), search, "the order of a search");
    let by_id: HashMap<_, _> = traces
        .iter()
        .map(|trace| (text(&trace["trace_id"]), trace))
        .collect();
    for trace in list(&page["traces"]) {
        compare_info(&trace["info"], by_id[text(&trace["info"]["trace_id"])]);
    }
}

/// Holds every field of these traces against what MLflow's own SDK reads of them.
pub async fn compare_traces(upstream: &Upstream, server: &TraceServer, ids: &[&str]) {
    let traces = read_with_sdk(upstream, ids);
    assert_eq!(traces.len(), ids.len());
    compare(server, &traces).await;
}

async fn compare(server: &TraceServer, traces: &[Value]) {
    for expected in traces {
        let id = text(&expected["trace_id"]);
        let got = server.json(&format!("/api/mlflow/traces/{id}")).await;
        compare_info(&got["info"], expected);
        match expected.get("spans") {
            Some(spans) => compare_spans(&got["data"]["spans"], spans, id),
            None => assert_eq!(got["data"]["spans"], json!([]), "{id}"),
        }
    }
}

/// What `read_with_sdk.py` writes when it is called so, line by line.
fn read_with_sdk(upstream: &Upstream, args: &[&str]) -> Vec<Value> {
    let out = tempfile::NamedTempFile::new().unwrap();
    let path = out.path().to_str().unwrap();
    upstream.run_script("read_with_sdk.py", &[&["--out", path], args].concat());
    let lines = std::fs::read_to_string(path).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn compare_info(got: &Value, expected: &Value) {
    let id = text(&expected["trace_id"]);
    let begun = OffsetDateTime::parse(text(&got["request_time"]), &Rfc3339).unwrap();
    let got_fields = json!({
        "trace_id": got["trace_id"],
        "experiment_id": got["trace_location"]["mlflow_experiment"]["experiment_id"],
        "state": got["state"],
        "request_time_ms": i64::try_from(begun.unix_timestamp_nanos() / 1_000_000).unwrap(),
        "execution_duration_ms": got["execution_duration_ms"],
        "tags": got["tags"],
        "trace_metadata": got["trace_metadata"],
    });
    for (field, value) in got_fields.as_object().unwrap() {
        assert_eq!(value, &expected[field], "{field} of {id}");
    }
    for field in ["client_request_id", "request_preview", "response_preview"] {
        // A preview that MLflow does not have is derived; `previews_are_derived` looks at those.
        let is_derived = field.ends_with("preview") && expected[field].is_null();
        assert!(
            is_derived || got[field] == expected[field],
            "{field} of {id}: {} {}",
            got[field],
            expected[field]
        );
    }
    let expected = expected
        .get("assessments")
        .map_or(&[][..], |list| list.as_array().unwrap());
    let got: HashMap<_, _> = list(&got["assessments"])
        .iter()
        .map(|one| (text(&one["assessment_id"]), one))
        .collect();
    assert_eq!(got.len(), expected.len(), "assessments of {id}");
    for expected in expected {
        compare_assessment(got[text(&expected["assessment_id"])], expected);
    }
}

fn compare_assessment(got: &Value, expected: &Value) {
    let kind = text(&expected["kind"]);
    assert_eq!(got["name"], got["assessment_name"]);
    let metadata = |of: &Value| of["metadata"].as_object().cloned().unwrap_or_default();
    let (mut told, mut expected_told) = (metadata(got), metadata(expected));
    // Of an expectation MLflow keeps it there alone.
    let why = expected_told
        .remove("rationale")
        .unwrap_or_else(|| expected["rationale"].clone());
    assert_eq!(
        told.remove("rationale").unwrap_or_default(),
        why,
        "the rationale where the client reads it: {expected}"
    );
    assert_eq!(told, expected_told, "metadata of {expected}");
    let same = |field: &str, value: &Value| assert_eq!(value, &expected[field], "{field} of {expected}");
    same("name", &got["name"]);
    same("value", &got[kind]["value"]);
    same("error", &error_without_stack(&got[kind]["error"]));
    same("source_type", &got["source"]["source_type"]);
    same("source_id", &got["source"]["source_id"]);
    assert!(
        [&why, &expected["rationale"]].contains(&&got["rationale"]),
        "rationale of {expected}"
    );
    same("span_id", &got["span_id"]);
    same("create_time_ms", &got["create_time_ms"]);
    same("last_update_time_ms", &milliseconds(&got["last_update_time"]));
    // The SDK does not read it of an expectation.
    if !expected["valid"].is_null() {
        same("valid", &got["valid"]);
    }
    same("overrides", &got["overrides"]);
}

fn error_without_stack(error: &Value) -> Value {
    if error.is_null() {
        return Value::Null;
    }
    json!({"error_code": error["error_code"], "error_message": error["error_message"]})
}

fn milliseconds(time: &Value) -> Value {
    let time = OffsetDateTime::parse(text(time), &Rfc3339).unwrap();
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000)
        .unwrap()
        .into()
}

fn compare_spans(got: &Value, expected: &Value, id: &str) {
    let (got, expected) = (list(got), list(expected));
    assert_eq!(got.len(), expected.len(), "number of spans of {id}");
    for (got, expected) in got.iter().zip(expected) {
        let got = as_the_sdk_has_it(got);
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&got[field], value, "{field} of span {} of {id}", expected["name"]);
        }
    }
}

/// A span of the dictionary format in the terms of the SDK's `Span`.
fn as_the_sdk_has_it(span: &Value) -> Value {
    let attributes: Map<String, Value> = span["attributes"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (key.clone(), decoded(text(value))))
        .collect();
    let events = list(&span["events"]).iter().map(|event| {
        let attributes = event.get("attributes").cloned().unwrap_or_else(|| json!({}));
        json!({"name": event["name"], "timestamp_ns": event["time_unix_nano"], "attributes": attributes})
    });
    let links = list(&span["links"]).iter().map(|link| {
        json!({"trace_id": link["trace_id"], "span_id": link["span_id"], "attributes": link["attributes"]})
    });
    json!({
        "name": span["name"],
        "span_id": hex(&span["span_id"]),
        "parent_id": hex(&span["parent_span_id"]),
        "start_time_ns": span["start_time_unix_nano"],
        "end_time_ns": span["end_time_unix_nano"],
        "status_code": text(&span["status"]["code"]).trim_start_matches("STATUS_CODE_"),
        "status_description": span["status"]["message"],
        "span_type": attributes["mlflow.spanType"],
        "inputs": attributes.get("mlflow.spanInputs"),
        "outputs": attributes.get("mlflow.spanOutputs"),
        "attributes": attributes,
        "events": events.collect::<Vec<_>>(),
        "links": links.collect::<Vec<_>>(),
    })
}

/// What Python's `json.loads` makes of an attribute; the words that JSON lacks as text.
fn decoded(attribute: &str) -> Value {
    serde_json::from_str(attribute).unwrap_or_else(|_| {
        let quoted = attribute
            .replace("NaN", "\"NaN\"")
            .replace("Infinity", "\"Infinity\"")
            .replace("-\"Infinity\"", "\"-Infinity\"");
        serde_json::from_str(&quoted).unwrap_or_else(|error| panic!("{error}: {attribute}"))
    })
}

fn hex(base64: &Value) -> Value {
    let Some(base64) = base64.as_str() else {
        return Value::Null;
    };
    let bytes = STANDARD.decode(base64).unwrap();
    let digit = |text: String, byte: &u8| text + &format!("{byte:02x}");
    bytes.iter().fold(String::new(), digit).into()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}
