//! Connections as they come in: each has its place, its protocol and its time.

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
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;
use tower::util::MapRequest;

use crate::admission::{Admission, FromAnteroom, Place};
use crate::opening::Opening;
use crate::serve::ServeLimits;

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

type App = TowerToHyperService<MapRequest<Router, fn(Request<Incoming>) -> Request<Body>>>;

/// Where connections come in.
pub(crate) struct Connections {
    inside: (auto::Builder<TokioExecutor>, App),
    anteroom: (auto::Builder<TokioExecutor>, App),
    /// Those that are open, and are told to end at the end.
    pub(crate) open: GracefulShutdown,
    admission: Arc<Admission>,
    patience: Duration,
}

impl Connections {
    /// Connections to this router.
    pub(crate) fn new(router: &Router, limits: &ServeLimits) -> Self {
        allow_open_files(limits.admission.most_connections());
        let app = |read: fn(Request<Incoming>) -> Request<Body>| {
            TowerToHyperService::new(router.clone().map_request(read))
        };
        let mut anteroom = http_server(ANTEROOM_TIME);
        anteroom.http1().keep_alive(false);
        Self {
            inside: (http_server(HEAD_LIMIT), app(inside)),
            anteroom: (anteroom, app(from_anteroom)),
            open: GracefulShutdown::new(),
            admission: Arc::clone(&limits.admission),
            patience: limits.patience,
        }
    }

    /// Serves a connection in a task of its own, which holds its place; one for which there is none is closed.
    pub(crate) fn take_in(&self, socket: TcpStream) {
        let Some(place) = self.admission.place() else {
            return;
        };
        // HTTP/1.1 has no other way to tell a reader that takes nothing from one that is slow.
        let mut socket = TimeoutStream::new(socket);
        socket.set_write_timeout(Some(self.patience));
        let ((http, app), first_words, limit) = match place {
            Place::Inside(_) => (&self.inside, HEAD_LIMIT, None),
            Place::Anteroom(_) => (&self.anteroom, ANTEROOM_TIME, Some(2 * ANTEROOM_TIME)),
        };
        let socket = Opening::new(Box::pin(socket), first_words);
        let connection = http.serve_connection(TokioIo::new(socket), app.clone());
        let connection = self.open.watch(connection.into_owned());
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
