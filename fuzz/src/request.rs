//! Whole requests to the whole server, on the demo's data: `METHOD /path` on the first line, the body on the others.
//!
//! `{trace}`, `{session}` and `{item}` stand for ids that there are.

use std::sync::{LazyLock, Mutex, PoisonError};

use api::config::Cli;
use api::demo::Stage;
use api::upstream::Upstream;
use api::wiring;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Collected};
use service::{ItemFilter, PageRequest};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

use crate::is_json;

/// After so many requests the demo is made anew, so that what they wrote does not heap up.
const REQUESTS: usize = 2000;

struct Server {
    runtime: Runtime,
    router: Router,
    /// What stands in requests, and for what.
    ids: [(&'static str, String); 3],
    _stage: Stage,
    requests: usize,
}

/// Whatever is asked, the server does not fail; and what it refuses it refuses with a problem that says so.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    if server.as_ref().is_none_or(|server| server.requests == REQUESTS) {
        *server = None;
        *server = Server::start();
    }
    assert!(server.is_some(), "no demo");
    let Some(server) = server.as_mut() else {
        return;
    };
    let text = server
        .ids
        .iter()
        .fold(text.to_owned(), |text, (name, id)| text.replace(name, id));
    let Some(request) = request(&text) else {
        return;
    };
    server.requests += 1;
    let is_head = request.method() == http::Method::HEAD;
    let (status, content_type, body) = server.answer(request);
    assert!(!status.is_server_error(), "{status}: {body:?}");
    assert!(
        is_head || !content_type.contains("json") || is_json_lines(&content_type, &body),
        "{body:?}"
    );
    if status.is_client_error() && !is_head {
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        assert_eq!(problem["status"], status.as_u16(), "{body:?}");
        let details = &problem["error"]["details"];
        let names_field = details["field"].is_string() && details["rule"].is_string();
        assert!(
            status != StatusCode::UNPROCESSABLE_ENTITY || names_field,
            "{body:?}"
        );
    }
}

fn request(text: &str) -> Option<Request<Body>> {
    let (first, body) = text.split_once('\n').unwrap_or((text, ""));
    let (method, path) = first.split_once(' ')?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_owned()));
    request
        .ok()
        .filter(|request| request.uri().path().starts_with('/'))
}

fn is_json_lines(content_type: &str, body: &[u8]) -> bool {
    if content_type.contains("ndjson") {
        body.split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .all(is_json)
    } else {
        is_json(body)
    }
}

impl Server {
    fn start() -> Option<Self> {
        let runtime = Builder::new_current_thread().enable_all().build().ok()?;
        let (router, stage, ids) = runtime.block_on(async {
            let mut config = Cli::without_environment().ok()?.config;
            let stage = Stage::set(&mut config).await.ok()?;
            let server = wiring::server(&config).await.ok()?;
            let source = Upstream::of(&config.mlflow).ok()?.source();
            let session = stage.fill(&server.services, source.as_ref()).await.ok()?;
            let session = session.labeling_session_id;
            let first = PageRequest { size: 1, token: None };
            let items = server
                .services
                .list_items(&session, ItemFilter::default(), first)
                .await
                .ok()?;
            let ids = [
                ("{trace}", stage.trace("conversation")?.to_string()),
                ("{session}", session.to_string()),
                ("{item}", items.entries.first()?.item_id.to_string()),
            ];
            Some((server.router, stage, ids))
        })?;
        Some(Self {
            runtime,
            router,
            ids,
            _stage: stage,
            requests: 0,
        })
    }

    fn answer(&self, request: Request<Body>) -> (StatusCode, String, Bytes) {
        self.runtime.block_on(async {
            let Ok(response) = self.router.clone().oneshot(request).await;
            let status = response.status();
            let content_type = response.headers().get(header::CONTENT_TYPE);
            let content_type = content_type
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned();
            let body = response.into_body().collect().await;
            assert!(body.is_ok(), "cut off: {:?}", body.err());
            (
                status,
                content_type,
                body.map(Collected::to_bytes).unwrap_or_default(),
            )
        })
    }
}

static SERVER: LazyLock<Mutex<Option<Server>>> = LazyLock::new(Mutex::default);
