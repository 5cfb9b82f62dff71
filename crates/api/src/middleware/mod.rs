//! What every request passes through on its way to the routes and back.
//!
//! - `around` has it in order, from the request to the answer.
//! - Who may call a route is asked by the route's own [`developers_only`] or [`within_reach`].

mod access;
mod access_log;
mod compression;
mod hardening;
mod observe;
mod origin;
mod patience;
mod problems;
mod request_id;
mod request_span;
mod trailing_slash;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::{HeaderName, HeaderValue, Method, header};
use service::ServiceError;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use tower_http::cors::{AllowHeaders, CorsLayer};

use crate::admission::{Admission, FromAnteroom, Turned};
use crate::extract::preferred;
use crate::problem::Problem;
use observe::Queued;

pub use access::{developers_only, within_reach};
pub(crate) use observe::Observer;

/// What every request is bounded by.
#[derive(Debug, Clone)]
pub struct Bounds(Arc<Limits>);

#[derive(Debug)]
struct Limits {
    allowed_origins: Vec<HeaderValue>,
    admission: Arc<Admission>,
    request_timeout: Duration,
    reader_patience: Duration,
    ending: CancellationToken,
}

impl Bounds {
    /// Pages of `allowed_origins` may call us. An answer begins within `request_timeout`; what it holds is let go when its reader
    /// takes nothing for `reader_patience`. `ending` is cancelled when requests that are still unanswered must be told so.
    pub fn new(
        allowed_origins: Vec<HeaderValue>,
        admission: Arc<Admission>,
        request_timeout: Duration,
        reader_patience: Duration,
        ending: CancellationToken,
    ) -> Self {
        Self(Arc::new(Limits {
            allowed_origins,
            admission,
            request_timeout,
            reader_patience,
            ending,
        }))
    }
}

/// Puts all of it around a router.
///
/// It stands around the router as a whole: a layer that is given to a router is put around each of its routes, and is cloned
/// with all that is below it for each request.
pub(crate) fn around(router: Router, bounds: Bounds, observer: Observer) -> Router {
    let stack = ServiceBuilder::new()
        .map_request(trailing_slash::without)
        .layer(from_fn_with_state(observer, outermost))
        // A preflight goes no further; another origin's page is to read errors as well.
        .layer(cors(bounds.0.allowed_origins.clone()))
        .layer(from_fn_with_state(bounds, within_bounds))
        .service(router);
    Router::new().fallback_service(stack)
}

/// Sees whatever is answered: gives problems their body, encodes, counts it, and logs one line.
async fn outermost(State(watcher): State<Observer>, request: Request, next: Next) -> Response {
    let observed = watcher.begin(&request);
    let (is_head, coding) = (request.method() == Method::HEAD, preferred(request.headers()));
    let answer = observed.around(next.run(request)).await;
    let response = problems::render(answer, &observed);
    let mut response = compression::encode(response, coding, is_head).await;
    hardening::harden(response.headers_mut());
    observed.end(response)
}

/// Takes a request on, or says why not; tells who asks of a server that is about to end to ask elsewhere.
async fn within_bounds(State(Bounds(limits)): State<Bounds>, request: Request, next: Next) -> Response {
    let version = request.version();
    let answer = answered(&limits, request, next).await;
    let mut response = answer.map(|body| patience::bounded(body, version, limits.reader_patience));
    if limits.admission.is_leaving() {
        // HTTP/2 has its own way to say it.
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

async fn answered(limits: &Limits, request: Request, next: Next) -> Response {
    if let Err(problem) = origin::check(&request, &limits.allowed_origins) {
        return problem.into_response();
    }
    // Whether we live is answered whatever else is done.
    if is_of_watchers(request.uri().path()) {
        return answered_in_any_case(limits, request, next).await;
    }
    if request.extensions().get::<FromAnteroom>().is_some() {
        return limits.admission.turn_away(Turned::Request).into_response();
    }
    let asked = Instant::now();
    let turn = limits.admission.turn().await;
    let queued = Queued(asked.elapsed());
    let mut response = match turn {
        Ok(_turn) => answered_in_any_case(limits, request, next).await,
        Err(problem) => problem.into_response(),
    };
    response.extensions_mut().insert(queued);
    response
}

fn is_of_watchers(path: &str) -> bool {
    path == "/metrics" || path == "/health" || path.starts_with("/health/")
}

/// Answers when the handler panics, when it takes too long, and when the server must end before it has answered. What is
/// dropped with the handler ends with it, calls of MLflow too, unless others wait for the same; writes go on.
async fn answered_in_any_case(limits: &Limits, request: Request, next: Next) -> Response {
    let answering = AssertUnwindSafe(next.run(request)).catch_unwind();
    let limit = limits.request_timeout;
    tokio::select! {
        biased;
        answer = timeout(limit, answering) => match answer {
            Ok(answer) => answer.unwrap_or_else(|panic| problems::of_panic(&*panic)),
            Err(_) => Problem::out_of_time(limit).into_response(),
        },
        () = limits.ending.cancelled() => Problem::from(ServiceError::Interrupted).into_response(),
    }
}

fn cors(origins: Vec<HeaderValue>) -> CorsLayer {
    let exposed = ["x-request-id", "x-cache", "server-timing"].map(HeaderName::from_static);
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .allow_credentials(true)
        .expose_headers(
            exposed
                .into_iter()
                .chain([header::ETAG, header::AGE, header::RETRY_AFTER])
                .collect::<Vec<_>>(),
        )
        .max_age(Duration::from_hours(1))
}
