//! What is told to those who watch the server: counts, times, and the log's warnings.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::{CLIENT_ID, CLIENT_SECRET, Fault, Gate, Metrics, TraceServer, Upstream, Workspace};
use serde_json::{Value, json};

use crate::proxied;

#[tokio::test]
async fn requests_calls_and_the_cache_are_counted() {
    let (upstream, proxy, server) = proxied().await;
    let id = &upstream.seed.run_trace_ids[0];
    let path = format!("/api/traces/{id}");
    let calls = AtomicUsize::new(0);
    proxy.rule(move |call| {
        if call.path.contains("traces/") && calls.fetch_add(1, Ordering::SeqCst) == 0 {
            Fault::Status(503, Vec::new(), "")
        } else {
            Fault::None
        }
    });
    for _ in 0..3 {
        server.json(&path).await;
    }
    for nonsense in ["/nothing/here", "/nor/there"] {
        server.get(nonsense).send().await.unwrap();
    }
    let metrics = server.metrics().await;
    let of = |name: &str| metrics.count(&format!("trace_server_{name}"));
    let requests = r#"request_seconds_count{route="/api/traces/{trace_id}",method="GET",status="200"}"#;
    assert_eq!(of(requests), 3);
    assert_eq!(of(r#"request_seconds_count{route="other",status="404"}"#), 2);
    assert!(of(r#"answer_bytes_total{route="/api/traces/{trace_id}"}"#) > 1000);
    assert_eq!(of(r#"cache_answers_total{status="hit"}"#), 2);
    assert_eq!(of(r#"cache_answers_total{status="miss"}"#), 1);
    let calls = of(r#"upstream_calls_total{outcome="ok"}"#);
    assert!(calls >= 1 && calls <= of("upstream_call_seconds_count"));
    assert!(of("upstream_retries_total") >= 1);
    // No name of a trace or of a user is in it: the series would have no end.
    assert!(!metrics.text.contains(id.as_str()) && !metrics.text.contains("nothing"));
    is_documented(&metrics);
}

/// The page for operators names all that is counted.
fn is_documented(metrics: &Metrics) {
    let page = include_str!("../../docs/operations.md");
    let families: Vec<_> = metrics
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE trace_server_")?.split_once(' '))
        .collect();
    for (name, kind) in &families {
        let name = match *kind {
            "counter" => format!("`{name}_total`"),
            _ => format!("`{name}`"),
        };
        assert!(page.contains(&name), "{name} is not in docs/operations.md");
    }
    assert!(families.len() > 17, "{families:?}");
}

#[tokio::test]
async fn tokens_that_are_fetched_are_counted() {
    let upstream = Upstream::v3();
    let workspace = Workspace::over(&upstream.url).await;
    let server = TraceServer::with(&[
        ("MLFLOW_TRACKING_URI", "databricks"),
        ("MLFLOW_EXPERIMENT_ID", &upstream.seed.experiment_id),
        ("DATABRICKS_HOST", &workspace.url),
        ("DATABRICKS_CLIENT_ID", CLIENT_ID),
        ("DATABRICKS_CLIENT_SECRET", CLIENT_SECRET),
    ])
    .await;
    server
        .json(&format!("/api/traces/{}", upstream.seed.run_trace_ids[0]))
        .await;
    let metrics = server.metrics().await;
    assert_eq!(
        metrics.count(r#"trace_server_upstream_tokens_total{outcome="ok"}"#),
        1
    );
}

/// The times of `server-timing`, in ms.
fn timing(answer: &reqwest::Response) -> BTreeMap<String, f64> {
    let text = answer.headers()["server-timing"].to_str().unwrap();
    text.split(", ")
        .map(|part| {
            let (name, ms) = part.split_once(";dur=").unwrap();
            (name.to_owned(), ms.parse().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn where_the_time_went_is_told_to_who_asks_and_of_slow_ones_to_the_log() {
    const PAUSE: Duration = Duration::from_millis(300);
    let upstream = Upstream::v3();
    let proxy = harness::Proxy::before(&upstream.url).await;
    let server = TraceServer::with(&[
        ("MLFLOW_TRACKING_URI", &proxy.url),
        ("MLFLOW_EXPERIMENT_ID", &upstream.seed.experiment_id),
        ("TRACE_SERVER_SLOW_REQUEST", "250ms"),
        ("TRACE_SERVER_MAX_REQUESTS", "1"),
    ])
    .await;
    let path = format!("/api/traces/{}", upstream.seed.run_trace_ids[0]);
    proxy.rule(|_| Fault::Delayed(PAUSE));
    // The second waits for its turn, and then has it from the cache.
    let ask = || server.get(&path).send();
    let (first, second) = tokio::join!(ask(), async {
        tokio::time::sleep(PAUSE / 4).await;
        ask().await
    });
    let (first, second) = (timing(&first.unwrap()), timing(&second.unwrap()));
    let ms = PAUSE.as_secs_f64() * 1000.0;
    assert!(
        first["upstream"] >= ms && first["upstream"] <= first["total"],
        "{first:?}"
    );
    assert!(
        second["queue"] >= ms / 2.0 && second["queue"] <= second["total"],
        "{second:?}"
    );
    assert!(!second.contains_key("upstream"), "{second:?}");
    // A hit waits for nobody.
    let hit = timing(&ask().await.unwrap());
    assert_eq!(hit.keys().collect::<Vec<_>>(), ["total"]);

    let log = server.log().await;
    let lines = log
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<_> = lines.filter(|line| line["target"] == "access").collect();
    let slow: Vec<_> = lines
        .iter()
        .filter(|line| line["message"] == "slow request")
        .collect();
    assert!(!slow.is_empty() && slow.len() < lines.len(), "{lines:#?}");
    assert!(slow.iter().all(|line| line["level"] == "WARN"));
    assert!(slow[0]["upstream_ms"].as_f64().unwrap() >= ms, "{slow:#?}");
}

#[tokio::test]
async fn a_list_that_waits_for_spans_or_breaks_off_is_seen_in_what_is_counted() {
    const PAUSE: Duration = Duration::from_millis(300);
    let (upstream, proxy, server) = proxied().await;
    // The answer begins at once; what is waited for is within it.
    proxy.does_to("artifact", Fault::Delayed(PAUSE));
    let search = json!({"max_results": 5, "include_spans": true});
    server.post_json("/api/mlflow/search-traces", &search).await;
    let route = r#"route="/api/mlflow/search-traces""#;
    let waited = server
        .metrics()
        .await
        .value(&format!("trace_server_request_seconds_sum{{{route}}}"));
    assert!(waited >= PAUSE.as_secs_f64(), "{waited}");

    // One that fails in the middle, as lines that say so and as one JSON that cannot; and one that nobody reads on.
    let spans = format!("/api/traces/{}/spans", upstream.trace("big"));
    proxy.does_to("artifact", Fault::CutAfter(200_000));
    let lines = server.get(&spans).send().await.unwrap().text().await.unwrap();
    assert!(
        lines.lines().last().unwrap().starts_with(r#"{"error":"#),
        "{lines}"
    );
    let json = server.get(&spans).header("accept", "application/json");
    assert!(json.send().await.unwrap().bytes().await.is_err());
    proxy.does_to("artifact", Fault::HeldAfter(200_000, Gate::default()));
    drop(server.get(&spans).send().await.unwrap());
    let route = r#"route="/api/traces/{trace_id}/spans""#;
    let ended = |why: &str| format!("trace_server_answers_broken_off_total{{{route},why=\"{why}\"}}");
    server.until_counted(&ended("failed"), 2).await;
    server.until_counted(&ended("left"), 1).await;
    let log = server.log().await;
    let told = log
        .iter()
        .filter(|line| line.contains("/spans\"") && line.contains("WARN"));
    assert!(told.clone().count() >= 2, "{log:#?}");
    assert!(told.clone().all(|line| line.contains("\"cause\":")), "{log:#?}");
}
