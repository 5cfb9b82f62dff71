//! What can go wrong between us and the model, by meaning.

use std::time::Duration;

use calls::Failure;

/// The longest message kept of what a server says, in characters.
const MESSAGE_LIMIT: usize = 500;

/// A question without an answer. No message shows the address, the key, or words of the server, which may quote the question.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ChatError {
    /// The settings cannot be used.
    #[error("{0}")]
    Config(&'static str),
    /// No answer: no connection, or the connection broke.
    #[error("the model's server cannot be reached: {reason}")]
    Unreachable {
        /// What broke.
        reason: &'static str,
        /// Whether nothing can have been sent.
        is_connect: bool,
    },
    /// No answer in time.
    #[error("the model did not answer within {limit:?}")]
    Timeout {
        /// The limit that was reached.
        limit: Duration,
    },
    /// The server does not accept the key, or it does not allow this model.
    #[error("the model's server does not accept the credentials")]
    Unauthorized,
    /// The server asks to slow down, or the quota is used up.
    #[error("the model's server asks to slow down")]
    RateLimited {
        /// How long to wait, if the server said.
        retry_after: Option<Duration>,
    },
    /// The server refused the request: it knows no such model, or the question is too long for it.
    #[error("the model's server refused the request ({status})")]
    Rejected {
        /// The HTTP status, 3xx or 4xx.
        status: u16,
        /// The server's words, cut; they may quote the question.
        message: String,
    },
    /// The server failed, or is not available now.
    #[error("the model's server is unavailable ({status})")]
    Unavailable {
        /// The HTTP status, 408 or 5xx.
        status: u16,
        /// How long to wait, if the server said.
        retry_after: Option<Duration>,
    },
    /// The answer is not what the API promises.
    #[error("the model's server gave an unreadable answer: {reason}")]
    Malformed {
        /// What is wrong with it; never a part of it.
        reason: &'static str,
    },
    /// The answer is larger than we read.
    #[error("the model's answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit that was reached.
        limit: usize,
    },
}

impl Failure for ChatError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Config(_) => "absent",
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::Unauthorized => "denied",
            Self::RateLimited { .. } => "rate_limited",
            Self::Rejected { .. } => "rejected",
            Self::Unavailable { .. } => "unavailable",
            Self::Malformed { .. } | Self::TooLarge { .. } => "unreadable",
        }
    }
}

impl ChatError {
    /// [`Self::Rejected`], with as much of the server's words as is kept.
    pub fn rejected(status: u16, message: &str) -> Self {
        Self::Rejected {
            status,
            message: message.chars().take(MESSAGE_LIMIT).collect(),
        }
    }

    /// An answer that cannot be read.
    pub(crate) fn malformed(reason: &'static str) -> Self {
        Self::Malformed { reason }
    }

    /// Sorts a failure of the HTTP library, of which nothing else is kept: its words may hold the address.
    pub(crate) fn from_reqwest(error: &reqwest::Error) -> Self {
        let is_connect = error.is_connect();
        let reason = if is_connect {
            "no connection came about"
        } else {
            "the connection broke"
        };
        Self::Unreachable { reason, is_connect }
    }

    /// Whether the same question may be answered when it is asked again.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::RateLimited { .. }
            | Self::Unavailable { .. } => true,
            Self::Config(_)
            | Self::Unauthorized
            | Self::Rejected { .. }
            | Self::Malformed { .. }
            | Self::TooLarge { .. } => false,
        }
    }

    /// How long the server asks to wait before another try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
