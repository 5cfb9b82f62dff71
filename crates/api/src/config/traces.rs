//! Where our own traces are sent.

use clap::Args;
use url::Url;

use super::{ConfigError, given};

/// Where our own traces are sent: OpenTelemetry's, of the requests that are served and the calls of MLflow made for them.
///
/// By the names of OpenTelemetry's specification. Its SDK reads more of them itself: `OTEL_EXPORTER_OTLP_HEADERS`,
/// `OTEL_EXPORTER_OTLP_COMPRESSION`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_*`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Traces of itself")]
pub struct TraceArgs {
    /// A collector's address, such as `http://127.0.0.1:4318`: spans of our own work are sent to `/v1/traces` there. Unset, none
    /// are made. `OTEL_EXPORTER_OTLP_HEADERS` and `_COMPRESSION` (`gzip`), `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`,
    /// `OTEL_TRACES_SAMPLER` and `OTEL_BSP_*` count as OpenTelemetry has them.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// The whole address, where it does not end in `/v1/traces`.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", value_name = "URL")]
    otlp_traces_endpoint: Option<String>,
    /// What the collector speaks: `http/protobuf`, as MLflow does, or `grpc`, as Databricks Apps does.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_PROTOCOL",
        value_name = "PROTOCOL",
        default_value = "http/protobuf"
    )]
    otlp_protocol: String,
    /// `true`: no spans are made, whatever else is set.
    #[arg(long, env = "OTEL_SDK_DISABLED", value_name = "BOOL", default_value = "false")]
    otel_disabled: String,
}

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// By gRPC; Databricks Apps collects so.
    Grpc,
    /// By HTTP; MLflow collects so.
    HttpProtobuf,
}

/// Where to, and how.
#[derive(Debug, PartialEq, Eq)]
pub struct OtlpTarget {
    /// The whole address; no credentials in it.
    pub endpoint: Url,
    /// What is spoken there.
    pub protocol: OtlpProtocol,
}

impl TraceArgs {
    /// Where to send them; `None` where none are made.
    ///
    /// # Errors
    /// When the address or the protocol is none that can be used.
    pub fn target(&self) -> Result<Option<OtlpTarget>, ConfigError> {
        let whole = given(self.otlp_traces_endpoint.as_ref());
        let Some(text) = whole.or(given(self.otlp_endpoint.as_ref())) else {
            return Ok(None);
        };
        // OpenTelemetry takes every other value for false.
        if self.otel_disabled.trim().eq_ignore_ascii_case("true") {
            return Ok(None);
        }
        let protocol = match self.otlp_protocol.trim() {
            "http/protobuf" => OtlpProtocol::HttpProtobuf,
            "grpc" => OtlpProtocol::Grpc,
            other => return Err(ConfigError::OtlpProtocol(other.to_owned())),
        };
        let wrong = |rule: &str| ConfigError::Otlp(rule.to_owned());
        let mut endpoint: Url = text
            .parse()
            .map_err(|_| wrong("is no address; use http://HOST:PORT or https://HOST"))?;
        if !matches!(endpoint.scheme(), "http" | "https") || !endpoint.has_host() {
            return Err(wrong("is no address; use http://HOST:PORT or https://HOST"));
        }
        if !endpoint.username().is_empty() || endpoint.password().is_some() {
            return Err(wrong(
                "holds credentials; set them as OTEL_EXPORTER_OTLP_HEADERS=authorization=…",
            ));
        }
        if endpoint.query().is_some() || endpoint.fragment().is_some() {
            return Err(wrong(
                "has a query, which would be logged; what nobody may see belongs into OTEL_EXPORTER_OTLP_HEADERS",
            ));
        }
        if whole.is_none() && protocol == OtlpProtocol::HttpProtobuf {
            let path = format!("{}/v1/traces", endpoint.path().trim_end_matches('/'));
            endpoint.set_path(&path);
        }
        Ok(Some(OtlpTarget { endpoint, protocol }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Cli;
    use clap::Parser;

    fn target(arguments: &[&str]) -> Result<Option<OtlpTarget>, String> {
        let cli = Cli::try_parse_from([&["trace-server"], arguments].concat()).unwrap();
        cli.config.traces.target().map_err(|error| error.to_string())
    }

    #[test]
    fn the_address_is_made_whole_as_opentelemetry_has_it() {
        let base = "--otlp-endpoint";
        for (arguments, endpoint) in [
            (
                &[base, "http://127.0.0.1:4318"][..],
                "http://127.0.0.1:4318/v1/traces",
            ),
            (
                &[base, "https://c.example/otlp/"],
                "https://c.example/otlp/v1/traces",
            ),
            (
                &[base, "http://127.0.0.1:4314", "--otlp-protocol", "grpc"],
                "http://127.0.0.1:4314/",
            ),
            (
                &[
                    base,
                    "http://127.0.0.1:1",
                    "--otlp-traces-endpoint",
                    "http://127.0.0.1:2/spans",
                ],
                "http://127.0.0.1:2/spans",
            ),
        ] {
            assert_eq!(target(arguments).unwrap().unwrap().endpoint.as_str(), endpoint);
        }
        assert_eq!(target(&[]).unwrap(), None);
        assert_eq!(target(&[base, " "]).unwrap(), None);
        assert_eq!(target(&["--otlp-protocol", "http/json"]).unwrap(), None);
        let unspoken = target(&[base, "http://127.0.0.1:4318", "--otlp-protocol", "http/json"]);
        assert!(unspoken.unwrap_err().contains("http/protobuf or grpc"));
        let disabled = [base, "http://127.0.0.1:4318", "--otel-disabled", "TRUE"];
        assert_eq!(target(&disabled).unwrap(), None);
    }

    #[test]
    fn what_is_no_address_or_holds_credentials_is_refused_without_being_told() {
        for wrong in [
            "127.0.0.1:4318",
            "ftp://c.example",
            "http://ann:secret@c.example",
            "http://c.example/?api_key=secret",
            "http://",
        ] {
            let why = target(&["--otlp-endpoint", wrong]).unwrap_err();
            assert!(
                why.starts_with("OTEL_EXPORTER_OTLP_ENDPOINT ") && !why.contains("secret"),
                "{why}"
            );
        }
    }
}
