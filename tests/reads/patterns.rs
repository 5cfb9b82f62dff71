//! What traces have in common, held against their spans as MLflow gives them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{Fault, Proxy, TraceServer, Upstream};
use http::StatusCode;
use serde_json::{Value, json};

/// An attribute's value, read twice: MLflow keeps JSON in JSON.
fn attribute(span: &Value, name: &str) -> Value {
    let text = span["attributes"][name].as_str().unwrap_or("null");
    serde_json::from_str(text).unwrap_or_default()
}

/// The spans of the newest traces, as MLflow's own page gets them.
async fn spans(upstream: &Upstream, count: usize) -> Vec<Vec<Value>> {
    let server = TraceServer::on(&upstream.url, &upstream.seed.experiment_id).await;
    let found = server
        .post_json("/api/mlflow/search-traces", &json!({"max_results": count}))
        .await;
    let mut all = Vec::new();
    for trace in found["traces"].as_array().unwrap() {
        let id = trace["info"]["trace_id"].as_str().unwrap();
        let answer = harness::http_client()
            .get(upstream.artifact_url(id))
            .send()
            .await
            .unwrap();
        let spans: Value = if answer.status().is_success() {
            answer.json().await.unwrap()
        } else {
            json!({"spans": []})
        };
        all.push(spans["spans"].as_array().unwrap().clone());
    }
    all
}

#[tokio::test]
async fn what_is_counted_is_what_the_spans_say() {
    let upstream = Upstream::v3();
    let server = TraceServer::on(&upstream.url, &upstream.seed.experiment_id).await;
    let found = server.json("/api/traces/analyze-patterns?limit=40").await;
    let traces = spans(&upstream, 40).await;
    let mut types: BTreeMap<String, u64> = BTreeMap::new();
    let (mut tools, mut failed, mut longest) = (
        BTreeSet::new(),
        BTreeMap::<String, u64>::new(),
        BTreeMap::<String, f64>::new(),
    );
    for span in traces.iter().flatten() {
        let kind = attribute(span, "mlflow.spanType")
            .as_str()
            .unwrap_or("UNKNOWN")
            .to_owned();
        if kind == "TOOL" {
            tools.insert(span["name"].as_str().unwrap().to_owned());
        }
        if span["status"]["code"] == "STATUS_CODE_ERROR" {
            *failed.entry(kind.clone()).or_default() += 1;
        }
        let ns = |name: &str| span[name].as_u64().unwrap_or_default();
        if ns("end_time_unix_nano") > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a millionth of a nanosecond")]
            let ms = (ns("end_time_unix_nano") - ns("start_time_unix_nano")) as f64 / 1e6;
            let most = longest.entry(kind.clone()).or_default();
            *most = most.max(ms);
        }
        *types.entry(kind).or_default() += 1;
    }
    assert_eq!(found["analysis_summary"]["total_traces"], traces.len());
    assert_eq!(
        found["coverage"]["spans"],
        traces.iter().map(Vec::len).sum::<usize>()
    );
    assert_eq!(found["span_patterns"]["types"], json!(types));
    let detected: BTreeSet<_> =
        serde_json::from_value(found["tool_usage"]["tools_detected"].clone()).unwrap();
    assert_eq!(tools, detected);
    assert!(!tools.is_empty() && !failed.is_empty(), "the sample has both");
    for (kind, figures) in found["span_statistics"]["by_type"].as_object().unwrap() {
        assert_eq!(figures["count"], types[kind]);
        assert_eq!(
            figures["errors"],
            failed.get(kind).copied().unwrap_or(0),
            "{kind}"
        );
        let max = figures["latency_ms"]["max"].as_f64().unwrap_or_default();
        assert!(
            (max - longest.get(kind).copied().unwrap_or_default()).abs() < 1e-6,
            "{kind}: {max}"
        );
        assert!(figures["latency_ms"]["p50"].as_f64() <= figures["latency_ms"]["p95"].as_f64());
    }
}

