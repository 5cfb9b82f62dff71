//! Requests that no client sends, byte by byte over a socket: each is refused or answered, and nothing hangs, leaks or
//! ends the server.

use std::time::Duration;

use harness::{TraceServer, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an answer may take before it counts as none.
const PATIENCE: Duration = Duration::from_secs(20);

const SEARCH: &str = "/api/mlflow/search-traces";

/// What came back until the server closed the connection.
struct Reply {
    text: String,
    status: u16,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next()?;
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// Sends these bytes, and reads until the server closes: every request here asks for that or cannot be read.
async fn send(server: &TraceServer, request: impl AsRef<[u8]>) -> Reply {
    let request = request.as_ref();
    let told = String::from_utf8_lossy(&request[..request.len().min(120)]).into_owned();
    let mut socket = connect(server).await;
    // It may well close before it has read all.
    let _ = socket.write_all(request).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer));
    assert!(read.await.is_ok(), "{told:?} is left waiting");
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text
        .get(9..12)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    Reply { text, status }
}

async fn connect(server: &TraceServer) -> TcpStream {
    let address = server.url.strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n")
}

/// The head of a POST of JSON with these headers, and what follows it.
fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn post_whole(path: &str, body: &str) -> Vec<u8> {
    post(
        path,
        &format!("content-length: {}\r\n", body.len()),
        body.as_bytes(),
    )
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_sent() {
    let (_, server) = crate::direct().await;
    let mut socket = connect(&server).await;
    let head = post(SEARCH, "content-length: 100000000\r\n", b"{");
    socket.write_all(&head).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer));
    read.await.expect("it does not wait for the body").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 413 "), "{answer:?}");

    // Who does not say how long it is, is read up to the limit.
    let mut socket = connect(&server).await;
    let head = post(SEARCH, "transfer-encoding: chunked\r\n", b"");
    socket.write_all(&head).await.unwrap();
    let (mut answers, mut sends) = socket.into_split();
    let sent = tokio::spawn(async move {
        let chunk = [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n".to_vec()].concat();
        let mut sent = 0_usize;
        while sent < 1 << 30 && sends.write_all(&chunk).await.is_ok() {
            sent += 0x10000;
        }
        sent
    });
    let mut answer = [0; 13];
    let read = tokio::time::timeout(PATIENCE, answers.read_exact(&mut answer));
    read.await.expect("it answers in the midst").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413 ");
    let sent = tokio::time::timeout(PATIENCE, sent)
        .await
        .expect("it closes")
        .unwrap();
    // What the kernel holds on both sides is some megabytes.
    assert!(sent < 64 << 20, "{sent} bytes of what is refused were taken");
}

