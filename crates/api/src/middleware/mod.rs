//! What every request passes through, from the outside in:
//!
//! 1. `observe`: the request's id, the time it took, one log line when its body is sent. Outermost, so that it
//!    sees what every other layer answered.
//! 2. `problems`: gives a [`crate::problem::Problem`] its body. Outside of everything that can answer with one.
//! 3. CORS, before anything that costs: a preflight reaches no handler.
//! 4. Compression, outside of the handlers and inside of the log, which counts the bytes that are sent.
//! 5. Panics become a problem, next to the handlers.
//! 6. [`until_ending`] and, for routes that are not open to all, [`developers_only`] or [`within_reach`]: they need the
//!    state.

mod access;
mod access_log;
mod compression;
mod observe;
mod problems;
mod request_id;
mod trailing_slash;
mod until_ending;

use axum::Router;
use axum::middleware::from_fn;
use http::{HeaderName, HeaderValue, Method, header};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowHeaders, CorsLayer};

pub use access::{developers_only, within_reach};
pub use trailing_slash::without_trailing_slash;
pub use until_ending::until_ending;

/// Puts the stack around a router.
pub fn around(router: Router, cors_origins: Vec<HeaderValue>) -> Router {
    let inner = ServiceBuilder::new()
        .layer(from_fn(compression::compress))
        .layer(CatchPanicLayer::custom(problems::of_panic));
    router
        .layer(inner)
        .layer(cors(cors_origins))
        .layer(from_fn(problems::render))
        .layer(from_fn(observe::observe))
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
