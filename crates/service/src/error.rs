//! What can go wrong in a use case, by meaning, and what of it may be told to the one who asked.

use std::sync::Arc;
use std::time::Duration;

use domain::{
    AssessmentId, BrokenRule, ExperimentId, ItemId, LabelingSessionId, ReviewAppId, RunId, SpanId, TraceId,
};
use mlflow_client::ClientError;
use serde::Serialize;
use store::StoreError;

use crate::upstream::UpstreamError;

/// Of many ids, so many are named in an error.
const NAMED_IDS: usize = 5;

/// A failed use case. Clones share the cause, so that one failure can be told to all who waited.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is its message")]
pub enum ServiceError {
    #[error("there is no trace {0}")]
    TraceNotFound(TraceId),
    #[error("trace {trace_id} has no stored spans{}", after_colon(.reason.as_deref()))]
    SpansNotFound {
        trace_id: TraceId,
        /// Why, where whoever keeps the traces says so.
        reason: Option<Arc<str>>,
    },
    #[error("trace {trace_id} has no span {span_id}")]
    SpanNotFound { trace_id: TraceId, span_id: SpanId },
    #[error("there is no run {0}")]
    RunNotFound(RunId),
    #[error("there is no experiment {0}")]
    ExperimentNotFound(ExperimentId),
    #[error("there is no {}", listed(.0))]
    TracesNotFound(Arc<[TraceId]>),
    #[error("trace {trace_id} has no assessment {assessment_id}")]
    AssessmentNotFound {
        trace_id: TraceId,
        assessment_id: AssessmentId,
    },
    #[error("there is no review app {0}")]
    ReviewAppNotFound(ReviewAppId),
    #[error("there is no label schema {0:?}")]
    SchemaNotFound(String),
    #[error("there is no labeling session {0}")]
    SessionNotFound(LabelingSessionId),
    #[error("there is no item {0} in this labeling session")]
    ItemNotFound(ItemId),
    #[error("{0}")]
    Conflict(String),
    #[error(transparent)]
    Invalid(#[from] BrokenRule),
    #[error(transparent)]
    Store(Arc<StoreError>),
    #[error("{0}")]
    AccessDenied(&'static str),
    #[error(transparent)]
    Upstream(Arc<UpstreamError>),
    #[error("the spans of the trace cannot be read: {0}")]
    UnreadableSpans(#[from] UnreadableSpans),
    #[error("the trace has too many spans to be summarised at once")]
    TooManySpans,
    #[error("the reader was too slow for {0:?} and was cut off")]
    TooSlow(Duration),
    #[error("too many traces that are too large to be kept are being read; try again later")]
    TooManyFlows,
    #[error("too many analyses are under way; try again later")]
    TooManyJobs,
    #[error("too many watch analyses; try again later, or ask for the status now and then")]
    TooManyWatchers,
    #[error("the work was interrupted")]
    Interrupted,
}

/// Why a trace's spans cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is its message")]
pub enum UnreadableSpans {
    #[error("the text ends too early")]
    Truncated,
    #[error("the text has no list of spans")]
    NoList,
    #[error("they are those of another trace")]
    OfAnotherTrace,
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

/// "trace a, b" with the rest counted.
fn listed(ids: &[TraceId]) -> String {
    let named: Vec<_> = ids.iter().take(NAMED_IDS).map(TraceId::as_str).collect();
    let rest = match ids.len().saturating_sub(NAMED_IDS) {
        0 => String::new(),
        rest => format!(" (and {rest} more)"),
    };
    format!("trace {}{rest}", named.join(", "))
}

fn after_colon(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::PageToken => {
                BrokenRule::new("page_token", "must be a token that a page before gave").into()
            }
            error => Self::Store(Arc::new(error)),
        }
    }
}

impl From<UpstreamError> for ServiceError {
    fn from(error: UpstreamError) -> Self {
        Self::Upstream(Arc::new(error))
    }
}

impl From<ClientError> for ServiceError {
    fn from(error: ClientError) -> Self {
        UpstreamError::from(error).into()
    }
}

impl ServiceError {
    /// Whether nobody but its reader is at fault: it was too slow.
    pub fn is_of_reader(&self) -> bool {
        matches!(self, Self::TooSlow(_))
    }

    /// The error's stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TraceNotFound(_)
            | Self::SpansNotFound { .. }
            | Self::SpanNotFound { .. }
            | Self::RunNotFound(_)
            | Self::ExperimentNotFound(_)
            | Self::TracesNotFound(_)
            | Self::AssessmentNotFound { .. }
            | Self::ReviewAppNotFound(_)
            | Self::SchemaNotFound(_)
            | Self::SessionNotFound(_)
            | Self::ItemNotFound(_) => ErrorCode::ResourceNotFound,
            Self::Invalid(_) => ErrorCode::ValidationError,
            Self::Conflict(_) => ErrorCode::Conflict,
            Self::Store(error) if error.is_transient() => ErrorCode::UpstreamUnavailable,
            Self::Store(_) => ErrorCode::InternalServerError,
            Self::AccessDenied(_) => ErrorCode::AuthorizationError,
            Self::UnreadableSpans(_) | Self::TooManySpans => ErrorCode::UpstreamError,
            Self::TooSlow(_)
            | Self::TooManyFlows
            | Self::TooManyJobs
            | Self::TooManyWatchers
            | Self::Interrupted => ErrorCode::UpstreamUnavailable,
            Self::Upstream(error) => error.code(),
        }
    }

    /// The error in words for the one who asked.
    pub fn public_message(&self) -> String {
        match self {
            Self::Upstream(error) => error.public_message(),
            Self::Store(error) if error.is_transient() => {
                "the database of the reviews is not available; try again later".into()
            }
            Self::Store(_) => "the database of the reviews failed".into(),
            _ => self.to_string(),
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

    /// Whether of many traces this one alone may be in trouble: the next may be read all the same.
    pub fn is_of_one_trace(&self) -> bool {
        match self {
            Self::TraceNotFound(_)
            | Self::SpansNotFound { .. }
            | Self::UnreadableSpans(_)
            | Self::TooManySpans => true,
            Self::Upstream(error) => error.is_of_one_thing(),
            _ => false,
        }
    }

    /// Whether a call that ended so surely changed nothing.
    pub(crate) fn surely_did_nothing(&self) -> bool {
        match self {
            Self::Upstream(error) => error.surely_did_nothing(),
            Self::Invalid(_)
            | Self::AccessDenied(_)
            | Self::TraceNotFound(_)
            | Self::AssessmentNotFound { .. } => true,
            _ => false,
        }
    }

    /// Says which trace it was, where MLflow says only that there is none.
    #[must_use]
    pub fn about_trace(self, id: &TraceId) -> Self {
        match &self {
            Self::Upstream(error) if error.is_not_found() => Self::TraceNotFound(id.clone()),
            Self::Upstream(error) if error.is_without_spans() => Self::SpansNotFound {
                trace_id: id.clone(),
                reason: error.why_without_spans().map(Into::into),
            },
            _ => self,
        }
    }
}
