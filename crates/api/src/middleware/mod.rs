//! What every request passes through on its way to the routes and back.
//!
//! - [`around`] has it in order, from the request to the answer.
//! - Who may call a route is asked by the route's own [`developers_only`] or [`within_reach`].

mod access;
mod access_log;
mod compression;
mod observe;
mod problems;
mod request_id;
mod trailing_slash;

use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::{HeaderName, HeaderValue, Method, header};
use service::ServiceError;
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;
use tower_http::cors::{AllowHeaders, CorsLayer};

use crate::extract::preferred;
use crate::problem::Problem;
use observe::Observed;

pub use access::{developers_only, within_reach};

/// Puts all of it around a router. `ending` is cancelled when requests that are still unanswered must be told so.
///
/// It stands around the router as a whole: a layer that is given to a router is put around each of its routes, and is cloned
/// with all that is below it for each request.
pub fn around(router: Router, cors_origins: Vec<HeaderValue>, ending: CancellationToken) -> Router {
    let stack = ServiceBuilder::new()
        .map_request(trailing_slash::without)
        .layer(from_fn(outermost))
        // A preflight goes no further; another origin's page is to read errors as well.
        .layer(cors(cors_origins))
        .layer(from_fn_with_state(ending, answered_in_any_case))
        .service(router);
    Router::new().fallback_service(stack)
}

/// Sees whatever is answered: gives problems their body, encodes, and logs one line.
async fn outermost(request: Request, next: Next) -> Response {
    let observed = Observed::begin(&request);
    let (is_head, coding) = (request.method() == Method::HEAD, preferred(request.headers()));
    let response = problems::render(next.run(request).await, &observed);
    observed.end(compression::encode(response, coding, is_head).await)
}

/// Answers when the handler panics, and when the server must end before the handler has answered.
async fn answered_in_any_case(
    State(ending): State<CancellationToken>,
    request: Request,
    next: Next,
) -> Response {
    let answering = AssertUnwindSafe(next.run(request)).catch_unwind();
    tokio::select! {
        biased;
        answer = answering => answer.unwrap_or_else(|panic| problems::of_panic(&*panic)),
        () = ending.cancelled() => Problem::from(ServiceError::Interrupted).into_response(),
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
        .max_age(std::time::Duration::from_hours(1))
}
