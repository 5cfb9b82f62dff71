//! MLflow is down, slow or silent: what is kept is served and says so, everything else is an honest error in time, and nothing
//! needs a restart afterwards.

use std::time::{Duration, Instant};

use harness::{Line, TraceServer, Upstream, Wire, wired};
use reqwest::Response;
use serde_json::Value;

use crate::{header, until};

/// What is kept is old at once, and one answer is waited for as long as another.
const OLD_AT_ONCE: [(&str, &str); 4] = [
    ("TRACE_SERVER_CACHE_TTL", "1ms"),
    ("TRACE_SERVER_CACHE_SEARCH_TTL", "1ms"),
    ("TRACE_SERVER_CACHE_SPANS_TTL", "1ms"),
    ("TRACE_SERVER_CACHE_STALE_PATIENCE", "5s"),
];

async fn get(server: &TraceServer, path: &str) -> Response {
    server.get(path).send().await.unwrap()
}

/// Everything that a reviewer's page asks for.
fn pages(upstream: &Upstream) -> Vec<String> {
    let trace = upstream.trace("rag");
    vec![
        format!("/api/traces/{trace}"),
        format!("/api/traces/{trace}/data"),
        format!("/api/traces/{trace}/spans"),
        format!("/api/traces/{trace}/spans?view=summary"),
        format!("/api/mlflow/runs/{}", upstream.seed.run_id),
        format!("/api/mlflow/experiments/{}", upstream.seed.experiment_id),
    ]
}

async fn bodies(server: &TraceServer, paths: &[String]) -> Vec<String> {
    let mut bodies = Vec::new();
    for path in paths {
        let answer = get(server, path).await;
        assert_eq!(answer.status(), 200, "{path}");
        bodies.push(answer.text().await.unwrap());
    }
    bodies
}

/// The answer is the one of before, and says so.
async fn is_stale(server: &TraceServer, path: &str, known: &str) {
    let answer = get(server, path).await;
    assert_eq!(
        (answer.status().as_u16(), header(&answer, "x-cache").as_str()),
        (200, "stale"),
        "{path}"
    );
    let warning = header(&answer, "warning");
    assert_eq!(warning, "110 - \"Response is Stale\"", "{path}");
    assert!(header(&answer, "age").parse::<u64>().is_ok(), "{path}");
    assert_eq!(answer.text().await.unwrap(), known, "{path}");
}

