//! An answer that has begun: its status read, its body still to come.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::Stream;
use futures::stream;
use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;

use super::before_silence;
use crate::error::ClientError;

/// The most of an error body that is read.
const ERROR_BODY_LIMIT: usize = 64 << 10;
/// The longest message kept of an error body, in characters.
const ERROR_MESSAGE_LIMIT: usize = 1000;

/// A successful answer whose body is still to come. Dropping it closes the read and frees the connection's place.
#[derive(Debug)]
pub(crate) struct Response {
    operation: &'static str,
    http: reqwest::Response,
    read_limit: Duration,
    _permit: OwnedSemaphorePermit,
}

impl Response {
    /// Turns every status but success into an error by meaning.
    pub(crate) async fn check(
        operation: &'static str,
        http: reqwest::Response,
        permit: OwnedSemaphorePermit,
        read_limit: Duration,
    ) -> Result<Self, ClientError> {
        let status = http.status();
        let response = Self {
            operation,
            http,
            read_limit,
            _permit: permit,
        };
        if status.is_success() {
            return Ok(response);
        }
        Err(response.into_error(status).await)
    }

    /// The body's length in bytes, where the server says it.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.http.content_length()
    }

    /// Reads the body whole.
    pub(crate) async fn whole(mut self, limit: usize) -> Result<Bytes, ClientError> {
        let too_large = ClientError::TooLarge {
            operation: self.operation,
            limit,
        };
        let expected = self
            .content_length()
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(0);
        if expected > limit {
            return Err(too_large);
        }
        let mut body = BytesMut::with_capacity(expected);
        while let Some(chunk) = self.chunk().await? {
            if body.len() + chunk.len() > limit {
                return Err(too_large);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// The body as it arrives. The server is read only as fast as the stream is.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Bytes, ClientError>> + Send {
        stream::try_unfold(self, |mut response| async move {
            Ok(response.chunk().await?.map(|chunk| (chunk, response)))
        })
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        before_silence(self.operation, self.read_limit, self.http.chunk()).await
    }

    async fn into_error(self, status: StatusCode) -> ClientError {
        let operation = self.operation;
        let retry_after = retry_after(self.http.headers());
        let is_html = is_html(self.http.headers());
        let body = self.whole(ERROR_BODY_LIMIT).await.unwrap_or_default();
        if is_html && matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
            return ClientError::RouteAbsent { operation };
        }
        let said = if is_html {
            ErrorBody::default()
        } else {
            ErrorBody::read(&body)
        };
        said.into_error(operation, status, retry_after)
    }
}

/// MLflow's and Databricks' error body.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    error_code: String,
    message: String,
}

impl ErrorBody {
    fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_else(|_| Self {
            message: String::from_utf8_lossy(body).into_owned(),
            ..Self::default()
        })
    }

    fn into_error(
        self,
        operation: &'static str,
        status: StatusCode,
        retry_after: Option<Duration>,
    ) -> ClientError {
        let Self {
            error_code: code,
            mut message,
        } = self;
        let number = status.as_u16();
        let of_database = (number == 400)
            .then(|| DatabaseTrouble::told_by(&message))
            .flatten();
        if let Some((end, _)) = message.char_indices().nth(ERROR_MESSAGE_LIMIT) {
            message.truncate(end);
        }
        if let Some(trouble) = of_database {
            return trouble.into_error(operation, code, message);
        }
        match number {
            401 => ClientError::Unauthorized { operation },
            403 => ClientError::Forbidden { operation, message },
            404 if code == "ENDPOINT_NOT_FOUND" => ClientError::RouteAbsent { operation },
            404 if code == "NOT_FOUND" && message.contains("Trace data not found") => {
                ClientError::SpansNotFound { operation, message }
            }
            404 => ClientError::NotFound { operation, message },
            429 => ClientError::RateLimited {
                operation,
                retry_after,
            },
            408 | 502..=504 => ClientError::Unavailable {
                operation,
                status: number,
                retry_after,
            },
            300..=399 => ClientError::Rejected {
                operation,
                status: number,
                code: "REDIRECT".to_owned(),
                message: "the server redirects elsewhere; is this the address of its API?".to_owned(),
            },
            400..=499 => ClientError::Rejected {
                operation,
                status: number,
                code,
                message,
            },
            500 if message.contains("Trace data not stored in tracking store") => {
                ClientError::SpansNotFound { operation, message }
            }
            _ => ClientError::Failed {
                operation,
                status: number,
                code,
                message,
            },
        }
    }
}

