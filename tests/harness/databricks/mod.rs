//! A stand-in for a Databricks workspace, which cannot run here: its own routes as documented, a real MLflow behind
//! the routes that both have.
//!
//! Shapes: SCIM, OAuth and signed downloads as the Databricks SDK and MLflow's client use them, managed evals as the
//! client `databricks-agents` does. Where nothing is documented it does what is worst for a caller. Every API call must
//! bring the token; the cloud store must not see it.

mod artifacts;
mod auth;
mod managed_evals;
mod serving;
mod shared;
mod traces;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http::StatusCode;
use serde_json::json;

pub use auth::{CLIENT_ID, CLIENT_SECRET, OWNER, TOKEN};

use crate::chat::{ChatCall, ChatReply, Script};
use crate::faults::{Call, Fault, Watch};
use crate::proxy::serve;
use crate::server::client_builder;
use managed_evals::ManagedEvals;

#[derive(Debug)]
struct Inner {
    mlflow: String,
    http: reqwest::Client,
    own_url: OnceLock<String>,
    tokens: AtomicUsize,
    downloads: AtomicUsize,
    watch: Watch,
    evals: Mutex<ManagedEvals>,
    cloud: Mutex<artifacts::Cloud>,
    model: Script,
}

/// The stand-in. Runs until the test ends.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// Its address.
    pub url: String,
    inner: Arc<Inner>,
}

impl Workspace {
    /// A workspace whose experiments, runs and traces are those of this MLflow.
    pub async fn over(mlflow: &str) -> Self {
        let inner = Arc::new(Inner {
            mlflow: mlflow.to_owned(),
            // MLflow answers late on a connection that it has answered on before.
            http: client_builder()
                .pool_max_idle_per_host(0)
                .build()
                .expect("a client can be made"),
            own_url: OnceLock::new(),
            tokens: AtomicUsize::new(0),
            downloads: AtomicUsize::new(0),
            watch: Watch::default(),
            evals: Mutex::default(),
            cloud: Mutex::default(),
            model: Script::default(),
        });
        let router = Router::new()
            .merge(auth::routes())
            .merge(traces::routes())
            .merge(shared::routes())
            .merge(managed_evals::routes())
            .merge(artifacts::routes())
            .merge(serving::routes())
            .fallback(absent)
            .method_not_allowed_fallback(absent)
            .layer(from_fn_with_state(Arc::clone(&inner), watched))
            .with_state(Arc::clone(&inner));
        let url = serve(router).await;
        inner.own_url.set(url.clone()).expect("it is set once");
        Self { url, inner }
    }

    /// How many OAuth tokens were given out.
    pub fn tokens_given(&self) -> usize {
        self.inner.tokens.load(Ordering::SeqCst)
    }

    /// How many signed downloads were made.
    pub fn downloads(&self) -> usize {
        self.inner.downloads.load(Ordering::SeqCst)
    }

    /// Signs addresses of this kind of cloud from now on, of which the first few are refused as expired.
    pub fn sign_as(&self, kind: &'static str, expired: usize) {
        artifacts::lock(&self.inner.cloud).sign_as(kind, expired);
    }

    /// A file of a run, as the cloud store keeps it.
    pub fn artifact(&self, run: &str, path: &str) -> Option<Vec<u8>> {
        artifacts::lock(&self.inner.cloud).file(run, path)
    }

    /// Its serving endpoints give these answers, one after the other; then 500.
    pub fn model_answers(&self, answers: Vec<ChatReply>) {
        self.inner.model.answers(answers);
    }

    /// What its serving endpoints were asked.
    pub fn model_requests(&self) -> Vec<ChatCall> {
        self.inner.model.calls()
    }

    /// Asks this of every call from now on that brings what it must.
    pub fn rule(&self, rule: impl Fn(&Call) -> Fault + Send + Sync + 'static) {
        self.inner.watch.set_rule(rule);
    }

    /// The calls so far, refused ones and those of unknown routes among them, without those a client makes once to
    /// learn what the server is.
    pub fn calls(&self) -> Vec<Call> {
        self.inner.watch.calls()
    }

    /// How many calls had this in their path.
    pub fn count(&self, part: &str) -> usize {
        self.inner.watch.count(part)
    }
}

/// Notes a call, looks at its token, does to it what the test asks, and only then passes it on.
async fn watched(State(inner): State<Arc<Inner>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let copy = Request::from_parts(parts.clone(), body);
    let call = Call::read(copy).await;
    inner.watch.note(&call);
    if auth::is_needed(&call.path) && !auth::is_known(&call.headers) {
        let text = "Credential was not sent or was of an unsupported type for this API.";
        return Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", text).into_response();
    }
    match inner.watch.fault(&call).before_passing().await {
        Ok(passing) => {
            parts.headers = call.headers;
            let answer = next.run(Request::from_parts(parts, Body::from(call.body))).await;
            passing.over(answer).await
        }
        Err(answer) => *answer,
    }
}

async fn absent(request: Request) -> Refusal {
    let text = format!("No API found for '{} {}'", request.method(), request.uri().path());
    Refusal::new(StatusCode::NOT_FOUND, "ENDPOINT_NOT_FOUND", text)
}

/// An error as the workspace tells it.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status,
            code,
            message,
        }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({"error_code": self.code, "message": self.message, "details": []});
        (self.status, Json(body)).into_response()
    }
}
