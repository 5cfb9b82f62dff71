//! The one mapping from what went wrong to an HTTP response (RFC 9457 and the members the client reads).
//!
//! A handler answers with a [`Problem`]; the response carries it as an extension and gets its body in
//! [`crate::middleware`], where the request's id and path are known. The cause stays on this side: the access log
//! shows it, the client does not.

use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use domain::InvalidId;
use http::{StatusCode, header};
use serde::Serialize;
use service::{ErrorCode, ServiceError};
use utoipa::ToSchema;

/// Something that went wrong, as the client will read it.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: ErrorCode,
    detail: String,
    violation: Option<Violation>,
    retry_after: Option<Duration>,
    cause: Option<Arc<ServiceError>>,
}

/// The part of a request that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Violation {
    /// The field, with its path: `trace_ids[3]`, `limit`.
    #[schema(example = "max_results")]
    pub field: String,
    /// The rule it breaks.
    #[schema(example = "must be a whole number from 1 to 10000")]
    pub rule: String,
}

impl Problem {
    fn new(status: StatusCode, code: ErrorCode, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self {
            status,
            code,
            detail,
            violation: None,
            retry_after: None,
            cause: None,
        }
    }

    fn violating(status: StatusCode, field: impl Into<String>, rule: impl Into<String>) -> Self {
        let (field, rule) = (field.into(), rule.into());
        let detail = if field.is_empty() {
            rule.clone()
        } else {
            format!("{field} {rule}")
        };
        Self {
            violation: Some(Violation { field, rule }),
            ..Self::new(status, ErrorCode::ValidationError, detail)
        }
    }

    /// 400: the request cannot be read.
    pub fn unreadable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::ValidationError, detail)
    }

    /// 422: the request can be read, and a field of it breaks a rule. The rule goes on after the field's name:
    /// "must be 1 to 10000".
    pub fn invalid_field(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::violating(StatusCode::UNPROCESSABLE_ENTITY, field, rule)
    }

    /// 401: the proxy names a user in a way that cannot be read.
    pub fn unidentified(header: &str) -> Self {
        Self::unauthenticated(format!("the header {header} must name one user, in UTF-8"))
    }

    /// 401: who asks does not show who they are in the way that is needed here.
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, ErrorCode::AuthenticationError, detail)
    }

    /// 404: nothing is served at this path.
    pub fn no_such_route() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            ErrorCode::ResourceNotFound,
            "nothing is served at this path; /docs lists what is",
        )
    }

    /// 405: the path is served, the method is not.
    pub fn method_not_allowed() -> Self {
        let detail = "this path does not take this method; /docs lists what it takes";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::ValidationError, detail)
    }

    /// 406: none of the offered forms is wanted.
    pub fn not_acceptable(offered: &str) -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            ErrorCode::ValidationError,
            format!("Accept must allow one of {offered}"),
        )
    }

    /// 413: the body is larger than the limit, in bytes.
    pub fn body_too_large(limit: usize) -> Self {
        let detail = format!("the request body is larger than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::PayloadTooLarge, detail)
    }

    /// 415: the body is not declared as JSON.
    pub fn not_json() -> Self {
        let detail = "the request body must be sent with Content-Type: application/json";
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorCode::ValidationError,
            detail,
        )
    }

    /// 403: a page of another site asks for a change.
    pub fn cross_origin() -> Self {
        let detail = "a page of another origin may not change anything here; TRACE_SERVER_CORS_ORIGINS names those that may";
        Self::new(StatusCode::FORBIDDEN, ErrorCode::AuthorizationError, detail)
    }

    /// 503: more is asked of this server than it takes on.
    pub fn overloaded() -> Self {
        let detail = "more is asked of this server than it can do at once; try again later";
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::UpstreamUnavailable,
                detail,
            )
        }
    }

    /// 504: the answer did not begin in time.
    pub fn out_of_time(limit: Duration) -> Self {
        let detail = format!("there was no answer within {limit:?}; it may be there when you ask again");
        Self {
            retry_after: Some(Duration::from_secs(2)),
            ..Self::new(StatusCode::GATEWAY_TIMEOUT, ErrorCode::UpstreamTimeout, detail)
        }
    }

    /// 415: the body is compressed.
    pub fn encoded() -> Self {
        let detail = "the request body must be sent as it is, without Content-Encoding";
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorCode::ValidationError,
            detail,
        )
    }

    /// 500: our own fault.
    pub fn internal() -> Self {
        let detail = "the server failed; the log says more under this request_id";
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            ErrorCode::InternalServerError,
            detail,
        )
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong, as the client reads it.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What really happened, for the log.
    pub fn cause(&self) -> Option<&ServiceError> {
        self.cause.as_deref()
    }

    /// The body, for a request with this id and path.
    pub fn body(&self, request_id: &str, instance: &str) -> ProblemBody {
        ProblemBody {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            instance: instance.to_owned(),
            error: ProblemError {
                code: self.code,
                message: self.detail.clone(),
                details: self.violation.clone(),
            },
            request_id: request_id.to_owned(),
            status_code: self.status.as_u16(),
        }
    }
}

