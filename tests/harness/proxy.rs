//! Stands between trace-server and a real MLflow: counts the calls, and fails or holds them as a test asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use futures::stream::StreamExt;
use http::header;

use crate::faults::{Call, Fault, Watch};

struct Inner {
    upstream: String,
    http: reqwest::Client,
    watch: Watch,
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
            watch: Watch::default(),
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
        self.inner.watch.set_rule(rule);
    }

    /// Does this to every call with this in its path from now on; others are passed on.
    pub fn does_to(&self, part: &'static str, fault: Fault) {
        self.rule(move |call| {
            if call.path.contains(part) {
                fault.clone()
            } else {
                Fault::None
            }
        });
    }

    /// The calls so far, without those a client makes once to learn what the server is.
    pub fn calls(&self) -> Vec<Call> {
        self.inner.watch.calls()
    }

    /// How many calls had this in their path.
    pub fn count(&self, part: &str) -> usize {
        self.inner.watch.count(part)
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
    let call = Call::read(request).await;
    inner.watch.note(&call);
    match inner.watch.fault(&call).before_passing().await {
        Ok(passing) => passing.over(forwarded(inner, call).await).await,
        Err(answer) => *answer,
    }
}

/// The real server's answer.
async fn forwarded(inner: Arc<Inner>, call: Call) -> Response {
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
    let chunks = answer.bytes_stream().inspect(move |chunk| {
        let bytes = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        open.inner.bytes.fetch_add(bytes, Ordering::SeqCst);
    });
    response.map(|()| Body::from_stream(chunks))
}

/// An answer that is being passed on.
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