#[tokio::test]
async fn equal_questions_are_answered_once_and_kept() {
    let upstream = Upstream::v3();
    let proxy = Proxy::before(&upstream.url).await;
    let server = TraceServer::on(&proxy.url, &upstream.seed.experiment_id).await;
    let path = "/api/traces/analyze-patterns?limit=5";
    let asked = futures::future::join_all((0..10).map(|_| server.json(path))).await;
    assert!(asked.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(proxy.count("traces/search"), 1);
    let spans = proxy.count("get-trace-artifact");
    assert!(spans <= 5, "{spans}");
    let again = server.get(path).send().await.unwrap();
    assert_eq!(again.headers()["x-cache"], "hit");
    let etag = again.headers()["etag"].clone();
    let unchanged = server
        .get(path)
        .header("if-none-match", etag)
        .send()
        .await
        .unwrap();
    assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
    // Past the cache the spans are read anew.
    server
        .get(path)
        .header("cache-control", "no-cache")
        .send()
        .await
        .unwrap();
    assert_eq!(proxy.count("traces/search"), 2);
    assert!(proxy.count("get-trace-artifact") > spans);
}

#[tokio::test]
async fn traces_that_cannot_be_read_are_told_of() {
    let upstream = Upstream::v3();
    let proxy = Proxy::before(&upstream.url).await;
    let server = TraceServer::with(&[
        ("MLFLOW_TRACKING_URI", &proxy.url),
        ("MLFLOW_EXPERIMENT_ID", &upstream.seed.experiment_id),
        ("TRACE_SERVER_UPSTREAM_MAX_RETRIES", "0"),
    ])
    .await;
    let found = server
        .post_json("/api/mlflow/search-traces", &json!({"max_results": 4}))
        .await;
    let broken = found["traces"][1]["info"]["trace_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = "/api/traces/analyze-patterns?limit=4";
    for fault in [Fault::CutAfter(40), Fault::Status(502, Vec::new(), "")] {
        let (broken, fault) = (broken.clone(), fault.clone());
        proxy.rule(move |call| {
            if call.path.contains("get-trace-artifact") && call.path.contains(&broken) {
                fault.clone()
            } else {
                Fault::None
            }
        });
        let found = harness::answer(server.get(path).header("cache-control", "no-cache")).await;
        let coverage = &found.1["coverage"];
        assert_eq!(
            (
                &coverage["traces_found"],
                &coverage["traces_analyzed"],
                &coverage["traces_failed"]
            ),
            (&json!(4), &json!(3), &json!(1)),
            "{found:?}"
        );
    }
    // Of an MLflow that is away no few traces are told as if they were all.
    let read = AtomicUsize::new(0);
    proxy.rule(move |call| {
        let is_read = call.path.contains("get-trace-artifact");
        let read = read.fetch_add(usize::from(is_read), Ordering::SeqCst);
        if read > 2 || is_read && read == 2 {
            Fault::Status(503, Vec::new(), "")
        } else {
            Fault::None
        }
    });
    let (status, problem) = harness::answer(server.get(path).header("cache-control", "no-cache")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
}

#[tokio::test]
async fn no_traces_have_nothing_in_common() {
    let upstream = Upstream::v3();
    let server = TraceServer::on(&upstream.url, &upstream.seed.empty_experiment_id).await;
    let found = server.json("/api/mlflow/traces/analyze-patterns/").await;
    assert_eq!(
        found["analysis_summary"],
        json!({
            "total_traces": 0, "conversation_type": "structured_processing", "agent_pattern": "direct_generation",
        })
    );
    assert_eq!(
        (&found["latency_ms"], &found["token_usage"], &found["cost"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("experiment_id=x", "experiment_id"),
    ] {
        let (status, problem) =
            harness::answer(server.get(&format!("/api/traces/analyze-patterns?{query}"))).await;
        assert_eq!(
            (status, &problem["error"]["details"]["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn what_mlflow_2_keeps_is_counted_too() {
    let upstream = Upstream::v2();
    let server = TraceServer::on(&upstream.url, &upstream.seed.experiment_id).await;
    let found = server.json("/api/traces/analyze-patterns?limit=20").await;
    let traces = server
        .post_json(
            "/api/mlflow/search-traces",
            &json!({"max_results": 20, "include_spans": true}),
        )
        .await;
    let spans = |trace: &Value| trace["data"]["spans"].as_array().map_or(0, Vec::len);
    let all: usize = traces["traces"].as_array().unwrap().iter().map(spans).sum();
    assert!(all > 0);
    assert_eq!(found["coverage"]["spans"], all);
    assert_eq!(found["coverage"]["spans_unread"], 0);
}