/// Trouble of MLflow's own database, which it answers 400 to, in the words of `SQLAlchemy`: no words for a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DatabaseTrouble {
    /// A row was there already, or a lock could not be had. MLflow looks first and then writes, so that two who link
    /// the same traces at once get into each other's way (seen on 3.17.2).
    Race,
    /// No connection was free.
    Load,
    /// Anything else.
    Other,
}

impl DatabaseTrouble {
    fn told_by(message: &str) -> Option<Self> {
        let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if !has(&["[SQL:", "sqlalche.me/e/"]) {
            return None;
        }
        let is_race = has(&[
            "UNIQUE constraint failed",
            "duplicate key value",
            "Duplicate entry",
            "Cannot insert duplicate key",
            "database is locked",
            "deadlock detected",
        ]);
        Some(match is_race {
            true => Self::Race,
            false if has(&["QueuePool limit"]) => Self::Load,
            false => Self::Other,
        })
    }

    fn into_error(self, operation: &'static str, code: String, message: String) -> ClientError {
        match self {
            Self::Race => ClientError::Contended { operation },
            Self::Load => ClientError::Unavailable {
                operation,
                status: 503,
                retry_after: None,
            },
            Self::Other => ClientError::Failed {
                operation,
                status: 400,
                code,
                message,
            },
        }
    }
}

fn is_html(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

/// Whole seconds only: that is what Databricks sends; a date would need a clock we share.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str) -> ClientError {
        let status = StatusCode::from_u16(status).unwrap();
        ErrorBody::read(body.as_bytes()).into_error("op", status, None)
    }

    #[test]
    fn captured_errors_are_read_by_meaning() {
        let unknown =
            r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"Trace with ID tr-0 is not found."}"#;
        assert!(matches!(error(404, unknown), ClientError::NotFound { .. }));
        let no_spans = r#"{"error_code":"NOT_FOUND","message":"Trace data not found for path=traces.json"}"#;
        assert!(matches!(error(404, no_spans), ClientError::SpansNotFound { .. }));
        let not_stored =
            r#"{"error_code":"INTERNAL_ERROR","message":"Trace data not stored in tracking store"}"#;
        assert!(matches!(
            error(500, not_stored),
            ClientError::SpansNotFound { .. }
        ));
        let filter = r#"{"error_code":"INVALID_PARAMETER_VALUE","message":"Invalid clause(s)"}"#;
        assert!(matches!(
            error(400, filter),
            ClientError::Rejected { status: 400, .. }
        ));
        assert!(matches!(
            error(500, "boom"),
            ClientError::Failed { status: 500, .. }
        ));
        assert!(matches!(
            error(302, ""),
            ClientError::Rejected { status: 302, .. }
        ));
    }

    #[test]
    fn words_that_quote_sql_are_nobodys_fault_but_the_servers() {
        let raced = r#"{"error_code":"BAD_REQUEST","message":"(sqlite3.IntegrityError) UNIQUE constraint failed: t.a\n[SQL: INSERT INTO t]"}"#;
        assert!(matches!(error(400, raced), ClientError::Contended { .. }));
        let refused = r#"{"error_code":"BAD_REQUEST","message":"(sqlite3.IntegrityError) FOREIGN KEY constraint failed\n[SQL: INSERT INTO t]"}"#;
        assert!(matches!(error(400, refused), ClientError::Failed { .. }));
        let loaded = r#"{"error_code":"BAD_REQUEST","message":"QueuePool limit of size 1 overflow 0 reached (Background on this error at: https://sqlalche.me/e/21/3o7r)"}"#;
        assert!(matches!(error(400, loaded), ClientError::Unavailable { .. }));
        let long = format!(
            r#"{{"message":"(sqlite3.IntegrityError) UNIQUE constraint failed: {}\n[SQL: x]"}}"#,
            "c, ".repeat(900)
        );
        assert!(
            matches!(error(400, &long), ClientError::Contended { .. }),
            "looked for before the words are cut"
        );
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let ClientError::Failed { message, .. } = error(500, &"é".repeat(5000)) else {
            panic!("not a failure")
        };
        assert_eq!(message.chars().count(), ERROR_MESSAGE_LIMIT);
    }
}
