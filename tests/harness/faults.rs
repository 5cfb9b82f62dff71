//! What a test may do to the calls that come by: count them, hold them, fail them.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
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

impl Call {
    pub(crate) async fn read(request: Request) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            method: parts.method,
            path: parts
                .uri
                .path_and_query()
                .map(ToString::to_string)
                .unwrap_or_default(),
            headers: parts.headers,
            body: to_bytes(body, 64 << 20).await.expect("the request is whole"),
        }
    }
}

/// What becomes of a call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It is passed on.
    None,
    /// It is answered with this status, these headers and this body.
    Status(u16, Vec<(&'static str, &'static str)>, &'static str),
    /// It is passed on after this time.
    Delayed(Duration),
    /// It is passed on once the gate opens.
    Held(Gate),
    /// Its answer stops after so many bytes until the gate opens.
    HeldAfter(u64, Gate),
    /// Its answer breaks off after so many bytes.
    CutAfter(u64),
    /// Its answer's body is what this makes of it.
    Changed(Change),
    /// It is answered with what this gives, piece by piece, as JSON.
    Told(Pieces),
}

impl Fault {
    /// [`Fault::Changed`].
    pub fn changed(change: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::Changed(Change(Arc::new(change)))
    }

    /// [`Fault::Changed`] for a body that is JSON.
    pub fn changed_json(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::changed(move |body| {
            let mut json = serde_json::from_slice(&body).expect("MLflow answers JSON");
            change(&mut json);
            json.to_string().into_bytes()
        })
    }

    /// [`Fault::Told`].
    pub fn told<I>(pieces: impl Fn() -> I + Send + Sync + 'static) -> Self
    where
        I: Iterator<Item = Bytes> + Send + 'static,
    {
        let body = move || Body::from_stream(stream::iter(pieces().map(Ok::<_, Infallible>)));
        Self::Told(Pieces(Arc::new(body)))
    }
}

/// What is made of a body.
#[derive(Clone)]
pub struct Change(Arc<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>);

/// What is answered in the place of MLflow.
#[derive(Clone)]
pub struct Pieces(Arc<dyn Fn() -> Body + Send + Sync>);

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Change").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pieces").finish_non_exhaustive()
    }
}

impl Fault {
    /// Waits as it must; then what becomes of the answer, or the answer itself.
    pub(crate) async fn before_passing(self) -> Result<Passing, Box<Response>> {
        match self {
            Self::None => {}
            Self::Status(status, headers, body) => return Err(Box::new(answer(status, headers, body))),
            Self::Delayed(time) => tokio::time::sleep(time).await,
            Self::Held(gate) => gate.passed().await,
            Self::HeldAfter(bytes, gate) => return Ok(Passing::Limited(Limit(bytes, Some(gate)))),
            Self::CutAfter(bytes) => return Ok(Passing::Limited(Limit(bytes, None))),
            Self::Changed(change) => return Ok(Passing::Changed(change)),
            Self::Told(Pieces(body)) => {
                let mut response = Response::new(body());
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(header::CONTENT_TYPE, json);
                return Err(Box::new(response));
            }
        }
        Ok(Passing::Whole)
    }
}

fn answer(status: u16, headers: Vec<(&'static str, &'static str)>, body: &'static str) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("a test names real statuses");
    for (name, value) in headers {
        let value = value.parse().expect("a test names real values");
        response.headers_mut().insert(name, value);
    }
    response
}

/// What becomes of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Passing {
    Whole,
    Limited(Limit),
    Changed(Change),
}

impl Passing {
    pub(crate) async fn over(self, answer: Response) -> Response {
        match self {
            Self::Whole => answer,
            Self::Limited(limit) => answer.map(|body| limit.over(body)),
            Self::Changed(Change(change)) => {
                let (mut head, body) = answer.into_parts();
                let body = to_bytes(body, 64 << 20).await.expect("the real answer is whole");
                head.headers.remove(header::CONTENT_LENGTH);
                Response::from_parts(head, change(body.into()).into())
            }
        }
    }
}

/// How many bytes of an answer may pass before it waits for the gate, or breaks off where there is none.
#[derive(Debug, Clone)]
pub(crate) struct Limit(u64, Option<Gate>);

impl Limit {
    fn over(self, body: Body) -> Body {
        let Self(limit, gate) = self;
        let chunks = body.into_data_stream();
        let limited = stream::unfold((chunks, 0_u64), move |(mut chunks, passed)| {
            let gate = gate.clone();
            async move {
                if passed >= limit {
                    let Some(gate) = gate else {
                        // What has passed is sent only once there is something to wait for.
                        tokio::task::yield_now().await;
                        return Some((Err(axum::Error::new("cut")), (chunks, passed)));
                    };
                    gate.passed().await;
                }
                let chunk = chunks.next().await?;
                let bytes = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
                Some((chunk, (chunks, passed + bytes)))
            }
        });
        Body::from_stream(limited)
    }
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

/// Keeps the calls that came by, and the rule that tells what becomes of each.
pub(crate) struct Watch {
    calls: Mutex<Vec<Call>>,
    rule: Mutex<Rule>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            calls: Mutex::default(),
            rule: Mutex::new(Box::new(|_| Fault::None)),
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Watch {
    pub(crate) fn set_rule(&self, rule: impl Fn(&Call) -> Fault + Send + Sync + 'static) {
        *self.rule.lock().expect("no test panicked in a rule") = Box::new(rule);
    }

    pub(crate) fn note(&self, call: &Call) {
        self.calls.lock().expect("nobody panicked").push(call.clone());
    }

    pub(crate) fn fault(&self, call: &Call) -> Fault {
        (self.rule.lock().expect("no test panicked in a rule"))(call)
    }

    /// The calls so far, without those a client makes once to learn what the server is.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let calls = self.calls.lock().expect("nobody panicked");
        let is_meant = |call: &&Call| !matches!(call.path.as_str(), "/version" | "/health");
        calls.iter().filter(is_meant).cloned().collect()
    }

    pub(crate) fn count(&self, part: &str) -> usize {
        let calls = self.calls();
        calls.iter().filter(|call| call.path.contains(part)).count()
    }
}
