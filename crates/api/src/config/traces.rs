//! Where our own traces are sent.

use std::time::Duration;

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
    /// The same for spans alone, which goes before it.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", value_name = "PROTOCOL")]
    otlp_traces_protocol: Option<String>,
    /// The longest that one export may take, in ms.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_TIMEOUT",
        value_name = "MS",
        default_value = "10000"
    )]
    otlp_timeout: String,
    /// The same for spans alone, which goes before it.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", value_name = "MS")]
    otlp_traces_timeout: Option<String>,
    /// `otlp`, also without an address: to the collector of this machine. With any other, such as `none`, no spans are made.
    #[arg(long, env = "OTEL_TRACES_EXPORTER", value_name = "NAME")]
    otel_traces_exporter: Option<String>,
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
    /// The longest that one export may take.
    pub timeout: Duration,
}

impl TraceArgs {
    /// Where to send them; `None` where none are made.
    ///
    /// # Errors
    /// When the address, the protocol or the time is none that can be used.
    pub fn target(&self) -> Result<Option<OtlpTarget>, ConfigError> {
        // OpenTelemetry takes every other value for false.
        if self.otel_disabled.trim().eq_ignore_ascii_case("true") {
            return Ok(None);
        }
        // A list; others in it are of other exporters, which we are not.
        let exporters = given(self.otel_traces_exporter.as_ref());
        let is_otlp = |name: &str| name.trim().eq_ignore_ascii_case("otlp");
        let is_wanted = exporters.is_some_and(|names| names.split(',').any(is_otlp));
        if exporters.is_some() && !is_wanted {
            return Ok(None);
        }
        let whole = given(self.otlp_traces_endpoint.as_ref());
        let address = whole.or(given(self.otlp_endpoint.as_ref()));
        if address.is_none() && !is_wanted {
            return Ok(None);
        }
        let protocol = given(self.otlp_traces_protocol.as_ref()).or(given(Some(&self.otlp_protocol)));
        let (protocol, nearby) = match protocol.unwrap_or("http/protobuf") {
            "http/protobuf" => (OtlpProtocol::HttpProtobuf, "http://localhost:4318"),
            "grpc" => (OtlpProtocol::Grpc, "http://localhost:4317"),
            other => return Err(ConfigError::OtlpProtocol(other.to_owned())),
        };
        let text = address.unwrap_or(nearby);
        let timeout = given(self.otlp_traces_timeout.as_ref()).or(given(Some(&self.otlp_timeout)));
        let timeout = timeout.unwrap_or("10000").parse().ok().filter(|ms| *ms > 0);
        let timeout = timeout
            .map(Duration::from_millis)
            .ok_or(ConfigError::OtlpTimeout)?;
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
        Ok(Some(OtlpTarget {
            endpoint,
            protocol,
            timeout,
        }))
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
            (
                &[base, "http://127.0.0.1:4317", "--otlp-traces-protocol", "grpc"],
                "http://127.0.0.1:4317/",
            ),
            (
                &["--otel-traces-exporter", "otlp"],
                "http://localhost:4318/v1/traces",
            ),
            (
                &["--otel-traces-exporter", "otlp", "--otlp-protocol", "grpc"],
                "http://localhost:4317/",
            ),
        ] {
            assert_eq!(target(arguments).unwrap().unwrap().endpoint.as_str(), endpoint);
        }
        assert_eq!(target(&[]).unwrap(), None);
        assert_eq!(target(&[base, " "]).unwrap(), None);
        assert_eq!(target(&["--otlp-protocol", "http/json"]).unwrap(), None);
        let unspoken = target(&[base, "http://127.0.0.1:4318", "--otlp-protocol", "http/json"]);
        assert!(unspoken.unwrap_err().contains("http/protobuf or grpc"));
        for none in [
            ["--otel-disabled", "TRUE"],
            ["--otel-traces-exporter", "none"],
            ["--otel-traces-exporter", "console"],
        ] {
            let arguments = [&[base, "http://127.0.0.1:4318"][..], &none].concat();
            assert_eq!(target(&arguments).unwrap(), None);
        }
        let among_others = ["--otel-traces-exporter", "console, OTLP"];
        assert!(target(&among_others).unwrap().is_some());
    }

    #[test]
    fn an_export_has_its_time() {
        let timeout = |arguments: &[&str]| {
            let all = [&["--otlp-endpoint", "http://127.0.0.1:1"], arguments].concat();
            target(&all).map(|target| target.unwrap().timeout.as_millis())
        };
        assert_eq!(timeout(&[]), Ok(10_000));
        assert_eq!(timeout(&["--otlp-timeout", "500"]), Ok(500));
        let both = ["--otlp-timeout", "500", "--otlp-traces-timeout", "700"];
        assert_eq!(timeout(&both), Ok(700));
        for wrong in ["0", "10s", "-1"] {
            let why = timeout(&[&format!("--otlp-timeout={wrong}")]).unwrap_err();
            assert!(why.contains("milliseconds"), "{why}");
        }
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
