//! The built frontend beside the API.

use harness::{TraceServer, Upstream};

#[tokio::test]
async fn pages_assets_and_the_api_do_not_get_in_each_others_way() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("index.html", "<!doctype html><title>review</title>");
    write("assets/index-Ab12Cd34.js", "console.log('review')");
    write("favicon.svg", "<svg/>");
    write("assets/logo.svg", "<svg/>");
    let upstream = Upstream::v3();
    let settings = [
        ("MLFLOW_TRACKING_URI", upstream.url.as_str()),
        ("TRACE_SERVER_STATIC_DIR", folder.path().to_str().unwrap()),
    ];
    let server = TraceServer::with(&settings).await;
    for (path, status, content_type, caching) in [
        ("/", 200, "text/html", "no-cache"),
        ("/index.html", 200, "text/html", "no-cache"),
        ("/sessions/4711/label", 200, "text/html", "no-cache"),
        ("/favicon.svg", 200, "image/svg+xml", "no-cache"),
        (
            "/assets/index-Ab12Cd34.js",
            200,
            "text/javascript",
            "public, max-age=31536000, immutable",
        ),
        (
            "/assets/index-gone.js",
            404,
            "application/problem+json",
            "no-store",
        ),
        ("/api/nope", 404, "application/problem+json", "no-store"),
        ("/api", 404, "application/problem+json", "no-store"),
        ("/docs/nope", 404, "application/problem+json", "no-store"),
        ("/health/nope", 404, "application/problem+json", "no-store"),
        ("/..%2f..%2fetc/passwd", 200, "text/html", "no-cache"),
    ] {
        let answer = server.get(path).send().await.unwrap();
        let header = |name: &str| {
            answer
                .headers()
                .get(name)
                .map_or("", |value| value.to_str().unwrap())
                .to_owned()
        };
        assert_eq!(answer.status().as_u16(), status, "{path}");
        assert!(
            header("content-type").starts_with(content_type),
            "{path}: {}",
            header("content-type")
        );
        assert_eq!(header("cache-control"), caching, "{path}");
        assert!(!answer.text().await.unwrap().contains("root:"), "{path}");
    }
    // All were read to their end, and count so.
    server
        .until_counted(
            r#"trace_server_request_seconds_count{route="other",status="200"}"#,
            6,
        )
        .await;
    let metrics = server.metrics().await;
    assert!(!metrics.text.contains("broken_off_total{"), "{}", metrics.text);
    let modified = server.get("/").send().await.unwrap().headers()["last-modified"].clone();
    let again = server
        .get("/")
        .header("if-modified-since", modified)
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), 304);
    let written = server
        .post("/sessions", &serde_json::json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(written.status(), 405);
}
