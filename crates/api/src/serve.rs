//! Accepts connections until told to stop, then lets the requests under way end.

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// What is left of the shutdown time when streams are told to end: enough to write their last line.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A connection that sends no whole request head for so long is closed; so is one that is idle.
const HEAD_LIMIT: Duration = Duration::from_mins(1);

/// An HTTP/2 connection is asked at this pace whether anyone is there, and has as long to answer.
const PING_PACE: Duration = Duration::from_secs(30);

/// When no connection can be accepted (too many open files), others must end first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Serves (HTTP/1.1 and h2c) until `stop` resolves. Requests under way then have `timeout` to end; shortly before it is
/// over, `ending` tells answers that are still being sent to end cleanly. `last_work` may go on for as long.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
    timeout: Duration,
    ending: CancellationToken,
    last_work: impl Future<Output = ()>,
) {
    let app =
        TowerToHyperService::new(router.map_request(|request: Request<Incoming>| request.map(Body::new)));
    let (http, connections) = (http_server(), GracefulShutdown::new());
    let mut stop = pin!(stop);
    loop {
        let socket = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let Some(socket) = usable(socket).await else {
            continue;
        };
        let connection = http
            .serve_connection(TokioIo::new(socket), app.clone())
            .into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // The client's fault or ours, it is in the request's own log line; a torn connection is neither.
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection ended early");
            }
        });
    }
    tracing::info!("stopping: no new connections, requests under way may end");
    drop(listener);
    tokio::select! {
        () = async { connections.shutdown().await; last_work.await } => {}
        () = deadline(timeout, ending) => tracing::warn!("some requests or writes did not end in time and are broken off"),
    }
}

fn http_server() -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_PACE)
        .keep_alive_timeout(PING_PACE);
    http
}

async fn usable(accepted: io::Result<(TcpStream, std::net::SocketAddr)>) -> Option<TcpStream> {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    match accepted {
        Ok((socket, _)) => {
            // Small answers must not wait for an acknowledgement of the ones before. Without it they are only slower.
            if let Err(error) = socket.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY cannot be set");
            }
            Some(socket)
        }
        Err(error)
            if matches!(
                error.kind(),
                ConnectionAborted | ConnectionRefused | ConnectionReset
            ) =>
        {
            None
        }
        Err(error) => {
            tracing::error!(%error, "no connection can be accepted; trying again");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn deadline(timeout: Duration, ending: CancellationToken) {
    tokio::time::sleep(timeout.saturating_sub(LAST_WORDS)).await;
    ending.cancel();
    tokio::time::sleep(timeout.min(LAST_WORDS)).await;
}

/// Resolves at SIGTERM or Ctrl-C.
pub async fn told_to_stop() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! { () = interrupted => {}, () = terminated => {} }
}
