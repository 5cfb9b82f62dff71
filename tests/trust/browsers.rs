//! What a page of another site can do through a user's browser: nothing.

use harness::{TraceServer, Upstream};
use reqwest::Method;
use serde_json::json;

use crate::header;

async fn server() -> (Upstream, TraceServer) {
    let upstream = Upstream::v3();
    let server = TraceServer::on(&upstream.url, &upstream.seed.experiment_id).await;
    (upstream, server)
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let (upstream, server) = server().await;
    let trace = upstream.trace("assessments");
    let labels = format!("/api/traces/{trace}/feedback");
    let body = json!({"assessment": {"name": "trust_csrf", "value": "yes"}});
    let forged = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ];
    for (name, value) in forged {
        for (method, path) in [
            (Method::POST, labels.as_str()),
            (Method::PATCH, labels.as_str()),
            (Method::POST, "/api/labeling-sessions"),
            (Method::DELETE, "/api/label-schemas/correct"),
        ] {
            let request = server
                .request(method.clone(), path)
                .header(name, value)
                .json(&body);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 403, "{name}: {value}, {method} {path}");
            assert!(answer.text().await.unwrap().contains("TRACE_SERVER_CORS_ORIGINS"));
        }
    }
    // A form can be sent from anywhere without asking; it cannot be JSON.
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        let sent = server
            .post_text(&labels, content_type, body.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(sent.status(), 415, "{content_type}");
    }
    assert!(
        !server
            .json(&format!("/api/traces/{trace}"))
            .await
            .to_string()
            .contains("trust_csrf")
    );
}

#[tokio::test]
async fn our_own_pages_and_allowed_ones_go_on_working() {
    let (_, server) = server().await;
    let host = server.url.trim_start_matches("http://").to_owned();
    let own = format!("http://{host}");
    for headers in [
        vec![("sec-fetch-site", "same-origin"), ("origin", own.as_str())],
        vec![("origin", own.as_str())],
        vec![
            ("sec-fetch-site", "cross-site"),
            ("origin", "http://localhost:5173"),
        ],
        vec![],
    ] {
        let mut request = server.post("/api/traces/batch", &json!({"trace_ids": ["tr-unknown"]}));
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        assert_eq!(request.send().await.unwrap().status(), 200, "{headers:?}");
    }
    let read = server.get("/api/config").header("sec-fetch-site", "cross-site");
    let read = read
        .header("origin", "https://evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(
        header(&read, "access-control-allow-origin"),
        "",
        "a browser does not show it to that page"
    );
}

#[tokio::test]
async fn every_answer_says_what_a_browser_must_not_do_with_it() {
    let upstream = Upstream::v3();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("index.html"),
        "<!doctype html><title>reviews</title>",
    )
    .unwrap();
    let settings = [
        ("MLFLOW_TRACKING_URI", upstream.url.as_str()),
        ("TRACE_SERVER_STATIC_DIR", folder.path().to_str().unwrap()),
    ];
    let server = TraceServer::with(&settings).await;
    let data = "default-src 'none'; frame-ancestors 'none'";
    for (path, is_page) in [
        ("/health", false),
        ("/api/config", false),
        ("/api/no-such-route", false),
        ("/openapi.json", false),
        ("/api/traces/tr-unknown", false),
        ("/", true),
        ("/some/page/of/the/frontend", true),
        ("/docs/", true),
    ] {
        let answer = server.get(path).send().await.unwrap();
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&answer, "referrer-policy"), "same-origin", "{path}");
        let policy = header(&answer, "content-security-policy");
        assert_eq!(policy == data, !is_page, "{path}: {policy}");
        assert!(
            policy.contains("frame-ancestors") && !policy.contains("unsafe-eval"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("script-src 'unsafe-inline'"), "{path}");
    }
    // The documentation's page needs no script that stands in it.
    let page = reqwest::Client::builder().gzip(true).no_proxy().build().unwrap();
    let page = page.get(format!("{}/docs/", server.url)).send().await.unwrap();
    let html = page.text().await.unwrap();
    let scripts: Vec<_> = html.split("<script").skip(1).collect();
    assert!(
        !scripts.is_empty() && scripts.iter().all(|script| script.contains("src=")),
        "{html}"
    );
}
