//! MLflow in trouble is told honestly, with a hint when to come back, and covered by what is known where that is right.

use harness::{Fault, TraceServer};
use serde_json::Value;

const SECRET: &str = "SELECT password FROM users at 10.0.0.7";

#[tokio::test]
async fn every_kind_of_trouble_has_its_status_and_leaks_nothing() {
    let (upstream, proxy, _) = crate::proxied().await;
    // The long pauses that the server asks for are not waited for here.
    let settings = [
        ("MLFLOW_TRACKING_URI", proxy.url.as_str()),
        ("TRACE_SERVER_UPSTREAM_MAX_RETRIES", "0"),
        ("TRACE_SERVER_UPSTREAM_BREAKER_FAILURES", "0"),
    ];
    let server = TraceServer::with(&settings).await;
    let paths = [
        format!("/api/traces/{}", upstream.trace("rag")),
        format!("/api/traces/{}/spans", upstream.trace("rag")),
        format!("/api/mlflow/runs/{}", upstream.seed.run_id),
    ];
    for (status, headers, expected, retry_after) in [
        (500, vec![], 502, None),
        (401, vec![], 502, None),
        (403, vec![], 502, None),
        (429, vec![("retry-after", "7")], 429, Some("7")),
        (503, vec![("retry-after", "9")], 503, Some("9")),
        (504, vec![], 504, Some("2")),
        (200, vec![("content-type", "text/html")], 502, None),
    ] {
        let body: &'static str =
            "{\"error_code\":\"X\",\"message\":\"SELECT password FROM users at 10.0.0.7\"}";
        let body = if status == 200 {
            "<html>SELECT password FROM users at 10.0.0.7"
        } else {
            body
        };
        proxy.rule(move |_| Fault::Status(status, headers.clone(), body));
        for path in &paths {
            let answer = server.get(path).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), expected, "{status} {path}");
            let hint = answer
                .headers()
                .get("retry-after")
                .map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(hint.as_deref(), retry_after, "{status} {path}");
            let problem = answer.text().await.unwrap();
            assert!(
                !problem.contains(SECRET) && !problem.contains("10.0.0.7"),
                "{problem}"
            );
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_503_with_a_hint() {
    let server = TraceServer::on("http://127.0.0.1:9", "1").await;
    let answer = server.get("/api/traces/tr-1").send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["retry-after"]),
        (503, &"2".parse().unwrap())
    );
    let problem: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(problem["error"]["code"], "UPSTREAM_UNAVAILABLE");
    assert!(!problem.to_string().contains("127.0.0.1"));
    assert_eq!(server.get("/health").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_server_that_is_silent_is_504() {
    let (upstream, proxy, _) = crate::proxied().await;
    let gate = harness::Gate::default();
    proxy.rule(move |_| Fault::Held(gate.clone()));
    let settings = [
        ("MLFLOW_TRACKING_URI", proxy.url.as_str()),
        ("TRACE_SERVER_UPSTREAM_CALL_TIMEOUT", "300ms"),
    ];
    let server = TraceServer::with(&settings).await;
    let answer = server
        .get(&format!("/api/traces/{}", upstream.trace("rag")))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 504);
    assert!(answer.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn an_old_answer_stands_in_and_says_so() {
    let (upstream, proxy, _) = crate::proxied().await;
    let settings = [
        ("MLFLOW_TRACKING_URI", proxy.url.as_str()),
        ("TRACE_SERVER_CACHE_TTL", "1ms"),
        ("TRACE_SERVER_CACHE_SPANS_TTL", "1ms"),
        ("TRACE_SERVER_UPSTREAM_MAX_RETRIES", "0"),
    ];
    let server = TraceServer::with(&settings).await;
    let path = format!("/api/traces/{}", upstream.trace("rag"));
    let known = server.json(&path).await;
    proxy.rule(|_| Fault::Status(503, vec![], ""));
    let answer = server.get(&path).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["x-cache"]),
        (200, &"stale".parse().unwrap())
    );
    assert_eq!(
        serde_json::from_slice::<Value>(&answer.bytes().await.unwrap()).unwrap(),
        known
    );
    let asked_for_new = server
        .get(&path)
        .header("cache-control", "no-cache")
        .send()
        .await
        .unwrap();
    assert_eq!(
        asked_for_new.status(),
        503,
        "whoever asks past the cache is not given an old answer"
    );
}

#[tokio::test]
async fn only_idempotent_calls_are_tried_again_and_a_sick_server_is_not_flooded() {
    let (upstream, proxy, _) = crate::proxied().await;
    let settings = [
        ("MLFLOW_TRACKING_URI", proxy.url.as_str()),
        ("TRACE_SERVER_UPSTREAM_BREAKER_FAILURES", "0"),
    ];
    let server = TraceServer::with(&settings).await;
    let path = |index: usize| format!("/api/mlflow/experiments/{}", 100_000 + index);
    server
        .json(&format!(
            "/api/mlflow/experiments/{}",
            upstream.seed.experiment_id
        ))
        .await;
    let before = proxy.calls().len();
    proxy.rule(|_| Fault::Status(503, vec![], ""));
    let requests = 40;
    for index in 0..requests {
        assert_eq!(server.get(&path(index)).send().await.unwrap().status(), 503);
    }
    let calls = proxy.calls().len() - before;
    assert!(calls > requests, "some are tried again");
    assert!(calls < 2 * requests, "{calls} calls for {requests} requests");
}

#[tokio::test]
async fn a_lost_connection_is_tried_again_and_nobody_notices() {
    let (upstream, proxy, server) = crate::proxied().await;
    let failures = std::sync::atomic::AtomicUsize::new(0);
    proxy.rule(
        move |_| match failures.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Fault::Status(502, vec![], ""),
            _ => Fault::None,
        },
    );
    let answer = server
        .get(&format!("/api/mlflow/runs/{}", upstream.seed.run_id))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn spans_that_break_off_are_an_error_in_every_form_and_are_not_kept() {
    let (upstream, proxy, server) = crate::proxied().await;
    let path = format!("/api/traces/{}/spans", upstream.trace("big"));
    proxy.does_to("artifact", Fault::CutAfter(200_000));
    let lines = server.get(&path).send().await.unwrap().text().await.unwrap();
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "UPSTREAM_UNAVAILABLE", "{last}");
    assert!(lines.lines().count() > 5, "what came before the break is there");
    let events = server
        .get(&path)
        .header("accept", "text/event-stream")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(events.contains("event: error\n") && !events.contains("event: end\n"));
    let json = server
        .get(&path)
        .header("accept", "application/json")
        .send()
        .await
        .unwrap();
    assert!(
        json.bytes().await.is_err(),
        "a part must not be taken for the whole"
    );
    assert_eq!(
        server
            .get(&path.replace("/spans", ""))
            .send()
            .await
            .unwrap()
            .status(),
        503
    );
    proxy.rule(|_| Fault::None);
    let whole = server.get(&path).send().await.unwrap();
    assert_eq!(whole.headers()["x-cache"], "miss");
    assert_eq!(whole.text().await.unwrap().lines().count(), 120);
}
