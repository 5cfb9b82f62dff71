//! Our own traces, sent to a collector: by OTLP over HTTP or gRPC, in batches, from a thread of OpenTelemetry's own. When the
//! collector lags, spans are dropped (those above `OTEL_BSP_MAX_QUEUE_SIZE`, 2,048); no request waits for it.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry::{Key, KeyValue, global};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;

use crate::config::{ConfigError, OtlpProtocol, OtlpTarget};

/// How long the last spans may take when the process ends: Databricks Apps kills it 15 s after the signal.
const LAST_EXPORT_LIMIT: Duration = Duration::from_secs(2);

/// Traces are sent until this is dropped.
#[derive(Debug)]
pub(super) struct Exporting(SdkTracerProvider);

impl Drop for Exporting {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(LAST_EXPORT_LIMIT) {
            tracing::warn!(%error, "the last of our own traces may be lost");
        }
    }
}

/// Begins to send them. What is not of the target is read from the environment by OpenTelemetry's SDK, by its own names.
pub(super) fn start(target: &OtlpTarget, runtime: &Handle) -> Result<Exporting, ConfigError> {
    let exporter = exporter(target, runtime).map_err(|error| ConfigError::Otlp(error.to_string()))?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource())
        .build();
    global::set_tracer_provider(provider.clone());
    global::set_text_map_propagator(TraceContextPropagator::new());
    tracing::info!(endpoint = %target.endpoint, "sends traces of its own");
    Ok(Exporting(provider))
}

fn exporter(target: &OtlpTarget, runtime: &Handle) -> Result<SpanExporter, ExporterBuildError> {
    let endpoint = target.endpoint.as_str();
    // Its connection belongs to the runtime.
    let _entered = runtime.enter();
    match target.protocol {
        OtlpProtocol::Grpc => {
            let builder = SpanExporter::builder()
                .with_tonic()
                .with_endpoint(endpoint)
                .with_timeout(target.timeout);
            if target.endpoint.scheme() == "https" {
                // Left to itself it trusts nobody.
                let roots = ClientTlsConfig::new().with_native_roots();
                builder.with_tls_config(roots).build()
            } else {
                builder.build()
            }
        }
        OtlpProtocol::HttpProtobuf => SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_http_client(Sender::new(runtime, target.timeout)?)
            .with_endpoint(endpoint)
            .with_timeout(target.timeout)
            .build(),
    }
}

/// Who the spans are of: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, else by our own name.
fn resource() -> Resource {
    let told = Resource::builder().build();
    let name = told.get(&Key::from_static_str("service.name"));
    let is_named = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let resource =
        Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if is_named {
        resource.build()
    } else {
        resource.with_service_name("trace-server").build()
    }
}

/// Sends by the runtime: the thread that asks for it has none.
#[derive(Debug)]
struct Sender {
    client: reqwest::Client,
    runtime: Handle,
}

impl Sender {
    fn new(runtime: &Handle, timeout: Duration) -> Result<Self, ExporterBuildError> {
        // Err means that a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build();
        Ok(Self {
            client: client.map_err(|error| ExporterBuildError::InternalFailure(error.to_string()))?,
            runtime: runtime.clone(),
        })
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, request) = (self.client.clone(), request.try_into()?);
        let answer = async move {
            let mut answer = client.execute(request).await?;
            let mut told = Response::builder().status(answer.status());
            if let Some(headers) = told.headers_mut() {
                std::mem::swap(headers, answer.headers_mut());
            }
            Ok::<_, reqwest::Error>((told, answer.bytes().await?))
        };
        let (told, body) = self
            .runtime
            .spawn(answer)
            .await?
            .map_err(reqwest::Error::without_url)?;
        Ok(told.body(body)?)
    }
}
