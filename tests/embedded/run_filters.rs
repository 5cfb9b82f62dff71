//! Runs found by filters, in orders, page by page: as MLflow finds them on the same store.

use harness::{TraceServer, Upstream};
use http::StatusCode;
use serde_json::{Value, json};

use crate::Kind;

on_each_store! {
    every_filter_of_runs_finds_what_mlflow_finds;
    every_order_of_runs_is_mlflows_own;
    deleted_runs_are_found_when_they_are_asked_for;
    small_pages_of_runs_put_together_are_the_whole_whoever_gave_the_token;
    what_mlflow_refuses_of_runs_is_refused_with_a_reason;
    what_mlflow_stumbles_over_of_runs_is_refused_with_a_reason;
}

const FILTERS: &[&str] = &[
    // Metrics; one is not a number, two are infinite.
    "metrics.loss < 0.5",
    "metrics.loss >= 0.5",
    "metrics.loss = 0.1",
    "metrics.loss != 0.1",
    "metrics.loss != 0",
    "metrics.loss > 1e10",
    "metrics.loss < -1e10",
    "metrics.loss > 99999999999999999999999",
    "metrics.`my metric` < -5",
    "metrics.\"my metric\" <= -5.0",
    "metric.steps = 2",
    "metrics.steps > 0",
    "metrics.steps < 2",
    "metrics.missing > 0",
    // Parameters.
    "params.model = 'claude'",
    "param.model != 'claude'",
    "parameters.model = 'größe'",
    "params.model LIKE 'gpt%'",
    "params.model LIKE 'GPT%'",
    "params.model ILIKE 'GPT%'",
    "params.`top k` = '3'",
    "params.`top k` IS NOT NULL",
    "params.\"top k\" IS NULL",
    // Tags.
    "tags.team = 'care'",
    "tags.team != 'care'",
    "tag.`my key` = 'v 2'",
    "tags.team ILIKE 'CARE'",
    "tags.even = ''",
    "tags.even IS NOT NULL",
    "tags.even is null",
    "tags.mlflow.user = 'müller@example.com'",
    "tags.`mlflow.user` LIKE '%example.com'",
    "tags.`mlflow.customRenderer` = 'chat'",
    // Attributes.
    "status = 'FINISHED'",
    "status = 'finished'",
    "attributes.status != 'FINISHED'",
    "attribute.status = 'KILLED'",
    "run.status = 'RUNNING'",
    "attr.status LIKE 'F%'",
    "run_name LIKE '%agent%'",
    "`run name` LIKE 'support%'",
    "attributes.`Run name` ILIKE 'SUPPORT%'",
    "attributes.run_name = \"O'Brien bot 3\"",
    "run_name LIKE 'größe%'",
    "start_time > 1795400060000",
    "attributes.start_time <= 1795400060000",
    "created > 1795400060000",
    "Created >= 1795400060000.5",
    "start_time != 1795400000000",
    "end_time > 1795400100000",
    "run_id = '{r2}'",
    "attributes.run_id IN ('{r1}', '{r2}')",
    "run_id NOT IN ('{r1}', '{r3}')",
    "user_id = 'li@example.com'",
    "attributes.user_id LIKE '%example.com'",
    "artifact_uri LIKE '%/{r3}/artifacts'",
    // Data sets.
    "dataset.name = 'train set'",
    "datasets.name IN ('größe', 'train set')",
    "dataset.digest LIKE 'digest%'",
    "dataset.context = 'training'",
    // Several.
    "",
    "metrics.loss > 0.2 AND params.model = 'claude' AND tags.team != 'x'",
    "metrics.loss > 0.2 and metrics.steps >= 2 AND status = 'FAILED'",
    "params.model = 'claude' AND params.`top k` IS NOT NULL",
    "tags.team = 'care' AND tags.`my key` = 'v1'",
    "dataset.name = 'train set' AND metrics.steps = 2",
];

const ORDERS: &[&[&str]] = &[
    &["start_time ASC"],
    &["start_time DESC"],
    &["Created DESC"],
    &["attributes.end_time"],
    &["end_time DESC"],
    &["run_id"],
    &["run_name DESC"],
    &["status DESC"],
    &["attributes.status", "run_id"],
    &["user_id"],
    &["artifact_uri"],
    &["metrics.loss ASC"],
    &["metrics.loss DESC"],
    &["metrics.steps"],
    &["metrics.missing"],
    &["params.model DESC"],
    &["params.`top k`"],
    &["tags.team", "metrics.loss DESC"],
    &["tags.mlflow.user DESC"],
    &["tags.even"],
];

