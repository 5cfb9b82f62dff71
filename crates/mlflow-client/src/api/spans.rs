//! A trace's spans, by the fastest way the server has.
//!
//! 1. Open-source MLflow: `get-trace-artifact` answers with the dictionary format, whatever the storage; its bytes
//!    pass through. It is a route of MLflow's own page and may be closed by a gateway in front, hence
//! 2. `traces/get` (since 3.10), converted from OTLP; then
//! 3. `traces.json` from the artifact store, as servers before 3.6 keep it.
//! 4. Databricks: `traces.json` through a signed URL of the cloud store, which never sees our credentials.

use std::fmt;

use bytes::Bytes;
use domain::TraceId;
use futures::stream::{self, BoxStream, StreamExt};
use serde::Deserialize;

use crate::capabilities::{Capabilities, Feature, Flavor};
use crate::client::MlflowClient;
use crate::error::ClientError;
use crate::transport::{Call, Response};
use crate::wire::otlp;
use crate::wire::signed::{SignedUrl, may_have_expired};

/// A trace's spans as they arrive: the JSON text `{"spans":[…]}` in MLflow's dictionary format.
pub struct SpanBody {
    /// The text's length in bytes, where the server says it.
    pub content_length: Option<u64>,
    /// The text in pieces. Dropping the stream ends the read; the server is read only as fast as the stream is.
    pub chunks: BoxStream<'static, Result<Bytes, ClientError>>,
}

impl fmt::Debug for SpanBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpanBody")
            .field("content_length", &self.content_length)
            .finish_non_exhaustive()
    }
}

impl From<Response> for SpanBody {
    fn from(response: Response) -> Self {
        Self {
            content_length: response.content_length(),
            chunks: response.into_stream().boxed(),
        }
    }
}

impl From<Bytes> for SpanBody {
    fn from(whole: Bytes) -> Self {
        Self {
            content_length: Some(whole.len() as u64),
            chunks: stream::iter([Ok(whole)]).boxed(),
        }
    }
}

#[derive(Deserialize)]
struct SignedDownload {
    credential_info: SignedUrl,
}

impl MlflowClient {
    /// Opens a trace's spans; returns once the answer begins.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the server does not know the trace, [`ClientError::SpansNotFound`] when it knows
    /// the trace but has no spans of it. Errors after the beginning come out of the stream.
    pub async fn open_spans(&self, id: &TraceId) -> Result<SpanBody, ClientError> {
        let capabilities = self.capabilities().await;
        match capabilities.flavor() {
            Flavor::Databricks => self.open_signed_spans(id).await,
            Flavor::OpenSource => self.open_open_source_spans(id, &capabilities).await,
        }
    }

    async fn open_open_source_spans(
        &self,
        id: &TraceId,
        capabilities: &Capabilities,
    ) -> Result<SpanBody, ClientError> {
        if capabilities.has(Feature::TraceArtifact) {
            let call = Call::get("traces.artifact", "/ajax-api/2.0/mlflow/get-trace-artifact")
                .query("request_id", id.as_str());
            match self.transport().open(&call).await {
                Err(ClientError::RouteAbsent { .. })
                    if capabilities.believes_absent(Feature::TraceArtifact) => {}
                answer => return answer.map(Into::into),
            }
        }
        if capabilities.has(Feature::TracesGet) {
            match self.converted_spans(id).await {
                Err(ClientError::RouteAbsent { .. }) if capabilities.believes_absent(Feature::TracesGet) => {}
                // The spans may still be an artifact.
                Err(ClientError::SpansNotFound { .. }) => {}
                answer => return answer.map(Into::into),
            }
        }
        self.open_artifact_spans(id).await
    }

    async fn converted_spans(&self, id: &TraceId) -> Result<Bytes, ClientError> {
        // Without allow_partial the server sleeps for 3 s and answers 404 while spans are missing.
        let call = Call::get("traces.get", "/api/3.0/mlflow/traces/get")
            .query("trace_id", id.as_str())
            .query("allow_partial", "true");
        match self.transport().json::<otlp::TraceAnswer>(&call).await {
            Ok(answer) => {
                // Megabytes may be converted: not on a thread that others wait for.
                let converted = tokio::task::spawn_blocking(|| answer.into_dictionary()).await;
                converted
                    .map_err(|_| call.unreadable("its conversion was interrupted"))?
                    .map_err(|error| call.malformed(&error))
            }
            // A server without the route takes its last word for a trace's id.
            Err(ClientError::NotFound { operation, message }) if message.contains("'get'") => {
                Err(ClientError::RouteAbsent { operation })
            }
            Err(error) => Err(error),
        }
    }

    async fn open_artifact_spans(&self, id: &TraceId) -> Result<SpanBody, ClientError> {
        let info = self.get_trace_info(id).await?;
        let location = info.tags.get("mlflow.artifactLocation").map(String::as_str);
        let Some(folder) = location.and_then(|uri| uri.strip_prefix("mlflow-artifacts:/")) else {
            let message = "its artifact location cannot be reached through the server".to_owned();
            return Err(ClientError::SpansNotFound {
                operation: "artifacts.get",
                message,
            });
        };
        let path = format!(
            "/api/2.0/mlflow-artifacts/artifacts/{}/traces.json",
            folder.trim_matches('/')
        );
        match self.transport().open(&Call::get("artifacts.get", path)).await {
            Err(ClientError::NotFound { operation, message }) => {
                Err(ClientError::SpansNotFound { operation, message })
            }
            answer => answer.map(Into::into),
        }
    }

    async fn open_signed_spans(&self, id: &TraceId) -> Result<SpanBody, ClientError> {
        match self.open_signed_spans_once(id).await {
            Err(error) if may_have_expired(&error, SIGNED_OPERATION) => self.open_signed_spans_once(id).await,
            answer => answer,
        }
    }

    async fn open_signed_spans_once(&self, id: &TraceId) -> Result<SpanBody, ClientError> {
        let path = format!("/api/2.0/mlflow/traces/{id}/credentials-for-data-download");
        let call = Call::get("traces.credentials", path);
        let signed = self
            .transport()
            .json::<SignedDownload>(&call)
            .await?
            .credential_info;
        match self
            .transport()
            .open_signed(SIGNED_OPERATION, signed.signed_uri, &signed.headers)
            .await
        {
            Err(ClientError::NotFound { operation, .. }) => {
                let message = "the cloud store has no traces.json".to_owned();
                Err(ClientError::SpansNotFound { operation, message })
            }
            answer => answer.map(Into::into),
        }
    }
}

const SIGNED_OPERATION: &str = "traces.signed_download";
