//! Problems get their body where the request's id and path are known.

use std::any::Any;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::observe::Observed;
use crate::problem::Problem;

/// Writes the body of a response that carries a [`Problem`].
pub(super) fn render(mut response: Response, observed: &Observed) -> Response {
    let carried = response.extensions().get::<Problem>().cloned();
    let Some(problem) = carried.or_else(|| bare_problem(&response)) else {
        return response;
    };
    let body = problem.body(observed.id().as_str(), observed.path());
    // A document of texts and numbers cannot fail to be written.
    let json = serde_json::to_vec(&body).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.remove(header::CONTENT_LENGTH);
    *response.body_mut() = json.into();
    response
}

/// What a library answers with a status and nothing else.
fn bare_problem(response: &Response) -> Option<Problem> {
    if response.headers().contains_key(header::CONTENT_TYPE) {
        return None;
    }
    match response.status() {
        StatusCode::NOT_FOUND => Some(Problem::no_such_route()),
        StatusCode::METHOD_NOT_ALLOWED => Some(Problem::method_not_allowed()),
        status if status.is_server_error() => Some(Problem::internal()),
        _ => None,
    }
}

/// A panic is our own fault; what it says is for the log.
pub(super) fn of_panic(panic: &(dyn Any + Send)) -> Response {
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!(panic = said.unwrap_or("of an unknown kind"), "a handler panicked");
    Problem::internal().into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::{Bounds, around};
    use super::*;
    use crate::admission::{Admission, AdmissionLimits};
    use crate::metrics::{RequestMetrics, Routes};
    use crate::middleware::Observer;
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use http::Request;
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;

    #[tokio::test]
    async fn a_panic_is_a_problem_with_the_request_id() {
        async fn broken() -> &'static str {
            panic!("secret detail")
        }
        let app = around(
            Router::new().route("/broken", get(broken)),
            Bounds::new(
                Vec::new(),
                Arc::new(Admission::new(AdmissionLimits {
                    requests: 1,
                    waiting: 0,
                    large_answers: 1,
                    connections: 1,
                })),
                Duration::from_secs(1),
                Duration::from_mins(1),
                CancellationToken::new(),
            ),
            Observer::new(
                RequestMetrics::default(),
                Routes::new(std::iter::empty()),
                Duration::MAX,
                false,
            ),
        );
        let request = Request::get("/broken")
            .header("x-request-id", "req-7")
            .body(Body::empty())
            .unwrap();
        let response = app.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()["x-request-id"], "req-7");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (body["request_id"].as_str(), body["instance"].as_str()),
            (Some("req-7"), Some("/broken"))
        );
        assert!(!body.to_string().contains("secret"));
    }
}