#[tokio::test]
async fn what_is_kept_is_served_while_mlflow_is_down_and_says_so() {
    let (upstream, wire, server) = wired(&OLD_AT_ONCE).await;
    let paths = pages(&upstream);
    let known = bodies(&server, &paths).await;
    wire.turn(Line::Refused).await;
    // More often than the breaker bears: it makes no difference.
    for _ in 0..3 {
        for (path, known) in paths.iter().zip(&known) {
            is_stale(&server, path, known).await;
        }
    }
    let unknown = get(&server, "/api/mlflow/runs/0123456789abcdef0123456789abcdef").await;
    assert_eq!(unknown.status(), 503);
    assert!(
        header(&unknown, "retry-after")
            .parse::<u64>()
            .is_ok_and(|seconds| seconds > 0)
    );
    wire.turn(Line::Good).await;
    until("it is read anew", || async {
        let answer = get(&server, &paths[0]).await;
        header(&answer, "x-cache") == "miss" && header(&answer, "warning").is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_silent_mlflow_is_not_waited_for_where_something_is_kept() {
    // Nothing but its patience ends the waiting in time.
    let endless = [
        ("TRACE_SERVER_UPSTREAM_READ_TIMEOUT", "10m"),
        ("TRACE_SERVER_UPSTREAM_CALL_TIMEOUT", "10m"),
        ("TRACE_SERVER_REQUEST_TIMEOUT", "20s"),
    ];
    let (upstream, wire, server) = wired(&[&OLD_AT_ONCE[..], &endless].concat()).await;
    let paths = pages(&upstream);
    let known = bodies(&server, &paths).await;
    wire.turn(Line::Silent).await;
    for (path, known) in paths.iter().zip(&known) {
        is_stale(&server, path, known).await;
    }
    // What was begun for those who have their answer already goes on, and is what the next ones get.
    wire.turn(Line::Good).await;
    for path in &paths {
        until("it is read anew", || async {
            header(&get(&server, path).await, "x-cache") != "stale"
        })
        .await;
    }
}

#[tokio::test]
async fn who_wrote_is_never_shown_what_was_before() {
    let (upstream, wire, server) = wired(&OLD_AT_ONCE).await;
    let trace = upstream.trace("assessments");
    let path = format!("/api/traces/{trace}");
    server.json(&path).await;
    let body = serde_json::json!({"assessment": {"name": "trust_before", "value": true}});
    let id = server.post_json(&format!("{path}/feedback"), &body).await["assessment_id"].clone();
    wire.turn(Line::Refused).await;
    let answer = get(&server, &path).await;
    assert_eq!(answer.status(), 503, "the old answer is without what was written");
    wire.turn(Line::Good).await;
    until("it can be read again", || async {
        get(&server, &path).await.status() == 200
    })
    .await;
    let shown = server.json(&path).await.to_string();
    assert!(shown.contains(id.as_str().unwrap()));
}

async fn breaker(server: &TraceServer) -> String {
    let ready = server.json("/health/ready").await;
    assert_eq!(ready["upstream"][0]["name"], "mlflow");
    let state = ready["upstream"][0]["breaker"].as_str().unwrap();
    assert_eq!(ready["status"] == "ready", state == "closed", "{ready}");
    state.to_owned()
}

#[tokio::test]
async fn a_breaker_opens_is_seen_to_be_open_and_closes_by_itself() {
    let settings = [
        ("TRACE_SERVER_UPSTREAM_BREAKER_FAILURES", "3"),
        ("TRACE_SERVER_UPSTREAM_BREAKER_PAUSE", "300ms"),
    ];
    let (upstream, wire, server) = wired(&settings).await;
    let run = |number: usize| format!("/api/mlflow/runs/{number:032x}");
    assert_eq!(breaker(&server).await, "closed");
    wire.turn(Line::Reset).await;
    for number in 0..3 {
        assert_eq!(get(&server, &run(number)).await.status(), 503);
    }
    assert_ne!(breaker(&server).await, "closed");
    assert!(
        server
            .metrics()
            .await
            .count("trace_server_upstream_breaker_state{upstream=\"mlflow\"}")
            > 0
    );
    let opened = wire.traffic().opened;
    for number in 0..50 {
        let answer = get(&server, &run(number)).await;
        assert_eq!(answer.status(), 503);
        assert!(
            header(&answer, "retry-after")
                .parse::<u64>()
                .is_ok_and(|seconds| seconds > 0)
        );
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["error"]["code"], "UPSTREAM_UNAVAILABLE");
    }
    let made = wire.traffic().opened - opened;
    assert!(made < 10, "{made} connections for 50 requests");
    assert!(
        server
            .metrics()
            .await
            .count("trace_server_upstream_breaker_refused_total{upstream=\"mlflow\"}")
            >= 40
    );
    wire.turn(Line::Good).await;
    let known = format!("/api/mlflow/runs/{}", upstream.seed.run_id);
    until("it answers again", || async {
        get(&server, &known).await.status() == 200
    })
    .await;
    assert_eq!(breaker(&server).await, "closed");
    assert_eq!(
        server
            .metrics()
            .await
            .count("trace_server_upstream_breaker_opened_total{upstream=\"mlflow\"}"),
        1
    );
}

#[tokio::test]
async fn what_mlflow_says_no_to_opens_no_breaker() {
    let (_, _, server) = wired(&[("TRACE_SERVER_UPSTREAM_BREAKER_FAILURES", "2")]).await;
    for number in 0..6 {
        let path = format!("/api/mlflow/runs/{number:032x}");
        assert_eq!(get(&server, &path).await.status(), 404);
    }
    assert_eq!(breaker(&server).await, "closed");
}

#[tokio::test]
async fn an_answer_begins_in_time_and_takes_what_was_done_for_it_upstream_with_it() {
    let (upstream, wire, server) = wired(&[("TRACE_SERVER_REQUEST_TIMEOUT", "700ms")]).await;
    // What the server learns of MLflow at first is not what is looked at here.
    server
        .json(&format!("/api/mlflow/runs/{}", upstream.seed.run_id))
        .await;
    wire.turn(Line::Silent).await;
    let trace = upstream.trace("rag");
    for path in [
        format!("/api/traces/{trace}"),
        format!("/api/traces/{trace}/spans"),
    ] {
        let begun = Instant::now();
        let answer = get(&server, &path).await;
        assert_eq!(answer.status(), 504, "{path}");
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "not the 30 s of MLflow's own time: {path}"
        );
        assert!(!header(&answer, "retry-after").is_empty());
        wire.until_idle().await;
    }
}

#[tokio::test]
async fn who_leaves_stops_the_call_upstream() {
    let (upstream, wire, server) = wired(&[]).await;
    server
        .json(&format!("/api/mlflow/runs/{}", upstream.seed.run_id))
        .await;
    wire.turn(Line::Silent).await;
    let before = wire.traffic().opened;
    let asking = server
        .get(&format!("/api/traces/{}", upstream.trace("rag")))
        .send();
    tokio::select! {
        answer = asking => panic!("a silent MLflow was answered for: {answer:?}"),
        () = wire.until_opened(before + 1) => {}
    }
    wire.until_idle().await;
}

/// A database is left alone as a server is.
#[tokio::test]
async fn a_postgres_that_is_gone_is_left_alone_and_found_again() {
    let upstream = Upstream::postgres();
    let url = url::Url::parse(&upstream.store).unwrap();
    let (host, port) = (url.host_str().unwrap(), url.port().unwrap_or(5432));
    let wire = Wire::before(&format!("http://{host}:{port}")).await;
    let mut through = url.clone();
    let port = wire.url.rsplit(':').next().unwrap().parse().unwrap();
    through.set_host(Some("127.0.0.1")).unwrap();
    through.set_port(Some(port)).unwrap();
    let settings = [
        ("MLFLOW_TRACKING_URI", through.as_str()),
        ("MLFLOW_EXPERIMENT_ID", upstream.seed.experiment_id.as_str()),
        ("TRACE_SERVER_UPSTREAM_BREAKER_FAILURES", "1"),
        ("TRACE_SERVER_UPSTREAM_BREAKER_PAUSE", "300ms"),
    ];
    let server = TraceServer::with(&settings).await;
    let path = format!("/api/mlflow/experiments/{}", upstream.seed.experiment_id);
    server.json(&path).await;
    wire.turn(Line::Refused).await;
    let fresh = |server: &TraceServer| server.get(&path).header("cache-control", "no-cache").send();
    until("the breaker opens", || async {
        assert_eq!(fresh(&server).await.unwrap().status(), 503);
        server.json("/health/ready").await["upstream"][0]["breaker"] == "open"
    })
    .await;
    wire.turn(Line::Good).await;
    until("it answers again", || async {
        fresh(&server).await.unwrap().status() == 200
    })
    .await;
    let ready = server.json("/health/ready").await;
    assert_eq!(
        (&ready["status"], &ready["upstream"][0]["name"]),
        (&"ready".into(), &"mlflow_database".into())
    );
}