/// What MLflow answers with 400 on every store.
const REFUSED: &[&str] = &[
    "bogus",
    "bogus = 1",
    "attributes.bogus = 'x'",
    "experiment_id = '1'",
    "lifecycle_stage = 'active'",
    "metrics = 1",
    "feedback.x = 'y'",
    "dataset.bogus = 'x'",
    "metrics.loss = NaN",
    "metrics.loss = 'NaN'",
    "metrics.loss > '1'",
    "metrics.loss LIKE '1'",
    "metrics.loss IS NULL",
    "params.model = claude",
    "params.model = 1",
    "params.model > 'a'",
    "params.model IN ('claude')",
    "tags.team IN ('care')",
    "tags.team RLIKE 'c'",
    "tags.team = 'care';",
    "status = FINISHED",
    "status IN ('FINISHED')",
    "status RLIKE 'F'",
    "status IS NULL",
    "status = 'FINISHED' OR status = 'FAILED'",
    "(status = 'FINISHED')",
    "run_name IN ('x')",
    "run_id = 3",
    "run_id IN ()",
    "start_time > '1'",
    "start_time LIKE '1'",
    "start_time IS NULL",
    "'",
];

const REFUSED_ORDERS: &[&[&str]] = &[
    &["bogus"],
    &["duration"],
    &["lifecycle_stage"],
    &["attributes.experiment_id"],
    &["`Run Name`"],
    &["dataset.name"],
    &["metrics.loss UP"],
    &[""],
];

const REFUSED_TOKENS: &[&str] = &["bogus", "e30="];

/// What MLflow answers with 500 on one kind of store at least.
const STUMBLED_OVER: &[&str] = &["run_id IN (x)", "start_time > 99999999999999999999"];
const STUMBLED_OVER_ORDERS: &[&[&str]] = &[&["start_time", "start_time"], &["created", "start_time DESC"]];
/// `[]` and −1.
const STUMBLED_OVER_TOKENS: &[&str] = &["W10=", "eyJvZmZzZXQiOiAtMX0="];

/// One MLflow, and a server on its store.
struct Both {
    upstream: Upstream,
    server: TraceServer,
}

impl Both {
    async fn on(kind: Kind) -> Self {
        let upstream = kind.upstream();
        let server = crate::embedded(&upstream, &[]).await;
        Self { upstream, server }
    }

    /// A search of the seeded runs with these members.
    fn body(&self, members: &Value) -> Value {
        let seed = &self.upstream.seed.filters;
        let mut body = json!({"experiment_ids": [seed.runs_experiment_id], "max_results": 1000});
        for (name, value) in members.as_object().unwrap() {
            body[name] = match value.as_str() {
                Some(filter) if name == "filter" => seed.fill(filter).into(),
                _ => value.clone(),
            };
        }
        body
    }

    async fn try_theirs(&self, members: &Value) -> (StatusCode, Value) {
        let body = self.body(members);
        crate::try_mlflow(&self.upstream, "/api/2.0/mlflow/runs/search", &body).await
    }

    async fn try_ours(&self, members: &Value) -> (StatusCode, Value) {
        let body = self.body(members);
        let asker = self.server.as_local_user();
        asker.try_post("/api/mlflow/runs/search", &body).await
    }

    async fn theirs(&self, members: &Value) -> Value {
        let (status, page) = self.try_theirs(members).await;
        assert_eq!(status, StatusCode::OK, "{members}: {page}");
        page
    }

    async fn ours(&self, members: &Value) -> Value {
        let (status, page) = self.try_ours(members).await;
        assert_eq!(status, StatusCode::OK, "{members}: {page}");
        page
    }

    /// How many both find: the same in the same order, with the same metrics, parameters and tags.
    async fn same(&self, members: &Value) -> usize {
        let (theirs, ours) = (self.theirs(members).await, self.ours(members).await);
        assert_eq!(names(&ours), names(&theirs), "{members}");
        for (ours, theirs) in runs(&ours).iter().zip(runs(&theirs)) {
            for kind in ["metrics", "params", "tags"] {
                assert_eq!(
                    data(ours, kind),
                    data(theirs, kind),
                    "{kind} of {}",
                    theirs["info"]
                );
            }
            for member in [
                "run_id",
                "status",
                "start_time",
                "end_time",
                "artifact_uri",
                "user_id",
            ] {
                assert_eq!(ours["info"][member], theirs["info"][member], "{member}: {ours}");
            }
        }
        runs(&ours).len()
    }

