//! Accepts connections until told to stop, then lets the requests under way end.

use std::io;
use std::pin::pin;
use std::sync::Arc;
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
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tower::util::MapRequest;

use crate::admission::{Admission, FromAnteroom, Place};

/// What is left of the shutdown time when streams are told to end: enough to write their last line.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A connection that sends no whole request head for so long is closed; so is one that is idle.
const HEAD_LIMIT: Duration = Duration::from_mins(1);

/// An HTTP/2 connection is asked at this pace whether anyone is there, and has as long to answer.
const PING_PACE: Duration = Duration::from_secs(30);

/// A connection in the anteroom asks in so much time, and is over in so much more.
const ANTEROOM_TIME: Duration = Duration::from_secs(2);

/// HTTP/2 requests of one connection at once.
const H2_STREAMS: u32 = 128;

/// Files that are open beside connections: databases, upstream connections.
const OTHER_FILES: u64 = 512;

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
    allow_open_files(limits.admission.most_connections());
    let doors = Doors::new(&router, &limits);
    let mut stop = pin!(stop);
    loop {
        let socket = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        if let Some(socket) = usable(socket).await
            && let Some(place) = limits.admission.place()
        {
            doors.take_in(socket, place);
        }
    }
    tracing::info!("stopping: no new connections, requests under way may end");
    drop(listener);
    tokio::select! {
        () = async { doors.connections.shutdown().await; last_work.await } => {}
        () = deadline(limits.shutdown, ending) => tracing::warn!("some requests or writes did not end in time and are broken off"),
    }
}

type App = TowerToHyperService<MapRequest<Router, fn(Request<Incoming>) -> Request<Body>>>;

/// Where connections come in.
struct Doors {
    inside: (auto::Builder<TokioExecutor>, App),
    anteroom: (auto::Builder<TokioExecutor>, App),
    connections: GracefulShutdown,
    patience: Duration,
}

impl Doors {
    fn new(router: &Router, limits: &ServeLimits) -> Self {
        let app = |read: fn(Request<Incoming>) -> Request<Body>| {
            TowerToHyperService::new(router.clone().map_request(read))
        };
        let mut anteroom = http_server(ANTEROOM_TIME);
        anteroom.http1().keep_alive(false);
        Self {
            inside: (http_server(HEAD_LIMIT), app(inside)),
            anteroom: (anteroom, app(from_anteroom)),
            connections: GracefulShutdown::new(),
            patience: limits.patience,
        }
    }

    /// Serves a connection in a task of its own, which holds its place.
    fn take_in(&self, socket: TcpStream, place: Place) {
        // HTTP/1.1 has no other way to tell a reader that takes nothing from one that is slow.
        let mut socket = TimeoutStream::new(socket);
        socket.set_write_timeout(Some(self.patience));
        let ((http, app), limit) = match place {
            Place::Inside(_) => (&self.inside, None),
            Place::Anteroom(_) => (&self.anteroom, Some(2 * ANTEROOM_TIME)),
        };
        let connection = http.serve_connection(TokioIo::new(Box::pin(socket)), app.clone());
        let connection = self.connections.watch(connection.into_owned());
        tokio::spawn(async move {
            let _place = place;
            let ended = match limit {
                Some(limit) => timeout(limit, connection).await.unwrap_or(Ok(())),
                None => connection.await,
            };
            // The client's fault or ours, it is in the request's own log line; a torn connection is neither.
            if let Err(error) = ended {
                tracing::debug!(error, "a connection ended early");
            }
        });
    }
}

fn inside(request: Request<Incoming>) -> Request<Body> {
    request.map(Body::new)
}

fn from_anteroom(request: Request<Incoming>) -> Request<Body> {
    let mut request = inside(request);
    request.extensions_mut().insert(FromAnteroom);
    request
}

/// Where connections are accepted without waiting for a whole request head for longer.
fn http_server(head_limit: Duration) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head_limit);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS)
        .keep_alive_interval(PING_PACE)
        .keep_alive_timeout(PING_PACE);
    http
}

/// Many systems begin with a limit of 1024 open files, and let a process raise it.
fn allow_open_files(connections: usize) {
    let wanted = connections as u64 + OTHER_FILES;
    match rlimit::increase_nofile_limit(wanted) {
        Ok(allowed) if allowed < wanted => {
            tracing::warn!(
                allowed,
                wanted,
                "the system allows fewer open files than TRACE_SERVER_MAX_CONNECTIONS needs"
            );
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
    }
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
