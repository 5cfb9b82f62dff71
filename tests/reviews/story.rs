//! The whole story of a labeling session, as people live it, over HTTP.

use std::collections::HashMap;

use http::StatusCode;
use serde_json::{Value, json};

use crate::place::{DEV, Kept, Place};
use crate::schemas::of_every_kind;

on_each! {
    a_session_is_made_labeled_and_completed on Sqlite, Postgres, Workspace;
}

const ANN: &str = "ann@example.com";
const TRACES: usize = 60;

/// What Ann says to each schema: its name, the kind of label, the value.
fn answers() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("correctness", "feedback", json!("teils – größer")),
        ("tone", "feedback", json!(["friendly", "short"])),
        ("stars", "feedback", json!(4)),
        (
            "better answer",
            "expectation",
            json!("Your order arrives on Friday. 👍"),
        ),
        ("facts", "expectation", json!(["order 4711", "Freitag"])),
    ]
}

async fn a_session_is_made_labeled_and_completed(kept: Kept) {
    let place = Place::new(kept).await;
    let made = place.upstream.run_script(
        "converse.py",
        &["--experiment", &place.experiment, "--count", &TRACES.to_string()],
    );
    let traces: Vec<_> = made.lines().map(str::to_owned).collect();
    let session = made_by_a_developer(&place, &traces).await;
    let (id, run) = (
        session["labeling_session_id"].as_str().unwrap(),
        session["mlflow_run_id"].as_str().unwrap(),
    );
    let (_, others) = place.session(&["bob@example.com"], &traces[..2]).await;

    // Ann opens the app and sees her session, and only hers.
    let ann = place.server.as_user(ANN);
    let manifest = ann.get_json("/api/manifest").await;
    assert_eq!(manifest["user"]["role"], "sme");
    assert_eq!(
        ann.try_get("/api/auth/check-dev-access").await.0,
        StatusCode::FORBIDDEN
    );
    let sessions = ann.get_json("/api/labeling-sessions").await;
    let mut as_she_sees_it = session.clone();
    as_she_sees_it["assigned_users"][0] = json!(ANN);
    assert_eq!(sessions["labeling_sessions"], json!([as_she_sees_it]));
    assert_eq!(
        ann.try_get(&format!("/api/mlflow/runs/{others}")).await.0,
        StatusCode::FORBIDDEN
    );

    // The labeling page loads the session, its items, its run and all its traces with their spans.
    assert_eq!(
        ann.get_json(&format!("/api/labeling-sessions/{id}")).await,
        as_she_sees_it
    );
    let items = ann.get_json(&format!("/api/labeling-sessions/{id}/items")).await;
    let items = items["items"].as_array().unwrap().clone();
    assert_eq!(items.len(), TRACES);
    assert!(
        items
            .iter()
            .all(|item| item["request_preview"].is_string() && item["response_preview"].is_string())
    );
    ann.get_json(&format!("/api/mlflow/runs/{run}")).await;
    let page = ann
        .post_json(
            "/api/mlflow/search-traces",
            &json!({"run_id": run, "max_results": 500}),
        )
        .await;
    let page = page["traces"].as_array().unwrap();
    assert_eq!(page.len(), TRACES);
    assert!(
        page.iter()
            .all(|trace| trace["data"]["spans"].as_array().unwrap().len() > 3)
    );

    labeled_by_ann(&place, id, &items).await;
    let count = async |state: &str| {
        let path = format!("/api/labeling-sessions/{id}/items?filter=state={state}");
        ann.get_json(&path).await["items"].as_array().unwrap().len()
    };
    let counts = [
        count("COMPLETED").await,
        count("IN_PROGRESS").await,
        count("SKIPPED").await,
        count("PENDING").await,
    ];
    assert_eq!(counts, [3, 1, 1, TRACES - 5]);
    told_by_the_sdk(&place, &items);

    // What is labeled stays when the session goes.
    place
        .server
        .as_user(DEV)
        .delete_json(&format!("/api/labeling-sessions/{id}"))
        .await;
    let trace = items[0]["source"]["trace_id"].as_str().unwrap();
    assert_eq!(
        ann.try_get(&format!("/api/traces/{trace}")).await.0,
        StatusCode::FORBIDDEN
    );
    let trace = place
        .server
        .as_user(DEV)
        .get_json(&format!("/api/traces/{trace}"))
        .await;
    assert_eq!(
        trace["info"]["assessments"].as_array().unwrap().len(),
        answers().len()
    );
}

