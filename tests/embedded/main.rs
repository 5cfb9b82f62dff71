//! The server on MLflow's own database, with no MLflow server in between: what it answers is held against what a real
//! MLflow server answers on the same store.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]
#![expect(clippy::too_many_lines, reason = "a table of cases is best read as one")]

/// Runs a test once for each kind of store.
macro_rules! on_each_store {
    ($($name:ident;)+) => {
        $(mod $name {
            #[tokio::test]
            async fn sqlite() {
                super::$name(crate::Kind::Sqlite).await;
            }

            #[tokio::test]
            async fn postgres() {
                super::$name(crate::Kind::Postgres).await;
            }
        })+
    };
}

mod alongside;
mod analyses;
mod buckets;
mod demo;
mod filters;
mod fresh;
mod odd;
mod refused;
mod run_filters;
mod sdk;
mod store;
mod streams;
mod written;

use harness::{TraceServer, Upstream, answer, http_client};
use http::StatusCode;
use serde_json::Value;

/// Which kind of database a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    /// The MLflow server of this kind that runs beside the tests.
    fn upstream(self) -> Upstream {
        match self {
            Self::Sqlite => Upstream::v3(),
            Self::Postgres => Upstream::postgres(),
        }
    }
}

/// A server on the store of this MLflow, with the sample traces' experiment configured and these settings besides.
async fn embedded(upstream: &Upstream, settings: &[(&str, &str)]) -> TraceServer {
    let own = [
        ("MLFLOW_TRACKING_URI", upstream.store.as_str()),
        ("MLFLOW_ARTIFACTS_DESTINATION", upstream.artifacts.as_str()),
        ("MLFLOW_EXPERIMENT_ID", upstream.seed.experiment_id.as_str()),
    ];
    TraceServer::with(&[&own, settings].concat()).await
}

/// What MLflow itself answers to this body, however it goes.
async fn try_mlflow(upstream: &Upstream, path: &str, body: &Value) -> (StatusCode, Value) {
    answer(http_client().post(format!("{}{path}", upstream.url)).json(body)).await
}

/// What MLflow itself answers to this body, which must go well.
async fn mlflow(upstream: &Upstream, path: &str, body: &Value) -> Value {
    let (status, answer) = try_mlflow(upstream, path, body).await;
    assert!(status.is_success(), "{path} {body}: {status}: {answer}");
    answer
}

/// Holds an answer to what it must be when the request is at fault: a problem that says what is wrong.
fn check_is_refused(case: &str, status: StatusCode, problem: &Value) {
    assert_eq!(status, StatusCode::BAD_REQUEST, "{case}: {problem}");
    check_is_problem(case, status, problem);
}

/// Holds an answer to what any problem is.
fn check_is_problem(case: &str, status: StatusCode, problem: &Value) {
    assert_eq!(problem["status"], status.as_u16(), "{case}: {problem}");
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(!detail.trim().is_empty(), "{case}: {problem}");
}

/// The texts under this name in a list of objects.
fn texts(list: &Value, pointer: &str) -> Vec<String> {
    let list = list.as_array().map_or(&[][..], Vec::as_slice);
    let text = |one: &Value| one.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    list.iter()
        .map(|one| text(one).unwrap_or_else(|| panic!("no {pointer} in {one}")))
        .collect()
}
