//! Answers from the cache: the whole way of a request from its head to its last byte, but for the socket. The data is the
//! demo's.

use std::error::Error;

use api::config::Cli;
use api::demo::Stage;
use api::wiring;
use axum::Router;
use axum::body::Body;
use criterion::{Criterion, Throughput};
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::BodyExt;
use tikv_jemallocator::Jemalloc;
use tokio::runtime::Builder;
use tower::ServiceExt;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let (router, trace, _stage) = runtime.block_on(demo())?;
    let trace = format!("/api/traces/{trace}");
    let mut group = criterion.benchmark_group("hit");
    for (name, coding, request) in [
        ("health", None, &(|| get("/health")) as &dyn Fn() -> Request<Body>),
        ("search of 50", None, &search),
        ("search of 50, gzip", Some("gzip"), &search),
        ("trace of 1.1 MB", None, &|| get(&trace)),
    ] {
        let request = || accepting(request(), coding);
        // The second is from the cache, and has it encoded.
        runtime.block_on(answered(&router, request()));
        let bytes = runtime.block_on(answered(&router, request()));
        group.throughput(Throughput::Bytes(bytes));
        let answer = || runtime.block_on(answered(&router, request()));
        group.bench_function(name, |bencher| bencher.iter(answer));
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}

async fn demo() -> Result<(Router, String, Stage), Box<dyn Error>> {
    let mut config = Cli::without_environment()?.config;
    let stage = Stage::set(&mut config).await?;
    let server = wiring::server(&config).await?;
    let big = stage.trace("big").ok_or("the demo has a big trace")?.to_string();
    Ok((server.router, big, stage))
}

/// Bytes of the answer, all of which are taken.
async fn answered(router: &Router, request: Request<Body>) -> u64 {
    let Ok(response) = router.clone().oneshot(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    let (mut body, mut bytes) = (response.into_body(), 0);
    while let Some(frame) = body.frame().await {
        bytes += frame
            .ok()
            .and_then(|frame| frame.data_ref().map(bytes::Bytes::len))
            .unwrap_or(0);
    }
    bytes as u64
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap_or_default()
}

fn search() -> Request<Body> {
    let request = Request::post("/api/mlflow/search-traces").header(header::CONTENT_TYPE, "application/json");
    request.body(r#"{"max_results": 50}"#.into()).unwrap_or_default()
}

fn accepting(mut request: Request<Body>, coding: Option<&'static str>) -> Request<Body> {
    let value = coding.map(HeaderValue::from_static);
    request
        .headers_mut()
        .extend(value.map(|value| (header::ACCEPT_ENCODING, value)));
    request
}
