//! One request as data.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use serde::Serialize;

use crate::error::ClientError;

/// One request as data, so that it can be sent again.
#[derive(Debug)]
pub(crate) struct Call {
    /// A stable name for errors, logs and metrics.
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<Bytes>,
    /// What the body is.
    pub(crate) content_type: &'static str,
    /// Whether the call may be sent again without knowing whether the first arrived. Declared by each call:
    /// several of MLflow's reads are POST, so the method says nothing.
    pub(crate) is_idempotent: bool,
    /// How long the server may be silent, where that is not what the transport bears.
    pub(crate) silence: Option<Duration>,
}

impl Call {
    /// A GET, which is idempotent.
    pub(crate) fn get(operation: &'static str, path: impl Into<String>) -> Self {
        Self {
            operation,
            method: Method::GET,
            path: path.into(),
            query: Vec::new(),
            body: None,
            content_type: "application/json",
            is_idempotent: true,
            silence: None,
        }
    }

    /// A read that MLflow spells as POST.
    pub(crate) fn read_by_post(
        operation: &'static str,
        path: impl Into<String>,
        body: &impl Serialize,
    ) -> Result<Self, ClientError> {
        Ok(Self::write(operation, Method::POST, path, body)?.idempotent())
    }

    /// A write, which is not idempotent unless it is declared so.
    pub(crate) fn write(
        operation: &'static str,
        method: Method,
        path: impl Into<String>,
        body: &impl Serialize,
    ) -> Result<Self, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Malformed {
            operation,
            reason: error.to_string(),
        })?;
        Ok(Self {
            method,
            body: Some(body.into()),
            is_idempotent: false,
            ..Self::get(operation, path)
        })
    }

    /// A PUT of this content, which is idempotent.
    pub(crate) fn put(
        operation: &'static str,
        path: impl Into<String>,
        content: Bytes,
        content_type: &'static str,
    ) -> Self {
        Self {
            method: Method::PUT,
            body: Some(content),
            content_type,
            ..Self::get(operation, path)
        }
    }

    /// A DELETE without a body. Idempotent: sent twice, the thing is as gone as it was, though the second answer may
    /// be that it is not found.
    pub(crate) fn delete(operation: &'static str, path: impl Into<String>) -> Self {
        Self {
            method: Method::DELETE,
            ..Self::get(operation, path)
        }
    }

    /// Declares that the call, sent twice, does what it does when sent once.
    pub(crate) fn idempotent(mut self) -> Self {
        self.is_idempotent = true;
        self
    }

    pub(crate) fn query(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    /// The answer is not the JSON it should be; says where, never what.
    pub(crate) fn malformed(&self, error: &serde_json::Error) -> ClientError {
        let kind = match error.classify() {
            serde_json::error::Category::Eof => "JSON that ends too early",
            serde_json::error::Category::Data => "JSON of another shape",
            _ => "not JSON",
        };
        self.unreadable(format!(
            "{kind} (line {}, column {})",
            error.line(),
            error.column()
        ))
    }

    /// An answer that cannot be read, for a reason that holds nothing of it.
    pub(crate) fn unreadable(&self, reason: impl Into<String>) -> ClientError {
        ClientError::Malformed {
            operation: self.operation,
            reason: reason.into(),
        }
    }
}
