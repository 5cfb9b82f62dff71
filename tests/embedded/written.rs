//! What is written into MLflow's store is what MLflow itself would have written, and is read by it.

use harness::{Asker, compare_traces};
use http::StatusCode;
use serde_json::{Value, json};

use crate::Kind;
use crate::store::OwnStore;

on_each_store! {
    what_is_written_is_what_mlflow_itself_writes;
    what_is_written_is_read_by_mlflow_as_it_is_read_here;
    what_is_not_there_is_neither_labeled_nor_linked;
}

const ANN: &str = "ann@example.com";
const BEGUN_MS: i64 = 1_795_400_000_000;

/// Name, kind, value and rationale of each label.
fn labels() -> Vec<(&'static str, &'static str, Value, Option<&'static str>)> {
    vec![
        ("correctness", "feedback", json!("teils – größer"), Some("why: ä")),
        (
            "tone",
            "feedback",
            json!(["friendly", "short"]),
            Some("why: tone"),
        ),
        ("stars", "feedback", json!(4), Some("why: stars")),
        ("score", "feedback", json!(2.5), None),
        ("is_ok", "feedback", json!(true), None),
        ("parts", "feedback", json!({"b": 1, "a": [true, "x"]}), None),
        (
            "better answer",
            "expectation",
            json!("Am Freitag. 👍"),
            Some("why: better"),
        ),
        (
            "facts",
            "expectation",
            json!(["order 4711", "Freitag"]),
            Some("why: facts"),
        ),
        ("count", "expectation", json!(3), None),
        ("done", "expectation", json!(false), None),
        ("object", "expectation", json!({"pay": {"days": 14}}), None),
    ]
}

/// What each of these labels says in the end.
fn changes() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("stars", "feedback", json!({"name": "", "value": 5})),
        (
            "correctness",
            "feedback",
            json!({"name": "", "value": "gut", "rationale": "doch", "metadata": {"round": "2"}}),
        ),
        (
            "facts",
            "expectation",
            json!({"name": "", "value": ["Montag"], "rationale": "why: facts now"}),
        ),
        ("done", "expectation", json!({"name": "", "value": true})),
    ]
}

/// The runs of the story.
struct Runs {
    session: String,
    named: String,
}

/// What `own_store.py label` does, in the same order.
async fn labeled(asker: Asker<'_>, experiment: &str, traces: &[String]) -> Runs {
    let new = json!({"name": "Week 47 – größer", "assigned_users": [ANN]});
    let session = asker.post_json("/api/labeling-sessions", &new).await;
    let (id, run) = (
        session["labeling_session_id"].as_str().unwrap(),
        session["mlflow_run_id"].as_str().unwrap(),
    );
    let links = json!({"mlflow_run_id": run, "trace_ids": traces[..3]});
    for created in [3, 0] {
        let path = format!("/api/labeling-sessions/{id}/link-traces");
        let linked = asker.post_json(&path, &links).await;
        assert_eq!(
            (&linked["linked_traces"], &linked["items_created"]),
            (&json!(3), &json!(created))
        );
    }
    let mut given = Vec::new();
    for (name, kind, value, rationale) in labels() {
        let mut label = json!({"assessment": {"name": name, "value": value}});
        if let Some(rationale) = rationale {
            label["assessment"]["rationale"] = rationale.into();
        }
        let path = format!("/api/mlflow/traces/{}/{kind}", traces[0]);
        let answer = asker.post_json(&path, &label).await;
        given.push((name, answer["assessment_id"].clone()));
    }
    for (name, kind, label) in changes() {
        let (_, id) = given.iter().find(|(given, _)| *given == name).unwrap();
        let path = format!("/api/mlflow/traces/{}/{kind}", traces[0]);
        let change = json!({"assessment_id": id, "assessment": label});
        assert_eq!(asker.patch_json(&path, &change).await["assessment_id"], *id);
    }
    for (trace, value) in [(1, "no"), (2, "Yes")] {
        let label = json!({"assessment": {"name": "correctness", "value": value}});
        let path = format!("/api/mlflow/traces/{}/feedback", traces[trace]);
        asker.post_json(&path, &label).await;
    }
    let tags = [("mlflow.customRenderer", "chat"), ("größe", "M – 👍")];
    let tags = tags.map(|(key, value)| json!({"key": key, "value": value}));
    let end = json!({"run_id": run, "status": "FINISHED", "end_time": BEGUN_MS + 5_000, "tags": tags});
    asker.post_json("/api/mlflow/runs/update", &end).await;
    let new = json!({"experiment_id": experiment, "run_name": "own run", "start_time": BEGUN_MS,
        "tags": {"a": "b", "empty": ""}});
    let named = asker.post_json("/api/mlflow/runs/create", &new).await;
    let named = named["run"]["info"]["run_id"].as_str().unwrap();
    let failed = json!({"run_id": named, "status": "FAILED"});
    asker.post_json("/api/mlflow/runs/update", &failed).await;
    let new = json!({"experiment_id": experiment, "user_id": "li", "start_time": BEGUN_MS});
    asker.post_json("/api/mlflow/runs/create", &new).await;
    let gone = asker
        .post_json("/api/labeling-sessions", &json!({"name": "gone"}))
        .await;
    let gone = gone["labeling_session_id"].as_str().unwrap();
    asker.delete_json(&format!("/api/labeling-sessions/{gone}")).await;
    Runs {
        session: run.to_owned(),
        named: named.to_owned(),
    }
}

