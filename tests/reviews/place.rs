//! A server with reviews kept in one way or another, on an experiment of the test's own.

use futures::stream::{self, StreamExt};
use harness::{Database, OWNER, Postgres, Proxy, TOKEN, TraceServer, Upstream, Workspace};
use serde_json::{Value, json};

/// The developer that every server here knows.
pub(crate) const DEV: &str = "dev@example.com";

/// Who keeps the reviews.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Sqlite,
    Postgres,
    Workspace,
}

/// A server behind a trusted proxy, on an experiment of the test's own.
pub(crate) struct Place {
    pub(crate) server: TraceServer,
    pub(crate) upstream: Upstream,
    /// Between the server and MLflow, or the workspace.
    pub(crate) proxy: Proxy,
    pub(crate) experiment: String,
    pub(crate) kept: Kept,
    pub(crate) database: Option<Database>,
    /// The workspace that keeps the reviews, where one does.
    pub(crate) workspace: Option<Workspace>,
}

impl Place {
    pub(crate) async fn new(kept: Kept) -> Self {
        let upstream = Upstream::v3();
        let experiment = new_experiment(&upstream).await;
        Self::on(kept, upstream, experiment).await
    }

    pub(crate) async fn on(kept: Kept, upstream: Upstream, experiment: String) -> Self {
        Self::with(kept, upstream, experiment, &[]).await
    }

    /// The same with these settings besides.
    pub(crate) async fn with(
        kept: Kept,
        upstream: Upstream,
        experiment: String,
        further: &[(&str, &str)],
    ) -> Self {
        let workspace = match kept {
            Kept::Workspace => Some(Workspace::over(&upstream.url).await),
            _ => None,
        };
        let database = match kept {
            Kept::Postgres => Some(Postgres::database().await),
            _ => None,
        };
        let proxy = Proxy::before(
            workspace
                .as_ref()
                .map_or(&upstream.url, |workspace| &workspace.url),
        )
        .await;
        let mut settings = vec![
            ("MLFLOW_TRACKING_URI", proxy.url.as_str()),
            ("MLFLOW_EXPERIMENT_ID", experiment.as_str()),
            ("TRACE_SERVER_TRUST_PROXY", "true"),
            ("DEVELOPERS", DEV),
        ];
        if let Some(database) = &database {
            settings.push(("DATABASE_URL", database.url()));
        }
        if workspace.is_some() {
            settings[0].1 = "databricks";
            settings.push(("DATABRICKS_HOST", proxy.url.as_str()));
            settings.push(("DATABRICKS_TOKEN", TOKEN));
            // Who is asked for when nobody is named: the owner of the token.
            settings.push(("TRACE_SERVER_USER", ""));
        }
        settings.extend(further);
        let server = TraceServer::with(&settings).await;
        Self {
            server,
            upstream,
            proxy,
            experiment,
            kept,
            database,
            workspace,
        }
    }

    /// Whom the keeper of the reviews takes for the author of what a user does.
    pub(crate) fn author<'a>(&self, user: &'a str) -> &'a str {
        match self.kept {
            Kept::Workspace => OWNER,
            _ => user,
        }
    }

    /// Traces without spans, made for the test; the newest last.
    pub(crate) async fn traces(&self, count: usize) -> Vec<String> {
        let made = (0..count).map(|nth| new_trace(&self.upstream, &self.experiment, nth));
        stream::iter(made).buffered(4).collect().await
    }

    /// A label schema of free text.
    pub(crate) async fn schema(&self, name: &str, kind: &str) {
        let schema = json!({"name": name, "type": kind, "title": name, "text": {"max_length": 100}});
        self.server
            .as_user(DEV)
            .post_json("/api/label-schemas", &schema)
            .await;
    }

    /// A session of these users with these traces linked; its id and run.
    pub(crate) async fn session(&self, users: &[&str], traces: &[String]) -> (String, String) {
        let body = json!({"name": "Week 47", "assigned_users": users});
        let dev = self.server.as_user(DEV);
        let session = dev.post_json("/api/labeling-sessions", &body).await;
        let id = session["labeling_session_id"].as_str().unwrap().to_owned();
        let run = session["mlflow_run_id"].as_str().unwrap().to_owned();
        if !traces.is_empty() {
            let links = json!({"mlflow_run_id": run, "trace_ids": traces});
            dev.post_json(&format!("/api/labeling-sessions/{id}/link-traces"), &links)
                .await;
        }
        (id, run)
    }

    /// All items of a session, as a developer sees them.
    pub(crate) async fn items(&self, session: &str) -> Vec<Value> {
        let page = self
            .server
            .as_user(DEV)
            .get_json(&format!("/api/labeling-sessions/{session}/items"))
            .await;
        page["items"].as_array().unwrap().clone()
    }

    /// The id of a session's first item.
    pub(crate) async fn first_item(&self, session: &str) -> String {
        let items = self.items(session).await;
        items[0]["item_id"].as_str().unwrap().to_owned()
    }
}

/// An experiment of its own name; its id.
pub(crate) async fn new_experiment(upstream: &Upstream) -> String {
    let name = format!("reviews-{}", trace_id());
    let answer = mlflow(
        upstream,
        "/api/2.0/mlflow/experiments/create",
        &json!({ "name": name }),
    )
    .await;
    answer["experiment_id"].as_str().unwrap().to_owned()
}

/// 16 random bytes as MLflow writes a trace's id.
fn trace_id() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let random = || RandomState::new().build_hasher().finish();
    format!("tr-{:016x}{:016x}", random(), random())
}

async fn new_trace(upstream: &Upstream, experiment: &str, nth: usize) -> String {
    let id = trace_id();
    let info = json!({
        "trace_id": id, "state": "OK", "execution_duration": "1.5s",
        "request_time": format!("2026-11-23T18:{:02}:{:02}.000Z", nth / 60, nth % 60),
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}},
        "request_preview": format!("question {nth}"), "response_preview": format!("answer {nth}"),
    });
    mlflow(
        upstream,
        "/api/3.0/mlflow/traces",
        &json!({"trace": {"trace_info": info}}),
    )
    .await;
    id
}

/// What MLflow itself answers, which must go well.
pub(crate) async fn mlflow(upstream: &Upstream, path: &str, body: &Value) -> Value {
    let request = harness::http_client()
        .post(format!("{}{path}", upstream.url))
        .json(body);
    let (status, answer) = harness::answer(request).await;
    assert!(status.is_success(), "{path}: {status}: {answer}");
    answer
}
