//! Spans of one trace: forms, filters, pages, one by id.

use reqwest::header::ACCEPT;
use serde_json::{Value, json};

fn lines(body: &str) -> Vec<Value> {
    body.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn every_form_has_the_same_spans_cold_and_warm() {
    let (upstream, server) = crate::direct().await;
    for name in ["rag", "non_ascii", "all_types", "wide", "artifact"] {
        let path = format!("/api/traces/{}/spans", upstream.trace(name));
        let get = async |accept: &'static str| {
            let answer = server.get(&path).header(ACCEPT, accept).send().await.unwrap();
            assert_eq!(answer.headers()["content-type"], accept);
            answer.text().await.unwrap()
        };
        let cold = lines(&get("application/x-ndjson").await);
        let warm = lines(&get("application/x-ndjson").await);
        let document: Value = serde_json::from_str(&get("application/json").await).unwrap();
        let events = get("text/event-stream").await;
        let of_events: Vec<Value> = events
            .split("\n\n")
            .filter_map(|event| event.strip_prefix("event: span\ndata: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        let trace = server
            .json(&format!("/api/traces/{}", upstream.trace(name)))
            .await;
        assert_eq!(trace["data"]["spans"], json!(cold), "{name}");
        assert_eq!((&cold, &document), (&warm, &json!({"spans": warm})), "{name}");
        assert_eq!(of_events, cold, "{name}");
        assert!(
            events.ends_with(&format!("event: end\ndata: {{\"spans\":{}}}\n\n", cold.len())),
            "{name}"
        );
    }
}

#[tokio::test]
async fn spans_are_the_very_bytes_that_mlflow_sends() {
    let (upstream, server) = crate::direct().await;
    let raw = reqwest::get(upstream.artifact_url(upstream.trace("rag")))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let streamed = server
        .get(&format!("/api/traces/{}/spans/stream", upstream.trace("rag")))
        .send()
        .await
        .unwrap();
    assert_eq!(streamed.headers()["content-type"], "application/x-ndjson");
    for line in streamed.text().await.unwrap().lines() {
        assert!(raw.contains(line), "{line}");
    }
}

#[tokio::test]
async fn filters_and_pages_pick_the_right_spans() {
    let (upstream, server) = crate::direct().await;
    let id = upstream.trace("error");
    let get = async |query: &str| {
        let answer = server
            .get(&format!("/api/mlflow/traces/{id}/spans?{query}"))
            .send()
            .await
            .unwrap();
        lines(&answer.text().await.unwrap())
    };
    // Cold for the first, warm for all others.
    let tools = get("span_type=TOOL").await;
    let all = get("").await;
    assert!(all.len() > 4);
    assert_eq!(
        tools,
        [all.iter()
            .find(|span| span["name"] == "look_up_order")
            .unwrap()
            .clone()]
    );
    assert_eq!(get("root_only=true").await, [all[0].clone()]);
    let root = all[0]["span_id"].as_str().unwrap();
    let escaped = root.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    assert_eq!(get(&format!("parent_id={escaped}")).await, all[1..]);
    assert_eq!(get("offset=1&limit=2").await, all[1..3]);
    assert_eq!(get("offset=1000").await, [] as [Value; 0]);
    let summary = get("view=summary").await;
    assert_eq!(summary.len(), all.len());
    for (summary, span) in summary.iter().zip(&all) {
        for field in [
            "name",
            "span_id",
            "parent_span_id",
            "start_time_unix_nano",
            "end_time_unix_nano",
            "status",
        ] {
            assert_eq!(summary[field], span[field], "{field}");
        }
        assert_eq!(
            summary["attributes"]["mlflow.spanType"],
            span["attributes"]["mlflow.spanType"]
        );
        assert!(summary["attributes"].get("mlflow.spanInputs").is_none() && summary.get("events").is_none());
    }
}

#[tokio::test]
async fn one_span_is_found_under_every_spelling_of_its_id() {
    let (upstream, proxy, server) = crate::proxied().await;
    let id = upstream.trace("rag");
    let all = lines(
        &server
            .get(&format!("/api/traces/{id}/spans"))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
    );
    let calls = proxy.calls().len();
    for span in &all {
        let base64 = span["span_id"].as_str().unwrap();
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, base64).unwrap();
        let hex = crate::hex(&bytes);
        let url_safe = base64.replace('+', "-").replace('/', "_");
        let escaped = base64.replace('/', "%2F").replace('=', "%3D");
        for spelling in [hex, url_safe, escaped] {
            assert_eq!(
                server.json(&format!("/api/traces/{id}/spans/{spelling}")).await,
                *span,
                "{spelling}"
            );
        }
    }
    assert_eq!(proxy.calls().len(), calls, "all from the cache");
    let unknown = server
        .get(&format!("/api/traces/{id}/spans/0000000000000001"))
        .send()
        .await
        .unwrap();
    assert_eq!(unknown.status(), 404);
}

#[tokio::test]
async fn a_traces_data_has_request_and_response_of_its_root() {
    let (upstream, server) = crate::direct().await;
    for name in ["rag", "all_types", "no_previews"] {
        let id = upstream.trace(name);
        let data = &server.json(&format!("/api/mlflow/traces/{id}/data")).await["trace_data"];
        let spans = &server.json(&format!("/api/traces/{id}")).await["data"]["spans"];
        assert_eq!(data["spans"], *spans);
        let attribute = |key: &str| spans[0]["attributes"].get(key).cloned().unwrap_or_default();
        assert_eq!(data["request"], attribute("mlflow.spanInputs"), "{name}");
        assert_eq!(data["response"], attribute("mlflow.spanOutputs"), "{name}");
    }
}
