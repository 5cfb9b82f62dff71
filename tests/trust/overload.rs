//! More work than the server can do, readers that do not read and clients that do not ask: what is too much is turned away at
//! once, and whether it lives is answered whatever else is done.

use std::time::Duration;

use bytes::Bytes;
use harness::{Fault, Gate, Proxy, TraceServer, Upstream};
use http::Version;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{header, until};

async fn held(settings: &[(&str, &str)]) -> (Upstream, Gate, TraceServer) {
    let upstream = Upstream::v3();
    let (proxy, gate) = (Proxy::before(&upstream.url).await, Gate::default());
    let own = [
        ("MLFLOW_TRACKING_URI", proxy.url.as_str()),
        ("MLFLOW_EXPERIMENT_ID", upstream.seed.experiment_id.as_str()),
    ];
    let server = TraceServer::with(&[&own, settings].concat()).await;
    server
        .json(&format!(
            "/api/mlflow/experiments/{}",
            upstream.seed.experiment_id
        ))
        .await;
    let held = gate.clone();
    proxy.rule(move |_| Fault::Held(held.clone()));
    (upstream, gate, server)
}

async fn connected(server: &TraceServer, asked: &str) -> TcpStream {
    let address = server.url.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(asked.as_bytes()).await.unwrap();
    socket
}

/// All that comes until the server closes the connection.
async fn rest(mut socket: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let reading = async {
        let _ = socket.read_to_end(&mut bytes).await;
    };
    tokio::time::timeout(Duration::from_secs(30), reading)
        .await
        .expect("the server closes it");
    bytes
}

#[tokio::test]
async fn more_than_can_be_done_is_turned_away_at_once_and_health_is_answered() {
    let settings = [
        ("TRACE_SERVER_MAX_REQUESTS", "2"),
        ("TRACE_SERVER_MAX_WAITING", "1"),
    ];
    let (upstream, gate, server) = held(&settings).await;
    let asking = |index: usize| {
        server
            .get(&format!("/api/traces/{}", upstream.seed.trace_ids[index]))
            .send()
    };
    let stage = |stage: &'static str, server: &TraceServer| {
        let name = format!("trace_server_requests{{stage=\"{stage}\"}}");
        let server = server.get("/metrics");
        async move {
            let text = server.send().await.unwrap().text().await.unwrap();
            text.lines()
                .find_map(|line| line.strip_prefix(&name)?.trim().parse::<u64>().ok())
                .unwrap()
        }
    };
    let three = futures::future::join3(asking(0), asking(1), asking(2));
    let meanwhile = async {
        until("two are worked on and one waits", || async {
            (stage("working", &server).await, stage("waiting", &server).await) == (2, 1)
        })
        .await;
        let turned_away = asking(3).await.unwrap();
        assert_eq!(
            (
                turned_away.status().as_u16(),
                header(&turned_away, "retry-after").as_str()
            ),
            (503, "1")
        );
        for path in ["/health", "/health/ready", "/metrics"] {
            assert_eq!(server.get(path).send().await.unwrap().status(), 200, "{path}");
        }
        gate.open();
    };
    let ((first, second, third), ()) = tokio::join!(three, meanwhile);
    assert!(
        [first, second, third]
            .into_iter()
            .all(|answer| answer.unwrap().status() == 200)
    );
    assert_eq!(
        server
            .metrics()
            .await
            .count("trace_server_turned_away_total{what=\"request\"}"),
        1
    );
    assert_eq!(asking(3).await.unwrap().status(), 200);
}