#[tokio::test]
async fn a_compressed_body_is_not_inflated() {
    let (_, server) = crate::direct().await;
    for (encodings, body) in [
        ("content-encoding: gzip\r\n", &b"\x1f\x8b\x08"[..]),
        ("content-encoding: gzip\r\n", b"{}"),
        ("content-encoding: identity, br\r\n", b"{}"),
        ("content-encoding: identity\r\ncontent-encoding: zstd\r\n", b"{}"),
    ] {
        let headers = format!("{encodings}content-length: {}\r\n", body.len());
        let reply = send(&server, post(SEARCH, &headers, body)).await;
        assert_eq!(reply.status, 415, "{encodings}: {}", reply.text);
        assert!(reply.text.contains("Content-Encoding"), "{}", reply.text);
    }
    let plain = "content-encoding: Identity\r\ncontent-length: 18\r\n";
    let reply = send(&server, post(SEARCH, plain, b"{\"max_results\": 1}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
}

#[tokio::test]
async fn no_path_leads_out_of_the_static_folder() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("secret.txt", "the secret");
    write("site/index.html", "the page");
    write("site/assets/logo.svg", "<svg/>");
    let upstream = Upstream::v3();
    let site = folder.path().join("site");
    let server = TraceServer::with(&[
        ("MLFLOW_TRACKING_URI", upstream.url.as_str()),
        ("TRACE_SERVER_STATIC_DIR", site.to_str().unwrap()),
    ])
    .await;
    let absolute = format!("{}/secret.txt", folder.path().display());
    let mut paths = vec![
        absolute.clone(),
        format!("/{absolute}"),
        absolute.replace('/', "%2f"),
    ];
    for up in [
        "..",
        "%2e%2e",
        "%2E.",
        "%252e%252e",
        "..%00",
        "%00..",
        "..;",
        "%c0%ae%c0%ae",
        "%uff0e%uff0e",
        "..%5c..",
        "..\\..",
        "..\\",
    ] {
        for slash in ["/", "//", "%2f", "%252f", "\\", "%5c", "/./"] {
            for start in ["/", "/assets/", "/assets/../", "/docs/", "//", "/x/../"] {
                paths.push(format!("{start}{up}{slash}secret.txt"));
                paths.push(format!("{start}{up}{slash}{up}{slash}secret.txt"));
            }
        }
    }
    for tail in ["%00", "%00.svg", "/", "/.", "%20", "::$DATA"] {
        paths.push(format!("/../secret.txt{tail}"));
    }
    for path in paths {
        let reply = send(&server, get(&path, "")).await;
        assert!(matches!(reply.status, 200 | 400 | 404), "{path}: {}", reply.text);
        assert!(!reply.text.contains("the secret"), "{path}: {}", reply.text);
    }
}

#[tokio::test]
async fn nothing_that_is_echoed_starts_a_header() {
    let (_, server) = crate::direct().await;
    for brought in [
        "x-request-id: a\r\n set-cookie: b",
        "x-request-id: a\rset-cookie: b",
        "x-request-id: a\0",
        "origin: http://localhost:3000\rset-cookie: b",
        "access-control-request-headers: a\r\tset-cookie: b",
    ] {
        let reply = send(&server, get("/health", &format!("{brought}\r\n"))).await;
        assert_eq!(reply.status, 400, "{brought:?}: {}", reply.text);
    }
    for path in [
        "/docs%0d%0aset-cookie:%20b",
        "/api/label-schemas/%0d%0aset-cookie:%20b",
        "/api/mlflow/runs/%0aset-cookie:b/",
    ] {
        let reply = send(&server, get(path, "x-request-id: a%0d%0aset-cookie: b\r\n")).await;
        assert!((400..500).contains(&reply.status), "{path}: {}", reply.text);
        assert_eq!(reply.header("set-cookie"), None, "{path}");
        let id = reply.header("x-request-id").unwrap();
        assert_eq!(id.len(), 32, "{id} is made here");
    }
}

#[tokio::test]
async fn nothing_that_is_asked_forges_a_line_of_the_log() {
    for format in ["json", "pretty"] {
        let upstream = Upstream::v3();
        let settings = [
            ("MLFLOW_TRACKING_URI", upstream.url.as_str()),
            ("MLFLOW_EXPERIMENT_ID", &upstream.seed.experiment_id),
            ("TRACE_SERVER_TRUST_PROXY", "true"),
            ("DEVELOPERS", "dev@example.com"),
            ("TRACE_SERVER_LOG_FORMAT", format),
            ("TRACE_SERVER_LOG", "debug"),
        ];
        let server = TraceServer::with(&settings).await;
        let dev = "x-forwarded-email: dev@example.com\r\n";
        // A line's end, and what starts an escape sequence, in one byte and in two.
        let written = "%0aFORGED%1b[31m%c2%9b31m%e2%80%a8";
        let raw = "FORGED\u{9b}31m\u{2028}\u{85}";
        let escaped = r"\nFORGED\u001b[31m\u009b31m\u2028\u007f";
        let queries = [
            format!("/api/traces/{written}"),
            format!("/api/traces/{raw}"),
            format!("/{raw}?{raw}"),
            format!("/api/traces/x/spans?view={written}&page_token={written}"),
            format!("/api/labeling-sessions?page_token={written}"),
            format!("/api/labeling-sessions?filter={written}"),
        ];
        let mut requests: Vec<Vec<u8>> = Vec::new();
        for query in queries {
            requests.push(get(&query, dev).into_bytes());
            requests.push(get(&query, &format!("x-forwarded-email: {raw}\r\n")).into_bytes());
        }
        let id = format!("x-request-id: FORGED\u{9b}31m\r\nuser-agent: {raw}\r\n{dev}");
        requests.push(get("/health", &id).into_bytes());
        for body in ["filter", "page_token", "run_id", "max_results"] {
            let body = format!("{{\"{body}\": \"{escaped}\"}}");
            let headers = format!("content-length: {}\r\n{dev}", body.len());
            requests.push(post(SEARCH, &headers, body.as_bytes()));
        }
        let body = format!(r#"{{"experiment_ids": ["1"], "run_view_type": "{escaped}"}}"#);
        let headers = format!("content-length: {}\r\n{dev}", body.len());
        requests.push(post("/api/mlflow/runs/search", &headers, body.as_bytes()));
        let count = requests.len();
        for request in requests {
            let reply = send(&server, &request).await;
            assert!((200..500).contains(&reply.status), "{}", reply.text);
        }
        let log = server.log().await;
        let acts = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        for line in &log {
            assert!(!line.contains(acts), "{format}: {line:?}");
            assert!(!line.starts_with("FORGED"), "{format}: {line:?}");
        }
        let is_of_request =
            |line: &&String| line.contains(r#""target":"access""#) || line.contains("access: request");
        assert_eq!(
            log.iter().filter(is_of_request).count(),
            count,
            "{format}: {log:#?}"
        );
        let told = log.iter().filter(|line| line.contains("FORGED")).count();
        assert!(told >= 6, "{format}: {log:#?}");
    }
}

#[tokio::test]
async fn endless_heads_are_refused() {
    let (_, server) = crate::direct().await;
    let long = |length| format!("/{}", "a".repeat(length));
    let many = |count| (0..count).fold(String::new(), |head, nth| head + &format!("h{nth}: x\r\n"));
    for (request, status) in [
        (get(&long(60_000), ""), 404),
        (get(&long(70_000), ""), 414),
        (get(&format!("/health?{}", "a".repeat(70_000)), ""), 414),
        (get(&long(2_000_000), ""), 431),
        (get("/health", &many(90)), 200),
        (get("/health", &many(1000)), 431),
        (get("/health", &format!("h: {}\r\n", "x".repeat(1_000_000))), 431),
    ] {
        let told = format!("{} bytes", request.len());
        assert_eq!(send(&server, request).await.status, status, "{told}");
    }
    assert_eq!(send(&server, get("/health", "")).await.status, 200);
}

#[tokio::test]
async fn a_body_whose_end_is_in_doubt_is_refused() {
    let (_, server) = crate::direct().await;
    for headers in [
        "content-length: 2\r\ncontent-length: 3\r\n",
        "content-length: 2, 3\r\n",
        "content-length: +2\r\n",
        "content-length: -1\r\n",
        "content-length: 0x2\r\n",
        "content-length:\r\n",
        "content-length: 99999999999999999999\r\n",
        "content-length: 2\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "transfer-encoding: identity\r\ncontent-length: 2\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding : chunked\r\n",
        "transfer-encoding:\u{b}chunked\r\n",
    ] {
        let reply = send(&server, post(SEARCH, headers, b"{}")).await;
        assert_eq!(reply.status, 400, "{headers:?}: {}", reply.text);
    }
    for chunks in [
        "-2\r\n{}\r\n0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "2\n{}\n0\n\n",
        "FFFFFFFFFFFFFFFFF\r\n{}",
        "3\r\n{}\r\n0\r\n\r\n",
    ] {
        let request = post(SEARCH, "transfer-encoding: chunked\r\n", chunks.as_bytes());
        let reply = send(&server, request).await;
        assert_eq!(reply.status, 400, "{chunks:?}: {}", reply.text);
    }
    let extended = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(100_000));
    let trailed = format!("2\r\n{{}}\r\n0\r\n{}\r\n", "a: b\r\n".repeat(5000));
    for chunks in [extended, trailed] {
        let request = post(SEARCH, "transfer-encoding: chunked\r\n", chunks.as_bytes());
        assert_eq!(send(&server, request).await.status, 400);
    }
}

#[tokio::test]
async fn json_that_is_deep_huge_or_no_text_is_refused() {
    let (upstream, server) = crate::direct().await;
    let feedback = format!("/api/traces/{}/feedback", upstream.trace("rag"));
    let label = |value: &str| format!(r#"{{"assessment": {{"name": "n", "value": {value}}}}}"#);
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let deep = "[".repeat(200_000);
    for path in [SEARCH, "/api/traces/batch", "/api/review-apps", feedback.as_str()] {
        for body in [deep.clone(), "{\"a\":".repeat(100_000)] {
            let reply = send(&server, post_whole(path, &body)).await;
            assert!(matches!(reply.status, 400 | 422), "{path}: {}", reply.text);
        }
    }
    let agents = format!(r#"{{"experiment_id": "1", "agents": [{}]}}"#, nested(100_000));
    let unknown = format!(r#"{{"max_results": 0, "unknown": {}}}"#, nested(200_000));
    for (path, body) in [
        ("/api/review-apps", agents),
        (SEARCH, unknown),
        (feedback.as_str(), label(&nested(100_000))),
        (feedback.as_str(), label(&nested(200))),
        (feedback.as_str(), label("1e999")),
        (feedback.as_str(), label("-1e999")),
        (feedback.as_str(), label(&"1".repeat(5000))),
        (feedback.as_str(), label(r#""\ud800""#)),
        (SEARCH, r#"{"max_results": 1e400}"#.to_owned()),
        (SEARCH, format!(r#"{{"max_results": {}}}"#, "9".repeat(5000))),
        (SEARCH, r#"{"max_results": -1}"#.to_owned()),
        (SEARCH, r#"{"max_results": 4294967297}"#.to_owned()),
        (SEARCH, "\u{feff}{}".to_owned()),
        (SEARCH, r#"{"run_id": "a", "run_id": "b"}"#.to_owned()),
        (
            "/api/mlflow/runs/create",
            r#"{"experiment_id": "99999999999999999999"}"#.to_owned(),
        ),
        (
            "/api/mlflow/runs/create",
            r#"{"experiment_id": "1", "run_name": "a\u0000b"}"#.to_owned(),
        ),
        (
            "/api/mlflow/runs/create",
            r#"{"experiment_id": "1", "tags": {"a": "\u0000"}}"#.to_owned(),
        ),
        (
            "/api/mlflow/runs/update",
            r#"{"run_id": "a", "tags": [{"key": "\u0000", "value": "v"}]}"#.to_owned(),
        ),
    ] {
        let reply = send(&server, post_whole(path, &body)).await;
        let told = &body[..body.len().min(80)];
        assert!(matches!(reply.status, 400 | 422), "{path} {told}: {}", reply.text);
        assert!(
            reply.text.contains("VALIDATION_ERROR"),
            "{path} {told}: {}",
            reply.text
        );
    }
    assert_eq!(send(&server, get("/health", "")).await.status, 200);
}

#[tokio::test]
async fn what_is_not_utf_8_is_refused() {
    let upstream = Upstream::v3();
    let server = TraceServer::with(&[
        ("MLFLOW_TRACKING_URI", upstream.url.as_str()),
        ("TRACE_SERVER_TRUST_PROXY", "true"),
        ("DEVELOPERS", "dev@example.com"),
    ])
    .await;
    let asked = |line: &[u8], headers: &[u8], body: &[u8]| {
        let host = b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
        [line, host, headers, b"\r\n", body].concat()
    };
    let dev = b"x-forwarded-email: dev@example.com\r\n";
    let json =
        b"x-forwarded-email: dev@example.com\r\ncontent-type: application/json\r\ncontent-length: 14\r\n";
    for (request, status) in [
        (asked(b"GET /api/traces/\xff", dev, b""), 400),
        (asked(b"GET /api/traces/x/spans?view=\xff", dev, b""), 400),
        (asked(b"GET /api/traces/%ff", dev, b""), 400),
        (asked(b"GET /api/label-schemas/%ff", dev, b""), 405),
        (asked(b"DELETE /api/label-schemas/%ff", dev, b""), 400),
        (asked(b"GET /api/traces/x/spans?view=%ff", dev, b""), 422),
        (asked(b"GET /api/labeling-sessions?filter=%ff", dev, b""), 422),
        (
            asked(b"GET /api/user/me", b"x-forwarded-email: \xff@x\r\n", b""),
            401,
        ),
        (
            asked(
                b"GET /api/user/me",
                b"x-forwarded-email: a\r\nx-forwarded-email: dev@example.com\r\n",
                b"",
            ),
            401,
        ),
        (
            asked(
                b"DELETE /api/label-schemas/x",
                &[&dev[..], b"if-match: \"\xff\"\r\n"].concat(),
                b"",
            ),
            422,
        ),
        (asked(b"GET /health", b"x-request-id: \xff\r\n", b""), 200),
        (
            asked(b"POST /api/mlflow/search-traces", json, b"{\"filter\":\"\xff\"}"),
            400,
        ),
    ] {
        let told = String::from_utf8_lossy(&request).into_owned();
        let reply = send(&server, request).await;
        assert_eq!(reply.status, status, "{told}: {}", reply.text);
    }
}

#[tokio::test]
async fn other_versions_and_forms_of_http_are_answered_or_refused() {
    let (_, server) = crate::direct().await;
    for (request, status) in [
        (&b"GET /health HTTP/1.0\r\n\r\n"[..], 200),
        (
            b"POST /api/traces/batch HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            b"GET http://elsewhere.example/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            200,
        ),
        (
            b"GET http://elsewhere.example/api/config/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            200,
        ),
        (
            b"CONNECT elsewhere.example:443 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            404,
        ),
        (b"GET * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", 404),
        (
            b"TRACE /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            405,
        ),
        (
            b"FROB /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            405,
        ),
        (b"G\x1bT /health HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        (b"GET /health HTTP/2.5\r\nhost: x\r\n\r\n", 400),
        (b"GET /health\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ] {
        let told = String::from_utf8_lossy(request).into_owned();
        let reply = send(&server, request).await;
        assert_eq!(reply.status, status, "{told:?}: {}", reply.text);
    }
    // HTTP/2 is hung up on in its own words, which begin with its settings.
    let reply = send(
        &server,
        [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0xff; 4000]].concat(),
    )
    .await;
    assert_eq!(reply.status, 0, "{}", reply.text);
    assert_eq!(send(&server, get("/health", "")).await.status, 200);
}