impl From<InvalidId> for Problem {
    fn from(InvalidId { kind, rule }: InvalidId) -> Self {
        Self::violating(StatusCode::BAD_REQUEST, kind, format!("must be {rule}"))
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        if let ServiceError::Invalid(broken) = error {
            return Self::invalid_field(broken.field, broken.rule);
        }
        let code = error.code();
        Self {
            retry_after: error.retry_after(),
            cause: Some(Arc::new(error.clone())),
            ..Self::new(status_of(code), code, error.public_message())
        }
    }
}

fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::ValidationError => StatusCode::BAD_REQUEST,
        ErrorCode::AuthenticationError => StatusCode::UNAUTHORIZED,
        ErrorCode::AuthorizationError => StatusCode::FORBIDDEN,
        ErrorCode::ResourceNotFound => StatusCode::NOT_FOUND,
        ErrorCode::Conflict => StatusCode::CONFLICT,
        ErrorCode::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::UpstreamError => StatusCode::BAD_GATEWAY,
        ErrorCode::UpstreamUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::InternalServerError => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(pause) = self.retry_after {
            // Rounded up: never sooner than asked for.
            let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.max(1).into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// An error, as `application/problem+json` (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Always `about:blank`: the status says what kind of problem it is, the code which.
    #[serde(rename = "type")]
    #[schema(example = "about:blank")]
    kind: &'static str,
    /// The status in words.
    #[schema(example = "Not Found")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 404)]
    status: u16,
    /// What is wrong, for a person.
    #[schema(example = "there is no trace tr-00000000000000000000000000000000")]
    detail: String,
    /// The path that was asked for.
    #[schema(example = "/api/traces/tr-00000000000000000000000000000000")]
    instance: String,
    /// The same for a program.
    error: ProblemError,
    /// The id of the request, as in `x-request-id` and the server's log.
    #[schema(example = "5a0d6f0c1f0b4b0e9d4f7a3c2b1e0d9f")]
    request_id: String,
    /// The HTTP status once more, where older clients read it.
    #[schema(example = 404)]
    status_code: u16,
}

/// An error for a program.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemError {
    /// A code that stays the same while words may change: `VALIDATION_ERROR`, `AUTHENTICATION_ERROR`, `AUTHORIZATION_ERROR`,
    /// `RESOURCE_NOT_FOUND`, `CONFLICT`, `PAYLOAD_TOO_LARGE`, `RATE_LIMITED`, `UPSTREAM_ERROR`, `UPSTREAM_UNAVAILABLE`,
    /// `UPSTREAM_TIMEOUT`, `INTERNAL_SERVER_ERROR`.
    #[schema(value_type = String, example = "RESOURCE_NOT_FOUND")]
    code: ErrorCode,
    /// The same as `detail`.
    #[schema(example = "there is no trace tr-00000000000000000000000000000000")]
    message: String,
    /// The field that breaks a rule, where it is one.
    details: Option<Violation>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_the_client_reads_is_there() {
        let problem = Problem::invalid_field("max_results", "must be 1 to 10000");
        insta::assert_json_snapshot!(problem.body("id-1", "/api/mlflow/search-traces"), @r#"
        {
          "type": "about:blank",
          "title": "Unprocessable Entity",
          "status": 422,
          "detail": "max_results must be 1 to 10000",
          "instance": "/api/mlflow/search-traces",
          "error": {
            "code": "VALIDATION_ERROR",
            "message": "max_results must be 1 to 10000",
            "details": {
              "field": "max_results",
              "rule": "must be 1 to 10000"
            }
          },
          "request_id": "id-1",
          "status_code": 422
        }
        "#);
    }

    #[test]
    fn a_pause_is_told_in_whole_seconds_and_never_too_short() {
        let error = ServiceError::TooSlow(Duration::from_secs(1));
        let mut problem = Problem::from(error);
        problem.retry_after = Some(Duration::from_millis(1500));
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    }
}
