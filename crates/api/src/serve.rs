//! Accepts connections until told to stop, then lets the requests under way end.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::connections::Connections;

/// What is left of the shutdown time when streams are told to end: enough to write their last line.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Between the signal and the end of idle connections. What was sent before the signal has come in by then, and who asks
/// again and again has been told by an answer to do so elsewhere: on a connection that ends in between it would be lost.
const FAREWELL: Duration = Duration::from_millis(300);

/// When no connection can be accepted (too many open files), others must end first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// What bounds connections.
#[derive(Debug, Clone)]
pub struct ServeLimits {
    /// How many are taken on.
    pub admission: Arc<Admission>,
    /// A reader that takes nothing of its answer for so long is cut off.
    pub patience: Duration,
    /// Time that requests under way have to end when the server is stopped.
    pub shutdown: Duration,
}

/// Serves (HTTP/1.1 and h2c) until `stop` resolves. Requests under way then have their time to end; shortly before it is
/// over, `ending` tells answers that are still being sent to end cleanly. `last_work` may go on for as long.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
    limits: ServeLimits,
    ending: CancellationToken,
    last_work: impl Future<Output = ()>,
) {
    let connections = Connections::new(&router, &limits);
    let mut stop = pin!(stop);
    loop {
        let socket = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        if let Some(socket) = usable(socket).await {
            connections.take_in(socket);
        }
    }
    tracing::info!("stopping: no new connections, requests under way may end");
    limits.admission.leave();
    waiting(listener).for_each(|socket| connections.take_in(socket));
    let requests = async {
        if connections.open.count() > 0 {
            tokio::time::sleep(FAREWELL).await;
        }
        connections.open.shutdown().await;
        last_work.await;
    };
    tokio::select! {
        () = requests => {}
        () = deadline(limits.shutdown, ending) => tracing::warn!("some requests or writes did not end in time and are broken off"),
    }
}

/// Closes the listener and gives the connections that nobody has taken yet, which would be reset otherwise.
fn waiting(listener: TcpListener) -> impl Iterator<Item = TcpStream> {
    let listener = listener.into_std().ok();
    let next = move || Some(listener.as_ref()?.accept().ok()?.0);
    std::iter::from_fn(next).filter_map(|socket| {
        socket.set_nonblocking(true).ok()?;
        socket.set_nodelay(true).ok()?;
        TcpStream::from_std(socket).ok()
    })
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

async fn deadline(limit: Duration, ending: CancellationToken) {
    tokio::time::sleep(limit.saturating_sub(LAST_WORDS)).await;
    ending.cancel();
    tokio::time::sleep(limit.min(LAST_WORDS)).await;
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