    async fn check_is_refused(&self, members: &Value) {
        let (status, answer) = self.try_theirs(members).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "MLflow, {members}: {answer}");
        let (status, problem) = self.try_ours(members).await;
        crate::check_is_refused(&members.to_string(), status, &problem);
    }
}

fn runs(page: &Value) -> &[Value] {
    page["runs"].as_array().map_or(&[], Vec::as_slice)
}

fn names(page: &Value) -> Vec<String> {
    crate::texts(&page["runs"], "/info/run_name")
}

/// A run's metrics, parameters or tags, in the order of their keys.
fn data(run: &Value, kind: &str) -> Vec<Value> {
    let mut list = run["data"][kind].as_array().cloned().unwrap_or_default();
    list.sort_by_key(|one| one["key"].to_string());
    list
}

async fn every_filter_of_runs_finds_what_mlflow_finds(kind: Kind) {
    let both = Both::on(kind).await;
    let all = both.same(&json!({})).await;
    assert!(all > 10);
    let mut telling = 0;
    for filter in FILTERS {
        let found = both.same(&json!({"filter": filter})).await;
        telling += usize::from(found > 0 && found < all);
    }
    assert!(
        telling * 10 > FILTERS.len() * 8,
        "{telling} of {} filters find some and not all",
        FILTERS.len()
    );
}

async fn every_order_of_runs_is_mlflows_own(kind: Kind) {
    let both = Both::on(kind).await;
    for order_by in ORDERS {
        assert!(both.same(&json!({"order_by": order_by})).await > 10);
        let some = json!({"order_by": order_by, "filter": "tags.team != 'care'"});
        assert!(both.same(&some).await > 5);
    }
}

async fn deleted_runs_are_found_when_they_are_asked_for(kind: Kind) {
    let both = Both::on(kind).await;
    let mut counts = Vec::new();
    for view in ["ACTIVE_ONLY", "DELETED_ONLY", "ALL"] {
        counts.push(both.same(&json!({"run_view_type": view})).await);
    }
    assert_eq!(counts, [12, 2, 14]);
}

async fn small_pages_of_runs_put_together_are_the_whole_whoever_gave_the_token(kind: Kind) {
    let both = Both::on(kind).await;
    for (size, order_by) in (2..=5).zip([&[][..], &["metrics.loss"], &["params.`top k`"], &["status"]]) {
        let whole = names(&both.ours(&json!({"order_by": order_by})).await);
        for begins in [0, 1] {
            let (mut found, mut token) = (Vec::new(), Value::Null);
            for page in begins.. {
                let mut members = json!({"order_by": order_by, "max_results": size});
                if token.is_string() {
                    members["page_token"] = token;
                }
                let page = if page % 2 == 0 {
                    both.theirs(&members).await
                } else {
                    both.ours(&members).await
                };
                found.extend(names(&page));
                token = page["next_page_token"].clone();
                if token.as_str().is_none_or(str::is_empty) {
                    break;
                }
            }
            assert_eq!(found, whole, "pages of {size} by {order_by:?}");
        }
    }
}

async fn what_mlflow_refuses_of_runs_is_refused_with_a_reason(kind: Kind) {
    let both = Both::on(kind).await;
    for filter in REFUSED {
        both.check_is_refused(&json!({"filter": filter})).await;
    }
    for order_by in REFUSED_ORDERS {
        both.check_is_refused(&json!({"order_by": order_by})).await;
    }
    for token in REFUSED_TOKENS {
        both.check_is_refused(&json!({"page_token": token})).await;
    }
}

async fn what_mlflow_stumbles_over_of_runs_is_refused_with_a_reason(kind: Kind) {
    let both = Both::on(kind).await;
    let filters = STUMBLED_OVER.iter().map(|filter| json!({"filter": filter}));
    let orders = STUMBLED_OVER_ORDERS
        .iter()
        .map(|order_by| json!({"order_by": order_by}));
    let tokens = STUMBLED_OVER_TOKENS
        .iter()
        .map(|token| json!({"page_token": token}));
    for members in filters.chain(orders).chain(tokens) {
        let (status, problem) = both.try_ours(&members).await;
        assert!(status.is_client_error(), "{members}: {status}: {problem}");
        crate::check_is_problem(&members.to_string(), status, &problem);
    }
}
