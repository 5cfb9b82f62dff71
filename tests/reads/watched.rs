//! What is told to those who watch the server: counts, times, and the log's warnings.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::{CLIENT_ID, CLIENT_SECRET, Fault, TraceServer, Upstream, Workspace};
use serde_json::Value;

use crate::proxied;

/// Every series with its value, by its name and labels as they stand in the text.
async fn metrics(server: &TraceServer) -> BTreeMap<String, f64> {
    let text = server.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

fn value(metrics: &BTreeMap<String, f64>, name: &str, labels: &[&str]) -> f64 {
    let found: Vec<_> = metrics
        .iter()
        .filter(|(series, _)| {
            let (of, rest) = series.split_once('{').unwrap_or((series, ""));
            of == name && labels.iter().all(|label| rest.contains(label))
        })
        .map(|(_, value)| value)
        .collect();
    assert!(!found.is_empty(), "{name} {labels:?} of {metrics:#?}");
    found.into_iter().sum()
}

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
    let metrics = metrics(&server).await;
    let of = |name: &str, labels: &[&str]| value(&metrics, name, labels);
    let route = r#"route="/api/traces/{trace_id}""#;
    let requests = "trace_server_request_seconds_count";
    assert!((of(requests, &[route, r#"method="GET""#, r#"status="200""#]) - 3.0).abs() < 0.5);
    assert!((of(requests, &[r#"route="other""#, r#"status="404""#]) - 2.0).abs() < 0.5);
    assert!(of("trace_server_answer_bytes_total", &[route]) > 1000.0);
    assert!((of("trace_server_cache_answers_total", &[r#"status="hit""#]) - 2.0).abs() < 0.5);
    assert!((of("trace_server_cache_answers_total", &[r#"status="miss""#]) - 1.0).abs() < 0.5);
    let calls = of("trace_server_upstream_calls_total", &[r#"outcome="ok""#]);
    assert!(calls >= 1.0 && calls <= of("trace_server_upstream_call_seconds_count", &[]));
    assert!(of("trace_server_upstream_retries_total", &[]) >= 1.0);
    // No name of a trace or of a user is in it: the series would have no end.
    let text = format!("{metrics:?}");
    assert!(!text.contains(id.as_str()) && !text.contains("nothing"));
    is_documented(&server).await;
}

/// The page for operators names all that is counted.
async fn is_documented(server: &TraceServer) {
    let text = server.get("/metrics").send().await.unwrap().text().await.unwrap();
    let page = include_str!("../../docs/operations.md");
    let families: Vec<_> = text
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
    let tokens = value(
        &metrics(&server).await,
        "trace_server_upstream_tokens_total",
        &[r#"outcome="ok""#],
    );
    assert!((tokens - 1.0).abs() < 0.5, "{tokens}");
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
