//! Accepts connections until told to stop, then lets the requests under way end.

use std::io;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::map_request;
use axum::serve::ListenerExt;
use axum::{Router, ServiceExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::Layer;

use crate::middleware::without_trailing_slash;

/// What is left of the shutdown time when streams are told to end: enough to write their last line.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Serves (HTTP/1.1 and h2c) until `stop` resolves. Requests under way then have `timeout` to end; shortly before it is
/// over, `ending` tells answers that are still being sent to end cleanly.
///
/// # Errors
/// When connections can no longer be accepted.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
    timeout: Duration,
    ending: CancellationToken,
) -> io::Result<()> {
    let stopping = CancellationToken::new();
    let told = stopping.clone();
    // Around the router, because a layer of it would come after the route is chosen.
    let app = map_request(async |request| without_trailing_slash(request)).layer(router);
    let make_service = ServiceExt::<Request>::into_make_service(app);
    // Small answers must not wait for an acknowledgement of the ones before.
    let listener = listener.tap_io(|socket| {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
    });
    let server = axum::serve(listener, make_service).with_graceful_shutdown(async move {
        stop.await;
        tracing::info!("stopping: no new connections, requests under way may end");
        told.cancel();
    });
    tokio::select! {
        result = server.into_future() => result,
        () = deadline(stopping, timeout, ending) => {
            tracing::warn!("some requests did not end in time and are broken off");
            Ok(())
        }
    }
}

async fn deadline(stopping: CancellationToken, timeout: Duration, ending: CancellationToken) {
    stopping.cancelled().await;
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
