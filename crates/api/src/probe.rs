//! `trace-server health`: whether the server that these settings describe is alive; for containers, which have no curl.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::{ConfigError, ServerArgs};

/// Whoever is alive answers this at once, however much it has to do.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks it. Fails, and says why, when it does not answer that it is alive.
pub async fn run(server: &ServerArgs) -> ExitCode {
    let Err(error) = ask(server).await else {
        return ExitCode::SUCCESS;
    };
    let _ = writeln!(io::stderr(), "trace-server: {error}");
    ExitCode::FAILURE
}

#[derive(Debug, thiserror::Error)]
enum Unwell {
    #[error(transparent)]
    Settings(#[from] ConfigError),
    #[error("nothing listens on {0}: {1}")]
    Absent(SocketAddr, io::Error),
    #[error("{0} did not answer within {PATIENCE:?}")]
    Silent(SocketAddr),
    #[error("{0} did not answer by HTTP: {1}")]
    Broken(SocketAddr, hyper::Error),
    #[error("{0} answered {1}")]
    Unlike(SocketAddr, StatusCode),
}

async fn ask(server: &ServerArgs) -> Result<(), Unwell> {
    let mut address = server.listen_address(false)?;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let status = timeout(PATIENCE, status(address));
    match status.await.map_err(|_| Unwell::Silent(address))?? {
        StatusCode::OK => Ok(()),
        status => Err(Unwell::Unlike(address, status)),
    }
}

async fn status(address: SocketAddr) -> Result<StatusCode, Unwell> {
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(|error| Unwell::Absent(address, error))?;
    let broken = |error| Unwell::Broken(address, error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    tokio::spawn(connection);
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = http::Uri::from_static("/health/live");
    let host = header::HeaderValue::from_static("localhost");
    request.headers_mut().insert(header::HOST, host);
    Ok(sender.send_request(request).await.map_err(broken)?.status())
}
