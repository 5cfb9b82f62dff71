//! What every response has: ids, timing, CORS, compression, one log line.

use reqwest::Method;
use reqwest::header::ACCEPT_ENCODING;
use serde_json::Value;

#[tokio::test]
async fn every_response_has_an_id_and_a_time_and_one_log_line() {
    let (upstream, server) = crate::direct().await;
    let brought = server
        .get("/health")
        .header("x-request-id", "mine-1")
        .send()
        .await
        .unwrap();
    assert_eq!(brought.headers()["x-request-id"], "mine-1");
    assert!(
        brought.headers()["server-timing"]
            .to_str()
            .unwrap()
            .starts_with("total;dur=")
    );
    let path = format!("/api/traces/{}", upstream.trace("rag"));
    let made = server
        .get(&format!("{path}?token=query-secret"))
        .header("x-request-id", "bad id")
        .send()
        .await
        .unwrap();
    let id = made.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(id.len(), 32);
    let bytes = made.bytes().await.unwrap().len();
    let lines: Vec<Value> = server
        .log()
        .await
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of_request: Vec<_> = lines
        .iter()
        .filter(|line| line["request_id"] == id.as_str())
        .collect();
    let [line] = of_request[..] else {
        panic!("not one line: {of_request:?}")
    };
    assert_eq!(
        (&line["method"], &line["path"], &line["status"]),
        (&"GET".into(), &path.as_str().into(), &200.into())
    );
    assert_eq!(
        (&line["bytes"], &line["cache"], &line["whole"]),
        (&bytes.into(), &"miss".into(), &true.into())
    );
    assert!(line["duration_ms"].as_f64().unwrap() >= line["first_byte_ms"].as_f64().unwrap());
    assert!(!lines.iter().any(|line| line.to_string().contains("query-secret")));
}

#[tokio::test]
async fn large_answers_are_compressed_as_asked_and_small_ones_never() {
    let (upstream, server) = crate::direct().await;
    let path = format!("/api/traces/{}", upstream.trace("big"));
    let plain = server.get(&path).send().await.unwrap();
    assert!(plain.headers().get("content-encoding").is_none());
    let length: usize = plain.headers()["content-length"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(plain.bytes().await.unwrap().len(), length);
    for encoding in ["gzip", "br", "zstd"] {
        let answer = server
            .get(&path)
            .header(ACCEPT_ENCODING, encoding)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.headers()["content-encoding"], encoding);
        assert!(
            answer
                .headers()
                .get_all("vary")
                .iter()
                .any(|vary| vary.to_str().unwrap().contains("accept-encoding"))
        );
        assert!(answer.bytes().await.unwrap().len() < length / 2, "{encoding}");
    }
    let small = server
        .get("/health")
        .header(ACCEPT_ENCODING, "gzip")
        .send()
        .await
        .unwrap();
    assert!(small.headers().get("content-encoding").is_none());
    let lines = server
        .get(&format!("{path}/spans"))
        .header(ACCEPT_ENCODING, "gzip")
        .send()
        .await
        .unwrap();
    assert!(
        lines.headers().get("content-encoding").is_none(),
        "lines leave as they come"
    );
}

#[tokio::test]
async fn what_is_asked_for_again_leaves_as_it_is_kept_encoded() {
    let (upstream, server) = crate::direct().await;
    let path = format!("/api/traces/{}", upstream.trace("big"));
    let ask = async |encoding: &str| {
        let answer = server.get(&path).header(ACCEPT_ENCODING, encoding).send().await;
        let answer = answer.unwrap();
        let header = |name| {
            answer
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let told = ["x-cache", "content-encoding", "vary", "etag", "content-length"].map(header);
        (told, answer.bytes().await.unwrap())
    };
    let ([_, _, _, plain_etag, _], plain) = ask("identity").await;
    for encoding in ["gzip", "br", "zstd"] {
        let ([cache, coding, vary, etag, length], text) = ask(encoding).await;
        assert_eq!(
            (cache.as_deref(), coding.as_deref()),
            (Some("hit"), Some(encoding))
        );
        assert_eq!(vary.as_deref(), Some("accept-encoding"));
        assert_eq!(etag, plain_etag, "of the content, whatever its coding");
        // Only what is encoded before it is sent has a length.
        assert_eq!(length, Some(text.len().to_string()), "{encoding}");
        assert!(text.len() < plain.len() / 2, "{encoding}");
        assert_eq!(ask(encoding).await.1, text, "{encoding}");
    }
    let ([_, coding, _, _, _], text) = ask("gzip;q=0.5, identity").await;
    assert_eq!((coding, text), (None, plain));
}

#[tokio::test]
async fn head_says_what_get_comes_with() {
    let (upstream, server) = crate::direct().await;
    let path = format!("/api/traces/{}", upstream.trace("rag"));
    // Past the cache it is encoded while it is sent, from the cache it is kept encoded.
    for freshness in ["no-cache", "max-age=0", "max-age=0"] {
        for encoding in ["identity", "gzip"] {
            let told = async |method| {
                let request = server.request(method, &path).header(ACCEPT_ENCODING, encoding);
                let answer = request.header("cache-control", freshness).send().await.unwrap();
                let headers = answer.headers().clone();
                let header = |name| headers.get(name).cloned();
                let told = ["content-encoding", "content-length", "content-type", "etag"].map(header);
                (told, answer.bytes().await.unwrap())
            };
            let (of_get, body) = told(Method::GET).await;
            let (of_head, nothing) = told(Method::HEAD).await;
            assert_eq!(of_head[0], of_get[0], "{freshness}, {encoding}");
            assert_eq!(of_head[2..], of_get[2..], "{freshness}, {encoding}");
            assert!(nothing.is_empty() && !body.is_empty());
            if let Some(length) = &of_head[1] {
                assert_eq!(length, body.len().to_string().as_str(), "{freshness}, {encoding}");
            }
        }
    }
}

#[tokio::test]
async fn pages_of_known_origins_may_call_and_others_may_not() {
    let (_, server) = crate::direct().await;
    let preflight = async |origin| {
        server
            .preflight("/api/mlflow/search-traces", origin)
            .send()
            .await
            .unwrap()
    };
    for origin in [
        "http://localhost:3000",
        "http://localhost:5173",
        "http://127.0.0.1:5174",
    ] {
        let answer = preflight(origin).await;
        assert_eq!(answer.headers()["access-control-allow-origin"], origin);
        assert_eq!(answer.headers()["access-control-allow-headers"], "content-type");
        assert!(
            answer.headers().contains_key("x-request-id"),
            "seen like any other"
        );
    }
    assert!(
        preflight("http://evil.example")
            .await
            .headers()
            .get("access-control-allow-origin")
            .is_none()
    );
    let failing = server
        .get("/api/nope")
        .header("origin", "http://localhost:3000")
        .send()
        .await
        .unwrap();
    assert_eq!(
        failing.headers()["access-control-allow-origin"],
        "http://localhost:3000",
        "errors can be read too"
    );
}

#[tokio::test]
async fn http_2_without_tls_is_spoken() {
    let (_, server) = crate::direct().await;
    let http2 = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let answer = http2.get(format!("{}/health", server.url)).send().await.unwrap();
    assert_eq!(
        (answer.version(), answer.status().as_u16()),
        (reqwest::Version::HTTP_2, 200)
    );
}
