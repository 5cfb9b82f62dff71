//! What can go wrong in a use case, by meaning, and what of it may be told to the one who asked.

use std::sync::Arc;
use std::time::Duration;

use domain::{ExperimentId, RunId, SpanId, TraceId};
use mlflow_client::ClientError;
use serde::Serialize;

/// A failed use case. Clones share the cause, so that one failure can be told to all who waited.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is its message")]
pub enum ServiceError {
    #[error("there is no trace {0}")]
    TraceNotFound(TraceId),
    #[error("trace {0} has no stored spans")]
    SpansNotFound(TraceId),
    #[error("trace {trace_id} has no span {span_id}")]
    SpanNotFound { trace_id: TraceId, span_id: SpanId },
    #[error("there is no run {0}")]
    RunNotFound(RunId),
    #[error("there is no experiment {0}")]
    ExperimentNotFound(ExperimentId),
    #[error("{field}: {rule}")]
    Invalid { field: &'static str, rule: String },
    #[error("{0}")]
    AccessDenied(&'static str),
    #[error(transparent)]
    Upstream(Arc<ClientError>),
    #[error("the spans of the trace cannot be read: {0}")]
    UnreadableSpans(#[from] UnreadableSpans),
    #[error("the reader was too slow for {0:?} and was cut off")]
    TooSlow(Duration),
    #[error("the work was interrupted")]
    Interrupted,
}

/// Why a trace's spans cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is its message")]
pub enum UnreadableSpans {
    #[error("the text ends too early")]
    Truncated,
    #[error("byte {offset} of the text is not what {{\"spans\":[…]}} has there")]
    Malformed { offset: u64 },
    #[error("span {index} is not valid JSON")]
    InvalidSpan { index: usize },
    #[error("a span is larger than {limit} bytes")]
    SpanTooLarge { limit: usize },
}

/// The stable codes of the HTTP contract; every error has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the contract's own names")]
pub enum ErrorCode {
    ValidationError,
    AuthenticationError,
    AuthorizationError,
    ResourceNotFound,
    Conflict,
    PayloadTooLarge,
    RateLimited,
    UpstreamError,
    UpstreamUnavailable,
    UpstreamTimeout,
    InternalServerError,
}

impl From<ClientError> for ServiceError {
    fn from(error: ClientError) -> Self {
        Self::Upstream(Arc::new(error))
    }
}

impl ServiceError {
    /// The error's stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TraceNotFound(_)
            | Self::SpansNotFound(_)
            | Self::SpanNotFound { .. }
            | Self::RunNotFound(_)
            | Self::ExperimentNotFound(_) => ErrorCode::ResourceNotFound,
            Self::Invalid { .. } => ErrorCode::ValidationError,
            Self::AccessDenied(_) => ErrorCode::AuthorizationError,
            Self::UnreadableSpans(_) => ErrorCode::UpstreamError,
            Self::TooSlow(_) | Self::Interrupted => ErrorCode::UpstreamUnavailable,
            Self::Upstream(error) => match error.as_ref() {
                ClientError::NotFound { .. } | ClientError::SpansNotFound { .. } => {
                    ErrorCode::ResourceNotFound
                }
                ClientError::Rejected { status: 400, .. } => ErrorCode::ValidationError,
                ClientError::RateLimited { .. } => ErrorCode::RateLimited,
                ClientError::Unavailable { status: 504, .. } | ClientError::Timeout { .. } => {
                    ErrorCode::UpstreamTimeout
                }
                ClientError::Unavailable { .. }
                | ClientError::Unreachable { .. }
                | ClientError::PoolExhausted { .. } => ErrorCode::UpstreamUnavailable,
                ClientError::Rejected { .. }
                | ClientError::Unauthorized { .. }
                | ClientError::Forbidden { .. }
                | ClientError::Failed { .. }
                | ClientError::Malformed { .. }
                | ClientError::TooLarge { .. }
                | ClientError::RouteAbsent { .. }
                | ClientError::Credentials(_) => ErrorCode::UpstreamError,
            },
        }
    }

    /// The error in words for the one who asked. The server's own words only where it judges the request; its
    /// failures may quote SQL or addresses and are for the log.
    pub fn public_message(&self) -> String {
        let Self::Upstream(error) = self else {
            return self.to_string();
        };
        match error.as_ref() {
            ClientError::Rejected {
                status: 400, message, ..
            }
            | ClientError::NotFound { message, .. } => message.clone(),
            ClientError::SpansNotFound { .. } => "MLflow has no stored spans of this trace".into(),
            ClientError::RateLimited { .. } => "MLflow asks to slow down; try again later".into(),
            ClientError::Unavailable { .. } => "MLflow is unavailable; try again later".into(),
            ClientError::Unreachable { .. } => "MLflow cannot be reached; try again later".into(),
            ClientError::PoolExhausted { .. } => "all connections to MLflow are busy; try again later".into(),
            ClientError::Timeout { .. } => "MLflow did not answer in time".into(),
            ClientError::Unauthorized { .. } | ClientError::Credentials(_) => {
                "MLflow does not accept this server's credentials".into()
            }
            ClientError::Forbidden { .. } => "MLflow does not allow this server to read that".into(),
            ClientError::RouteAbsent { .. } => {
                "MLflow answers as if it could not do that; is its address right?".into()
            }
            ClientError::TooLarge { .. } => "MLflow's answer is too large to be read whole".into(),
            ClientError::Rejected { .. } | ClientError::Failed { .. } | ClientError::Malformed { .. } => {
                "MLflow failed to answer".into()
            }
        }
    }

    /// How long to wait before another try, where one makes sense.
    pub fn retry_after(&self) -> Option<Duration> {
        let default = match self.code() {
            ErrorCode::RateLimited | ErrorCode::UpstreamUnavailable | ErrorCode::UpstreamTimeout => {
                Some(Duration::from_secs(2))
            }
            _ => None,
        };
        match self {
            Self::Upstream(error) => error.retry_after().or(default),
            _ => default,
        }
    }

    /// Whether an older answer is better than this error: the server is in trouble, the request is not.
    pub(crate) fn may_be_covered_by_stale(&self) -> bool {
        matches!(self, Self::Upstream(error) if error.is_transient())
    }

    /// Says which trace it was, where MLflow says only that there is none.
    pub(crate) fn about_trace(self, id: &TraceId) -> Self {
        match &self {
            Self::Upstream(error) => match error.as_ref() {
                ClientError::NotFound { .. } => Self::TraceNotFound(id.clone()),
                ClientError::SpansNotFound { .. } => Self::SpansNotFound(id.clone()),
                _ => self,
            },
            _ => self,
        }
    }
}
