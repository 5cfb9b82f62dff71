//! Whoever keeps the traces failed: one error for an MLflow server and for MLflow's own database.

use std::time::Duration;

use mlflow_client::ClientError;
use mlflow_store::DatabaseError;

use crate::error::ErrorCode;

/// A failed call of whoever keeps the traces.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// An MLflow server, or a Databricks workspace.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// MLflow's own database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl UpstreamError {
    /// Whether the thing asked for is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::Client(ClientError::NotFound { .. }) | Self::Database(DatabaseError::NotFound(_))
        )
    }

    /// Whether a trace is there that has no spans.
    pub fn is_without_spans(&self) -> bool {
        matches!(
            self,
            Self::Client(ClientError::SpansNotFound { .. }) | Self::Database(DatabaseError::SpansNotFound(_))
        )
    }

    /// Why a trace that is there has no spans, where that is known.
    pub fn why_without_spans(&self) -> Option<&str> {
        match self {
            Self::Database(DatabaseError::SpansNotFound(reason)) => Some(reason),
            _ => None,
        }
    }

    /// Whether the same call may succeed later without anyone changing anything.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Client(error) => error.is_transient(),
            Self::Database(error) => error.is_transient(),
        }
    }

    /// Whether it is about the thing that was asked for, and not about who asks or the server as a whole.
    pub(crate) fn is_of_one_thing(&self) -> bool {
        match self {
            Self::Client(error) => matches!(
                error,
                ClientError::NotFound { .. }
                    | ClientError::SpansNotFound { .. }
                    | ClientError::Rejected { .. }
                    | ClientError::Failed { .. }
                    | ClientError::Malformed { .. }
                    | ClientError::TooLarge { .. }
            ),
            Self::Database(error) => matches!(
                error,
                DatabaseError::NotFound(_)
                    | DatabaseError::SpansNotFound(_)
                    | DatabaseError::Refused(_)
                    | DatabaseError::Failed(_)
                    | DatabaseError::Unreadable { .. }
                    | DatabaseError::ArtifactsElsewhere(_)
                    | DatabaseError::Artifact(_)
            ),
        }
    }

    /// Whether the call surely changed nothing.
    pub(crate) fn surely_did_nothing(&self) -> bool {
        match self {
            Self::Client(error) => error.surely_did_nothing(),
            Self::Database(error) => error.surely_did_nothing(),
        }
    }

    /// How long it asks to wait before another try.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Client(error) => error.retry_after(),
            Self::Database(DatabaseError::LeftAlone(pause)) => Some(*pause),
            Self::Database(_) => None,
        }
    }

    /// The error's stable code.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Client(error) => code_of_client(error),
            Self::Database(error) => match error {
                DatabaseError::NotFound(_) | DatabaseError::SpansNotFound(_) => ErrorCode::ResourceNotFound,
                DatabaseError::Refused(_) => ErrorCode::ValidationError,
                DatabaseError::Busy(_) | DatabaseError::Unreachable(_) | DatabaseError::LeftAlone(_) => {
                    ErrorCode::UpstreamUnavailable
                }
                DatabaseError::Timeout(_) => ErrorCode::UpstreamTimeout,
                DatabaseError::Address(_)
                | DatabaseError::UnknownSchema { .. }
                | DatabaseError::ReadOnly { .. }
                | DatabaseError::Failed(_)
                | DatabaseError::Unreadable { .. }
                | DatabaseError::ArtifactsElsewhere(_)
                | DatabaseError::Artifact(_) => ErrorCode::UpstreamError,
            },
        }
    }

    /// The error in words for the one who asked. The server's own words only where it judges the request; its failures
    /// may quote SQL or addresses and are for the log.
    pub(crate) fn public_message(&self) -> String {
        match self {
            Self::Client(error) => message_of_client(error),
            Self::Database(error) => message_of_database(error),
        }
    }
}

