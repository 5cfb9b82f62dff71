//! Stands between trace-server and a real MLflow: counts the calls, and fails or holds them as a test asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use http::{HeaderMap, Method, StatusCode, header};
use tokio::sync::watch;

/// A call that came by.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// What becomes of a call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It is passed on.
    None,
    /// It is answered with this status, these headers and this body.
    Status(u16, Vec<(&'static str, &'static str)>, &'static str),
    /// It is passed on once the gate opens.
    Held(Gate),
    /// Its answer stops after so many bytes until the gate opens.
    HeldAfter(u64, Gate),
    /// Its answer breaks off after so many bytes.
    CutAfter(u64),
}

/// Holds calls until it is opened.
#[derive(Debug, Clone)]
pub struct Gate(watch::Sender<bool>);

impl Default for Gate {
    fn default() -> Self {
        Self(watch::channel(false).0)
    }
}

impl Gate {
    /// Lets everything through from now on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    async fn passed(&self) {
        let mut is_open = self.0.subscribe();
        // The sender lives as long as this gate.
        let _ = is_open.wait_for(|is_open| *is_open).await;
    }
}

type Rule = Box<dyn Fn(&Call) -> Fault + Send + Sync>;

struct Inner {
    upstream: String,
    http: reqwest::Client,
    calls: Mutex<Vec<Call>>,
    rule: Mutex<Rule>,
    bytes: AtomicU64,
    open_answers: Mutex<Vec<String>>,
}

/// The proxy. Runs until the test ends.
#[derive(Clone)]
pub struct Proxy {
    /// Its address.
    pub url: String,
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Proxy {
    /// A proxy that passes everything on to this server.
    pub async fn before(upstream: &str) -> Self {
        let inner = Arc::new(Inner {
            upstream: upstream.to_owned(),
            http: super::http_client(),
            calls: Mutex::default(),
            rule: Mutex::new(Box::new(|_| Fault::None)),
            bytes: AtomicU64::new(0),
            open_answers: Mutex::default(),
        });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&inner));
        Self {
            url: serve(router).await,
            inner,
        }
    }

    /// Asks this of every call from now on.
    pub fn rule(&self, rule: impl Fn(&Call) -> Fault + Send + Sync + 'static) {
        *self.inner.rule.lock().expect("no test panicked in a rule") = Box::new(rule);
    }

    /// The calls so far, without those a client makes once to learn what the server is.
    pub fn calls(&self) -> Vec<Call> {
        let calls = self.inner.calls.lock().expect("nobody panicked").clone();
        calls
            .into_iter()
            .filter(|call| !matches!(call.path.as_str(), "/version" | "/health"))
            .collect()
    }

    /// How many calls had this in their path.
    pub fn count(&self, part: &str) -> usize {
        self.calls()
            .iter()
            .filter(|call| call.path.contains(part))
            .count()
    }

    /// Bytes of answers passed on so far.
    pub fn bytes(&self) -> u64 {
        self.inner.bytes.load(Ordering::SeqCst)
    }

    /// Waits until `is_so`, or fails the test.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        for _ in 0..1500 {
            if is_so(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("in 30 s it never came about that {what}");
    }

    /// Answers to calls with this in their path that are being passed on right now.
    pub fn open_answers(&self, part: &str) -> usize {
        let open = self.inner.open_answers.lock().expect("nobody panicked");
        open.iter().filter(|path| path.contains(part)).count()
    }
}

/// Serves a router on a free loopback port until the test ends; its address.
pub(crate) async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn pass(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let call = Call {
        method: parts.method,
        path: parts
            .uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        headers: parts.headers,
        body: to_bytes(body, 64 << 20).await.expect("the request is whole"),
    };
    inner.calls.lock().expect("nobody panicked").push(call.clone());
    let fault = (inner.rule.lock().expect("nobody panicked"))(&call);
    let (limit, gate) = match fault {
        Fault::None => (u64::MAX, None),
        Fault::Status(status, headers, body) => {
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = StatusCode::from_u16(status).expect("a test names real statuses");
            for (name, value) in headers {
                response
                    .headers_mut()
                    .insert(name, value.parse().expect("a test names real values"));
            }
            return response;
        }
        Fault::Held(gate) => {
            gate.passed().await;
            (u64::MAX, None)
        }
        Fault::HeldAfter(limit, gate) => (limit, Some(gate)),
        Fault::CutAfter(limit) => (limit, None),
    };
    forwarded(inner, call, limit, gate).await
}

/// The real server's answer; past `limit` bytes it waits for the gate, or breaks off where there is none.
async fn forwarded(inner: Arc<Inner>, call: Call, limit: u64, gate: Option<Gate>) -> Response {
    let mut headers = call.headers;
    headers.remove(header::HOST);
    let url = format!("{}{}", inner.upstream, &call.path);
    let answer = inner
        .http
        .request(call.method, url)
        .headers(headers)
        .body(call.body)
        .send()
        .await;
    let answer = answer.expect("the real server answers");
    let mut response = Response::new(());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    for hop_by_hop in [header::CONNECTION, header::TRANSFER_ENCODING] {
        response.headers_mut().remove(hop_by_hop);
    }
    let open = Open::new(inner, call.path);
    let chunks = answer.bytes_stream().boxed();
    let body = stream::unfold((chunks, open, 0_u64), move |(mut chunks, open, sent)| {
        let gate = gate.clone();
        async move {
            if sent >= limit {
                match gate {
                    Some(gate) => gate.passed().await,
                    None => return Some((Err(std::io::Error::other("cut")), (chunks, open, sent))),
                }
            }
            let chunk = chunks.next().await?.map_err(std::io::Error::other);
            let bytes = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            open.inner.bytes.fetch_add(bytes, Ordering::SeqCst);
            Some((chunk, (chunks, open, sent + bytes)))
        }
    });
    response.map(|()| Body::from_stream(body))
}

struct Open {
    inner: Arc<Inner>,
    path: String,
}

impl Open {
    fn new(inner: Arc<Inner>, path: String) -> Self {
        inner
            .open_answers
            .lock()
            .expect("nobody panicked")
            .push(path.clone());
        Self { inner, path }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut open = self.inner.open_answers.lock().expect("nobody panicked");
        let at = open
            .iter()
            .position(|path| *path == self.path)
            .expect("it was put there");
        open.swap_remove(at);
    }
}