#[tokio::test]
async fn connections_that_never_ask_leave_room_to_say_that_it_lives() {
    let settings = [("TRACE_SERVER_MAX_CONNECTIONS", "8")];
    let upstream = Upstream::v3();
    let server =
        TraceServer::with(&[&[("MLFLOW_TRACKING_URI", upstream.url.as_str())], &settings[..]].concat()).await;
    let mut idle = Vec::new();
    for _ in 0..8 {
        idle.push(connected(&server, "GET /api/config HTTP/1.1\r\nhost: x\r\nx-slow: ").await);
    }
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    let health = rest(connected(&server, &ask("/health")).await).await;
    assert!(health.starts_with(b"HTTP/1.1 200 ") && health.ends_with(b"{\"status\":\"healthy\"}"));
    let other = rest(connected(&server, &ask("/api/config")).await).await;
    assert!(
        other.starts_with(b"HTTP/1.1 503 "),
        "{}",
        String::from_utf8_lossy(&other)
    );
    assert!(String::from_utf8_lossy(&other).contains("retry-after: 1"));
    // One that does not ask in the anteroom either is not heard for long.
    assert_eq!(rest(connected(&server, "GET /he").await).await, b"");
    drop(idle);
    until("there is room again", || async {
        let answer = server
            .get("/api/config")
            .header("connection", "close")
            .send()
            .await;
        answer.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
}

/// A server that sends one large answer at a time, the path of one, and its bytes.
async fn with_one_place() -> (TraceServer, String, Bytes) {
    let upstream = Upstream::v3();
    let server = TraceServer::with(&[
        ("MLFLOW_TRACKING_URI", &upstream.url),
        ("TRACE_SERVER_STREAM_PATIENCE", "1s"),
        ("TRACE_SERVER_MAX_LARGE_ANSWERS", "1"),
    ])
    .await;
    // Kept, and far more than the system's buffers take.
    let path = format!("/api/traces/{}", upstream.big_trace(7));
    let whole = server.get(&path).send().await.unwrap().bytes().await.unwrap();
    (server, path, whole)
}

#[tokio::test]
async fn a_stream_that_is_not_read_holds_nothing_though_its_connection_is_well() {
    let (server, path, whole) = with_one_place().await;
    // Answers pings, and lets a stream send no more than it has to.
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .http2_initial_stream_window_size(65_535)
        .no_proxy()
        .build()
        .unwrap();
    let ask = |path: &str| client.get(format!("{}{path}", server.url)).send();
    let stuck = ask(&path).await.unwrap();
    assert_eq!(
        (stuck.status(), stuck.version()),
        (200.try_into().unwrap(), Version::HTTP_2)
    );
    // Once the place is free again.
    let next = ask(&path).await.unwrap();
    assert_eq!(next.status(), 200);
    assert_eq!(next.bytes().await.unwrap(), whole);
    assert_eq!(ask("/health").await.unwrap().status(), 200);
    let metrics = server.metrics().await;
    assert_eq!(
        metrics.count("trace_server_requests{stage=\"sending_large_answer\"}"),
        0
    );
    assert!(stuck.bytes().await.is_err(), "a part is not taken for the whole");
    server
        .until_counted("trace_server_answers_broken_off_total{why=\"left\"}", 1)
        .await;
}

#[tokio::test]
async fn a_reader_that_reads_nothing_is_cut_off_and_holds_nothing() {
    let (server, path, whole) = with_one_place().await;
    let mut stuck = connected(&server, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    stuck.read_exact(&mut [0; 12]).await.unwrap();
    assert_eq!(
        server
            .metrics()
            .await
            .count("trace_server_requests{stage=\"sending_large_answer\"}"),
        1
    );
    // There is one place for large answers: the next one comes when the one who holds it is cut off.
    let next = server.get(&path).send().await.unwrap();
    assert_eq!(next.status(), 200);
    assert_eq!(next.bytes().await.unwrap(), whole);
    assert!(rest(stuck).await.len() < whole.len());
    assert_eq!(
        server
            .metrics()
            .await
            .count("trace_server_requests{stage=\"sending_large_answer\"}"),
        0
    );
}

#[tokio::test]
async fn readers_that_do_not_read_leave_connections_to_mlflow_to_others() {
    let upstream = Upstream::v3();
    let settings = [
        ("MLFLOW_TRACKING_URI", upstream.url.as_str()),
        ("TRACE_SERVER_MAX_FLOWS", "2"),
        ("TRACE_SERVER_UPSTREAM_MAX_CONNECTIONS", "3"),
        ("TRACE_SERVER_STREAM_PATIENCE", "10m"),
    ];
    let server = TraceServer::with(&settings).await;
    // Too large to be kept: it is sent while it arrives.
    let path = format!("/api/traces/{}/spans", upstream.big_trace(24));
    let mut stuck = Vec::new();
    for _ in 0..2 {
        let mut socket = connected(&server, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        socket.read_exact(&mut [0; 12]).await.unwrap();
        stuck.push(socket);
    }
    assert_eq!(server.metrics().await.count("trace_server_span_flows"), 2);
    let one_more = server.get(&path).send().await.unwrap();
    assert_eq!(
        (
            one_more.status().as_u16(),
            header(&one_more, "retry-after").as_str()
        ),
        (503, "2")
    );
    server
        .json(&format!("/api/traces/{}", upstream.trace("rag")))
        .await;
    drop(stuck);
    until("the streams are over", || async {
        server.metrics().await.count("trace_server_span_flows") == 0
    })
    .await;
}

#[tokio::test]
async fn a_body_that_never_comes_is_given_up_with_its_request() {
    let upstream = Upstream::v3();
    let settings = [
        ("MLFLOW_TRACKING_URI", upstream.url.as_str()),
        ("TRACE_SERVER_REQUEST_TIMEOUT", "500ms"),
    ];
    let server = TraceServer::with(&settings).await;
    let head = "POST /api/traces/batch HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{";
    let mut socket = connected(&server, head).await;
    let mut status = [0; 12];
    socket.read_exact(&mut status).await.unwrap();
    assert!(matches!(&status, b"HTTP/1.1 504" | b"HTTP/1.1 408"), "{status:?}");
    assert_eq!(
        server
            .metrics()
            .await
            .count("trace_server_requests{stage=\"working\"}"),
        0
    );
}