fn code_of_client(error: &ClientError) -> ErrorCode {
    match error {
        ClientError::NotFound { .. } | ClientError::SpansNotFound { .. } => ErrorCode::ResourceNotFound,
        ClientError::Rejected { status: 400, .. } => ErrorCode::ValidationError,
        ClientError::Rejected { status: 409, .. } => ErrorCode::Conflict,
        ClientError::UserUnauthorized { .. } => ErrorCode::AuthenticationError,
        ClientError::UserForbidden { .. } => ErrorCode::AuthorizationError,
        ClientError::RateLimited { .. } => ErrorCode::RateLimited,
        ClientError::Unavailable { status: 504, .. } | ClientError::Timeout { .. } => {
            ErrorCode::UpstreamTimeout
        }
        ClientError::Unavailable { .. }
        | ClientError::Contended { .. }
        | ClientError::Unreachable { .. }
        | ClientError::PoolExhausted { .. }
        | ClientError::LeftAlone { .. } => ErrorCode::UpstreamUnavailable,
        ClientError::Rejected { .. }
        | ClientError::Unauthorized { .. }
        | ClientError::Forbidden { .. }
        | ClientError::Failed { .. }
        | ClientError::Malformed { .. }
        | ClientError::TooLarge { .. }
        | ClientError::RouteAbsent { .. }
        | ClientError::ArtifactsElsewhere { .. }
        | ClientError::Credentials(_) => ErrorCode::UpstreamError,
    }
}

fn message_of_client(error: &ClientError) -> String {
    match error {
        ClientError::Rejected {
            status: 400 | 409,
            message,
            ..
        }
        | ClientError::NotFound { message, .. }
            if !message.is_empty() =>
        {
            message.clone()
        }
        // Why is not said, or at such length that it was not read.
        ClientError::Rejected {
            status: 400 | 409, ..
        } => "MLflow refuses this request".into(),
        ClientError::NotFound { .. } => "MLflow knows no such thing".into(),
        ClientError::SpansNotFound { .. } => "MLflow has no stored spans of this trace".into(),
        ClientError::RateLimited { .. } => "MLflow asks to slow down; try again later".into(),
        ClientError::Unavailable { .. } => "MLflow is unavailable; try again later".into(),
        ClientError::Contended { .. } => "another write came in between within MLflow; try again".into(),
        ClientError::LeftAlone { .. } => "MLflow has not answered for a while; try again later".into(),
        ClientError::Unreachable { .. } => "MLflow cannot be reached; try again later".into(),
        ClientError::PoolExhausted { .. } => "all connections to MLflow are busy; try again later".into(),
        ClientError::Timeout { .. } => "MLflow did not answer in time".into(),
        ClientError::Unauthorized { .. } | ClientError::Credentials(_) => {
            "MLflow does not accept this server's credentials".into()
        }
        ClientError::UserUnauthorized { .. } => "MLflow does not accept your token; sign in again".into(),
        ClientError::UserForbidden { .. } => "MLflow does not allow you to do that".into(),
        ClientError::Forbidden { .. } => "MLflow does not allow this server to do that".into(),
        ClientError::RouteAbsent { .. } => {
            "this MLflow cannot do that: it is too old for it, or not at this address".into()
        }
        ClientError::ArtifactsElsewhere { .. } => {
            "this MLflow takes no artifacts over HTTP, where analyses are kept: start it with --serve-artifacts".into()
        }
        ClientError::TooLarge { .. } => "MLflow's answer is too large to be read whole".into(),
        ClientError::Rejected { .. } | ClientError::Failed { .. } | ClientError::Malformed { .. } => {
            "MLflow failed to answer".into()
        }
    }
}

fn message_of_database(error: &DatabaseError) -> String {
    match error {
        DatabaseError::NotFound(_)
        | DatabaseError::SpansNotFound(_)
        | DatabaseError::Refused(_)
        | DatabaseError::UnknownSchema { .. }
        | DatabaseError::ReadOnly { .. }
        | DatabaseError::ArtifactsElsewhere(_)
        | DatabaseError::Unreadable { .. } => error.to_string(),
        DatabaseError::Busy(_) => "MLflow's database is busy; try again later".into(),
        DatabaseError::Unreachable(_) => "MLflow's database cannot be reached; try again later".into(),
        DatabaseError::LeftAlone(_) => {
            "MLflow's database has not answered for a while; try again later".into()
        }
        DatabaseError::Timeout(_) => "MLflow's database did not answer in time".into(),
        DatabaseError::Artifact(_) => "what MLflow keeps as an artifact cannot be read or written".into(),
        DatabaseError::Address(_) | DatabaseError::Failed(_) => "MLflow's database failed to answer".into(),
    }
}