async fn what_is_written_is_what_mlflow_itself_writes(kind: Kind) {
    let (theirs, ours) = (OwnStore::new(kind).await, OwnStore::new(kind).await);
    theirs.run("label", &[]);
    let server = ours.server().await;
    labeled(server.as_local_user(), &ours.experiment, &ours.traces).await;
    let rows = |store: &OwnStore| -> Value { serde_json::from_str(&store.run("rows", &[])).unwrap() };
    let (theirs, ours) = (rows(&theirs), rows(&ours));
    for table in ["assessments", "runs", "tags", "entity_associations"] {
        assert!(!theirs[table].as_array().unwrap().is_empty(), "{table}");
    }
    for (table, rows) in theirs.as_object().unwrap() {
        let of = |rows: &Value| serde_json::to_string_pretty(rows).unwrap();
        assert_eq!(of(&ours[table]), of(rows), "{table}");
    }
    assert_eq!(ours, theirs, "no table more or less");
}

async fn what_is_written_is_read_by_mlflow_as_it_is_read_here(kind: Kind) {
    let upstream = kind.upstream();
    let new = json!({"name": format!("written-{:?}", std::time::SystemTime::now())});
    let made = crate::mlflow(&upstream, "/api/2.0/mlflow/experiments/create", &new).await;
    let experiment = made["experiment_id"].as_str().unwrap();
    let made = upstream.run_script("converse.py", &["--experiment", experiment, "--count", "3"]);
    let traces: Vec<_> = made.lines().map(str::to_owned).collect();
    let server = crate::embedded(&upstream, &[("MLFLOW_EXPERIMENT_ID", experiment)]).await;
    let runs = labeled(server.as_local_user(), experiment, &traces).await;
    let ids: Vec<_> = traces.iter().map(String::as_str).collect();
    compare_traces(&upstream, &server, &ids).await;
    for run in [&runs.session, &runs.named] {
        let path = format!("{}/api/2.0/mlflow/runs/get?run_id={run}", upstream.url);
        let (status, theirs) = harness::answer(harness::http_client().get(path)).await;
        assert_eq!(status, StatusCode::OK, "{theirs}");
        let ours = server.json(&format!("/api/mlflow/runs/{run}")).await;
        assert_eq!(run_as_told(&ours["run"]), run_as_told(&theirs["run"]));
    }
    let filter = format!("run_id = '{}'", runs.session);
    let location = json!({"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}});
    let body = json!({"locations": [location], "filter": filter});
    let theirs = crate::mlflow(&upstream, "/api/3.0/mlflow/traces/search", &body).await;
    let theirs = crate::texts(&theirs["traces"], "/trace_id");
    assert_eq!(theirs.len(), 3, "what is linked is found");
    let body = json!({"run_id": runs.session, "include_spans": false});
    let ours = server.post_json("/api/mlflow/search-traces", &body).await;
    assert_eq!(crate::texts(&ours["traces"], "/info/trace_id"), theirs);
}

/// What a run says, whatever the order of its tags.
fn run_as_told(run: &Value) -> Value {
    let info = &run["info"];
    let members = [
        "run_id",
        "run_name",
        "experiment_id",
        "user_id",
        "status",
        "start_time",
        "end_time",
        "artifact_uri",
        "lifecycle_stage",
    ];
    let mut tags = run["data"]["tags"].as_array().cloned().unwrap_or_default();
    assert!(tags.len() > 1);
    tags.sort_by_key(ToString::to_string);
    let members: Vec<_> = members.iter().map(|&name| (name, &info[name])).collect();
    json!([members, tags])
}

async fn what_is_not_there_is_neither_labeled_nor_linked(kind: Kind) {
    let store = OwnStore::new(kind).await;
    let server = store.server().await;
    let asker = server.as_local_user();
    let before = store.run("rows", &[]);
    let label = json!({"assessment": {"name": "tone", "value": "good"}});
    let run = "0123456789abcdef0123456789abcdef";
    for (path, body) in [
        ("/api/mlflow/traces/tr-unknown/feedback", &label),
        ("/api/mlflow/traces/tr-unknown/expectation", &label),
        (
            "/api/mlflow/traces/link-to-run",
            &json!({"run_id": run, "trace_ids": store.traces}),
        ),
        (
            "/api/mlflow/runs/update",
            &json!({"run_id": run, "status": "FINISHED"}),
        ),
        ("/api/mlflow/runs/create", &json!({"experiment_id": "99999999"})),
    ] {
        let (status, problem) = asker.try_post(path, body).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {problem}");
        crate::check_is_problem(path, status, &problem);
    }
    let change = json!({"assessment_id": "a-unknown", "assessment": {"name": "", "value": "good"}});
    let path = format!("/api/mlflow/traces/{}/feedback", store.traces[0]);
    let (status, problem) = asker.try_patch(&path, &change).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{problem}");
    assert_eq!(store.run("rows", &[]), before, "nothing is written");
}
