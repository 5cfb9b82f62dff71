//! The problems that routes answer with, for the OpenAPI document.

use utoipa::IntoResponses;

use crate::problem::ProblemBody;

/// What any route that asks MLflow can answer.
#[derive(Debug, IntoResponses)]
pub enum UpstreamProblems {
    /// The server failed; its log says more under the `request_id`.
    #[response(status = 500, content_type = "application/problem+json")]
    Failed(ProblemBody),
    /// MLflow asks to slow down; `retry-after` says how long.
    #[response(status = 429, content_type = "application/problem+json")]
    RateLimited(ProblemBody),
    /// MLflow answered what cannot be used, or does not accept this server's credentials.
    #[response(status = 502, content_type = "application/problem+json")]
    Upstream(ProblemBody),
    /// MLflow cannot be reached; `retry-after` says when to try again.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemBody),
    /// MLflow did not answer in time; `retry-after` says when to try again.
    #[response(status = 504, content_type = "application/problem+json")]
    Timeout(ProblemBody),
}

/// What a route that reads one thing by its id can answer besides.
#[derive(Debug, IntoResponses)]
pub enum ReadProblems {
    /// The proxy names the user in a way that cannot be read.
    #[response(status = 401, content_type = "application/problem+json")]
    Unidentified(ProblemBody),
    /// An id breaks the rule that is told.
    #[response(status = 400, content_type = "application/problem+json")]
    BadId(ProblemBody),
    /// The user may not read this.
    #[response(status = 403, content_type = "application/problem+json")]
    Denied(ProblemBody),
    /// MLflow knows no such thing.
    #[response(status = 404, content_type = "application/problem+json")]
    Unknown(ProblemBody),
}

/// What a route that says who asks can answer besides.
#[derive(Debug, IntoResponses)]
pub enum IdentityProblems {
    /// The proxy names the user in a way that cannot be read.
    #[response(status = 401, content_type = "application/problem+json")]
    Unidentified(ProblemBody),
}

/// What a route that names things in its path or body can answer besides.
#[derive(Debug, IntoResponses)]
pub enum UnknownProblems {
    /// Something that is named does not exist.
    #[response(status = 404, content_type = "application/problem+json")]
    Unknown(ProblemBody),
}

/// What a route that changes something can answer besides.
#[derive(Debug, IntoResponses)]
pub enum ConflictProblems {
    /// The name is taken, or the thing was changed by someone else meanwhile.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(ProblemBody),
}

/// What a route that takes a query string can answer besides.
#[derive(Debug, IntoResponses)]
pub enum QueryProblems {
    /// A parameter breaks the rule that is told.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(ProblemBody),
}

/// What a route that takes a body can answer besides.
#[derive(Debug, IntoResponses)]
pub enum BodyProblems {
    /// The proxy names the user in a way that cannot be read.
    #[response(status = 401, content_type = "application/problem+json")]
    Unidentified(ProblemBody),
    /// The body is not JSON, or MLflow cannot read the filter.
    #[response(status = 400, content_type = "application/problem+json")]
    Unreadable(ProblemBody),
    /// The user may not read this.
    #[response(status = 403, content_type = "application/problem+json")]
    Denied(ProblemBody),
    /// The body is larger than 2 MiB (configurable).
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemBody),
    /// The body is not declared as JSON, or is compressed.
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(ProblemBody),
    /// A field breaks the rule that is told.
    #[response(status = 422, content_type = "application/problem+json")]
    Invalid(ProblemBody),
}
