//! What can go wrong between us and the server, by meaning.

use std::time::Duration;

use calls::Failure;

use crate::auth::ConfigError;

/// A failed call. No variant holds a credential or a signed URL.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server does not know the thing asked for.
    #[error("{operation}: not found: {message}")]
    NotFound {
        /// The call.
        operation: &'static str,
        /// The server's words.
        message: String,
    },
    /// The server knows the trace but has no spans of it.
    #[error("{operation}: the trace has no stored spans: {message}")]
    SpansNotFound {
        /// The call.
        operation: &'static str,
        /// The server's words.
        message: String,
    },
    /// The server refused the request as wrong (a filter it cannot read, for example).
    #[error("{operation}: rejected with {status} {code}: {message}")]
    Rejected {
        /// The call.
        operation: &'static str,
        /// The HTTP status, 4xx or 3xx.
        status: u16,
        /// MLflow's error code, or an empty text.
        code: String,
        /// The server's words.
        message: String,
    },
    /// The server does not accept our credentials.
    #[error("{operation}: the server does not accept the credentials")]
    Unauthorized {
        /// The call.
        operation: &'static str,
    },
    /// Our credentials do not allow the call.
    #[error("{operation}: the credentials do not allow it: {message}")]
    Forbidden {
        /// The call.
        operation: &'static str,
        /// The server's words.
        message: String,
    },
    /// The server does not accept the user's own token.
    #[error("{operation}: the server does not accept the user's token")]
    UserUnauthorized {
        /// The call.
        operation: &'static str,
    },
    /// The user's own token does not allow the call.
    #[error("{operation}: the user's token does not allow it: {message}")]
    UserForbidden {
        /// The call.
        operation: &'static str,
        /// The server's words.
        message: String,
    },
    /// The run's artifacts are kept where the server does not take any for us.
    #[error("{operation}: the server takes no artifacts of this run over HTTP")]
    ArtifactsElsewhere {
        /// The call.
        operation: &'static str,
    },
    /// The server asks us to slow down.
    #[error("{operation}: the server asks to slow down")]
    RateLimited {
        /// The call.
        operation: &'static str,
        /// How long to wait, if the server said.
        retry_after: Option<Duration>,
    },
    /// The server failed.
    #[error("{operation}: the server failed with {status} {code}: {message}")]
    Failed {
        /// The call.
        operation: &'static str,
        /// The HTTP status, 5xx.
        status: u16,
        /// MLflow's error code, or an empty text.
        code: String,
        /// The server's words; may hold internals such as SQL, so for the log only.
        message: String,
    },
    /// Two writes got into each other's way within the server: the same may work a moment later.
    #[error("{operation}: another write came in between")]
    Contended {
        /// The call.
        operation: &'static str,
    },
    /// The server says it is not available now.
    #[error("{operation}: the server is unavailable ({status})")]
    Unavailable {
        /// The call.
        operation: &'static str,
        /// 502, 503 or 504.
        status: u16,
        /// How long to wait, if the server said.
        retry_after: Option<Duration>,
    },
    /// No answer: no connection, or the connection broke.
    #[error("{operation}: {source}")]
    Unreachable {
        /// The call.
        operation: &'static str,
        /// What the HTTP library says, its URL removed.
        source: TransportError,
    },
    /// No answer in time.
    #[error("{operation}: no answer within {limit:?} ({phase})")]
    Timeout {
        /// The call.
        operation: &'static str,
        /// What was waited for.
        phase: &'static str,
        /// The limit that was reached.
        limit: Duration,
    },
    /// All connections were busy for too long.
    #[error("{operation}: no free connection within {limit:?}")]
    PoolExhausted {
        /// The call.
        operation: &'static str,
        /// The limit that was reached.
        limit: Duration,
    },
    /// The server did not answer the last calls: this one was not made.
    #[error("{operation}: the server does not answer; the next call goes through in {retry_after:?}")]
    LeftAlone {
        /// The call.
        operation: &'static str,
        /// How long until one is made again.
        retry_after: Duration,
    },
    /// The answer is not what the API promises.
    #[error("{operation}: unreadable answer: {reason}")]
    Malformed {
        /// The call.
        operation: &'static str,
        /// What is wrong with it; never a part of the answer.
        reason: String,
    },
    /// The answer is larger than we read whole.
    #[error("{operation}: the answer is larger than {limit} bytes")]
    TooLarge {
        /// The call.
        operation: &'static str,
        /// The limit that was reached.
        limit: usize,
    },
    /// This server has no such route: an older MLflow, or Databricks.
    #[error("{operation}: this server has no such route")]
    RouteAbsent {
        /// The call.
        operation: &'static str,
    },
    /// The credentials could not be obtained or used.
    #[error(transparent)]
    Credentials(#[from] ConfigError),
}