async fn made_by_a_developer(place: &Place, traces: &[String]) -> Value {
    let dev = place.server.as_user(DEV);
    for schema in of_every_kind() {
        dev.post_json("/api/label-schemas", &schema).await;
    }
    let names: Vec<_> = of_every_kind()
        .iter()
        .map(|schema| json!({"name": schema["name"]}))
        .collect();
    let unknown = json!({"name": "n", "labeling_schemas": [names[0], {"name": "nothing"}]});
    let (status, problem) = dev.try_post("/api/labeling-sessions", &unknown).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["error"]["details"]["field"], "labeling_schemas[1].name");
    let body = json!({"name": "Week 47 – größer", "assigned_users": ["Ann@Example.com", DEV], "labeling_schemas": names});
    let session = dev.post_json("/api/labeling-sessions", &body).await;
    for (member, value) in body.as_object().unwrap() {
        assert_eq!(&session[member], value);
    }
    assert_eq!(
        (&session["created_by"], &session["last_updated_by"]),
        (&json!(place.author(DEV)), &json!(place.author(DEV)))
    );
    let links = json!({"mlflow_run_id": session["mlflow_run_id"], "trace_ids": traces});
    let path = format!(
        "/api/labeling-sessions/{}/link-traces",
        session["labeling_session_id"].as_str().unwrap()
    );
    for created in [TRACES, 0] {
        let linked = dev.post_json(&path, &links).await;
        assert_eq!(
            (&linked["linked_traces"], &linked["items_created"]),
            (&json!(TRACES), &json!(created))
        );
    }
    // The renderer is a tag of the run.
    let tag = json!({"run_id": session["mlflow_run_id"], "tags": [{"key": "mlflow.customRenderer", "value": "chat"}]});
    dev.post_json("/api/mlflow/runs/update", &tag).await;
    session
}

/// Three items are labeled and completed, one is begun, one is skipped.
async fn labeled_by_ann(place: &Place, session: &str, items: &[Value]) {
    let ann = place.server.as_user(ANN);
    let state = async |nth: usize, body: Value| {
        let id = items[nth]["item_id"].as_str().unwrap();
        let path = format!("/api/labeling-sessions/{session}/items/{id}");
        let mask = body
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
            .join(",");
        ann.patch_json(&format!("{path}?update_mask={mask}"), &body).await
    };
    for (nth, item) in items.iter().enumerate().take(3) {
        let trace = item["source"]["trace_id"].as_str().unwrap();
        state(nth, json!({"state": "IN_PROGRESS"})).await;
        for (name, kind, value) in answers() {
            let path = format!("/api/mlflow/traces/{trace}/{kind}");
            let first = if nth == 0 && name == "stars" {
                json!(1)
            } else {
                value.clone()
            };
            let label =
                json!({"assessment": {"name": name, "value": first, "rationale": format!("why: {name}")}});
            let given = ann.post_json(&path, &label).await;
            // She thinks again.
            if first != value {
                let change = json!({"assessment_id": given["assessment_id"],
                    "assessment": {"name": "", "value": value, "rationale": "why: stars"}});
                ann.patch_json(&path, &change).await;
            }
        }
        let done = state(nth, json!({"state": "COMPLETED", "comment": "checked"})).await;
        assert_eq!(
            (&done["state"], &done["comment"]),
            (&json!("COMPLETED"), &json!("checked"))
        );
        assert_eq!(done["last_updated_by"], place.author(ANN));
    }
    state(3, json!({"state": "IN_PROGRESS"})).await;
    state(4, json!({"state": "SKIPPED"})).await;
}

/// MLflow's own SDK reads what was given.
fn told_by_the_sdk(place: &Place, items: &[Value]) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("traces.jsonl");
    let ids: Vec<_> = items[..5]
        .iter()
        .map(|item| item["source"]["trace_id"].as_str().unwrap())
        .collect();
    let args = [&["--out", out.to_str().unwrap()], &ids[..]].concat();
    place.upstream.run_script("read_with_sdk.py", &args);
    let text = std::fs::read_to_string(out).unwrap();
    let told: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (nth, trace) in told.iter().enumerate() {
        let given = trace["assessments"].as_array().unwrap();
        if nth >= 3 {
            assert!(given.is_empty());
            continue;
        }
        let given: HashMap<_, _> = given
            .iter()
            .map(|one| (one["name"].as_str().unwrap(), one))
            .collect();
        assert_eq!(given.len(), answers().len());
        for (name, kind, value) in answers() {
            let one = given[name];
            let number = |value: &Value| value.as_f64().map(Value::from);
            assert_eq!(
                number(&one["value"]).unwrap_or_else(|| one["value"].clone()),
                number(&value).unwrap_or(value),
                "{one}"
            );
            assert_eq!(one["kind"], kind);
            assert_eq!(
                (&one["source_type"], &one["source_id"]),
                (&json!("HUMAN"), &json!(ANN))
            );
            assert_eq!(one["metadata"]["rationale"], format!("why: {name}"));
            // MLflow drops the rationale of an expectation: there it stands in the metadata alone.
            if kind == "feedback" {
                assert_eq!(one["rationale"], format!("why: {name}"));
            }
        }
    }
}
