//! Where we listen and what we serve beside the API.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use http::HeaderValue;
use humantime::parse_duration;

use super::{ConfigError, given};

/// The port where nobody names one; also what Databricks Apps expects.
const DEFAULT_PORT: u16 = 8000;

/// Where we listen and what we serve beside the API.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// The address to listen on. Unset: 127.0.0.1, or 0.0.0.0 inside Databricks Apps.
    #[arg(long, env = "TRACE_SERVER_HOST", value_name = "ADDRESS")]
    host: Option<IpAddr>,
    /// The port to listen on; 0 takes a free one. Unset: `PORT`, else 8000.
    #[arg(long, env = "DATABRICKS_APP_PORT", value_name = "PORT")]
    port: Option<u16>,
    /// The port where neither `--port` nor `DATABRICKS_APP_PORT` is set.
    #[arg(long, env = "PORT", value_name = "PORT", hide = true)]
    fallback_port: Option<String>,
    /// The folder of the built frontend (`index.html`, `assets/`), served at `/`.
    #[arg(long, env = "TRACE_SERVER_STATIC_DIR", value_name = "PATH")]
    static_dir: Option<PathBuf>,
    /// Origins whose pages may call the API, separated by commas.
    #[arg(
        long,
        env = "TRACE_SERVER_CORS_ORIGINS",
        value_name = "ORIGINS",
        default_value = "http://localhost:3000,http://localhost:5173,http://localhost:5174,http://127.0.0.1:3000,http://127.0.0.1:5173,http://127.0.0.1:5174"
    )]
    cors_origins: String,
    /// Time that requests under way have to end after SIGTERM or Ctrl-C.
    #[arg(long, env = "TRACE_SERVER_SHUTDOWN_TIMEOUT", value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub shutdown_timeout: Duration,
    /// What the frontend shows when a session is done.
    #[arg(long, env = "SME_THANK_YOU_MESSAGE", value_name = "TEXT")]
    pub sme_thank_you_message: Option<String>,
    /// Whether the frontend shows what helps developers to find faults.
    #[arg(long, env = "TRACE_SERVER_DEBUG", default_value_t = false, value_parser = clap::builder::BoolishValueParser::new(), num_args = 0..=1, default_missing_value = "true")]
    pub debug: bool,
}

impl ServerArgs {
    /// Where to listen. `is_databricks_app`: the container's own address is reached only by the platform's proxy.
    pub fn listen_address(&self, is_databricks_app: bool) -> Result<std::net::SocketAddr, ConfigError> {
        let host = self.host.unwrap_or_else(|| {
            if is_databricks_app {
                [0, 0, 0, 0]
            } else {
                [127, 0, 0, 1]
            }
            .into()
        });
        let fallback = given(self.fallback_port.as_ref());
        let port = match (self.port, fallback) {
            (Some(port), _) => port,
            (None, Some(text)) => text.parse().map_err(|_| ConfigError::Port(text.to_owned()))?,
            (None, None) => DEFAULT_PORT,
        };
        Ok((host, port).into())
    }

    /// The folder of the built frontend.
    pub fn static_dir(&self) -> Result<Option<PathBuf>, ConfigError> {
        match self
            .static_dir
            .as_ref()
            .filter(|path| !path.as_os_str().is_empty())
        {
            Some(path) if !path.join("index.html").is_file() => Err(ConfigError::StaticDir(path.clone())),
            path => Ok(path.cloned()),
        }
    }

    /// Origins whose pages may call the API.
    pub fn cors_origins(&self) -> Result<Vec<HeaderValue>, ConfigError> {
        let origins = self
            .cors_origins
            .split(',')
            .map(str::trim)
            .filter(|origin| !origin.is_empty());
        origins
            .map(|origin| parse_origin(origin).ok_or_else(|| ConfigError::CorsOrigin(origin.to_owned())))
            .collect()
    }
}

/// An origin as a browser sends it: no path, not even `/`.
fn parse_origin(text: &str) -> Option<HeaderValue> {
    let url = url::Url::parse(text).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https");
    is_web
        .then(|| HeaderValue::from_str(&url.origin().ascii_serialization()).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Cli;
    use clap::Parser;

    fn args(flags: &[&str]) -> ServerArgs {
        Cli::parse_from([&["trace-server"], flags].concat()).config.server
    }

    #[test]
    fn the_nearest_port_wins() {
        let port = |flags: &[&str]| args(flags).listen_address(false).unwrap().port();
        assert_eq!(port(&[]), 8000);
        assert_eq!(port(&["--fallback-port", "1234"]), 1234);
        assert_eq!(port(&["--port", "0", "--fallback-port", "1234"]), 0);
        assert!(args(&["--fallback-port", "x"]).listen_address(false).is_err());
    }

    #[test]
    fn only_a_platform_with_a_proxy_is_listened_to_from_outside() {
        assert!(args(&[]).listen_address(false).unwrap().ip().is_loopback());
        assert!(args(&[]).listen_address(true).unwrap().ip().is_unspecified());
        assert!(
            args(&["--host", "127.0.0.1"])
                .listen_address(true)
                .unwrap()
                .ip()
                .is_loopback()
        );
    }

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        let origins = |text| args(&["--cors-origins", text]).cors_origins();
        assert_eq!(
            origins(" https://Example.com/ ,http://a:80").unwrap(),
            ["https://example.com", "http://a"]
        );
        assert_eq!(args(&[]).cors_origins().unwrap().len(), 6);
        for wrong in ["*", "example.com", "file:///x"] {
            assert!(origins(wrong).is_err(), "{wrong}");
        }
    }
}