/// Whether a server answers at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    Yes,
    No,
}

/// A failure of the HTTP library, its URL removed and its whole cause chain in one line.
#[derive(Debug)]
pub struct TransportError(reqwest::Error);

impl TransportError {
    pub(crate) fn new(error: reqwest::Error) -> Self {
        Self(error.without_url())
    }

    /// Whether no connection came about, so that nothing can have been sent.
    pub(crate) fn is_connect(&self) -> bool {
        self.0.is_connect()
    }
}

impl std::fmt::Display for TransportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = std::error::Error::source(&self.0);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for TransportError {}

impl ClientError {
    /// Sorts a failure of the HTTP library.
    pub(crate) fn from_reqwest(operation: &'static str, error: reqwest::Error, read_limit: Duration) -> Self {
        if error.is_timeout() && !error.is_connect() {
            return Self::Timeout {
                operation,
                phase: "silence",
                limit: read_limit,
            };
        }
        Self::Unreachable {
            operation,
            source: TransportError::new(error),
        }
    }

    /// Whether the same call may succeed later without anyone changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::Failed { .. }
            | Self::Contended { .. }
            | Self::Unavailable { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::PoolExhausted { .. }
            | Self::LeftAlone { .. } => true,
            Self::NotFound { .. }
            | Self::SpansNotFound { .. }
            | Self::Rejected { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::UserUnauthorized { .. }
            | Self::UserForbidden { .. }
            | Self::Malformed { .. }
            | Self::TooLarge { .. }
            | Self::RouteAbsent { .. }
            | Self::ArtifactsElsewhere { .. }
            | Self::Credentials(_) => false,
        }
    }

    /// Whether the call surely changed nothing: it never reached the server, or was refused there.
    pub fn surely_did_nothing(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => source.is_connect(),
            Self::NotFound { .. }
            | Self::Rejected { .. }
            | Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::UserUnauthorized { .. }
            | Self::UserForbidden { .. }
            | Self::RateLimited { .. }
            | Self::PoolExhausted { .. }
            | Self::LeftAlone { .. }
            | Self::RouteAbsent { .. }
            | Self::ArtifactsElsewhere { .. }
            | Self::Credentials(_) => true,
            Self::SpansNotFound { .. }
            | Self::Failed { .. }
            | Self::Contended { .. }
            | Self::Unavailable { .. }
            | Self::Timeout { .. }
            | Self::Malformed { .. }
            | Self::TooLarge { .. } => false,
        }
    }

    /// How long the server asks to wait before another try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Unavailable { retry_after, .. } => *retry_after,
            Self::LeftAlone { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// The same of a call that was made in a user's own name: what is refused is refused to them.
    pub(crate) fn of_user(self) -> Self {
        match self {
            Self::Unauthorized { operation } => Self::UserUnauthorized { operation },
            Self::Forbidden { operation, message } => Self::UserForbidden { operation, message },
            other => other,
        }
    }

    /// What the call's end says of the server: that it answers, that it does not, or nothing.
    pub(crate) fn proves(&self) -> Option<Answers> {
        match self {
            Self::Unavailable { .. } | Self::Unreachable { .. } | Self::Timeout { .. } => Some(Answers::No),
            Self::PoolExhausted { .. } | Self::LeftAlone { .. } | Self::Credentials(_) => None,
            // Whatever it says, it says something. A failure of its own may be one of this call alone.
            _ => Some(Answers::Yes),
        }
    }
}

impl Failure for ClientError {
    fn kind(&self) -> &'static str {
        match self {
            Self::NotFound { .. } | Self::SpansNotFound { .. } => "not_found",
            Self::Rejected { .. } => "rejected",
            Self::Unauthorized { .. }
            | Self::Forbidden { .. }
            | Self::UserUnauthorized { .. }
            | Self::UserForbidden { .. }
            | Self::Credentials(_) => "denied",
            Self::RateLimited { .. } => "rate_limited",
            Self::Failed { .. } | Self::Contended { .. } => "failed",
            Self::Unavailable { .. } => "unavailable",
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::PoolExhausted { .. } => "no_connection",
            Self::LeftAlone { .. } => "left_alone",
            Self::Malformed { .. } | Self::TooLarge { .. } => "unreadable",
            Self::RouteAbsent { .. } | Self::ArtifactsElsewhere { .. } => "absent",
        }
    }
}
