//! Analyses of sessions and summaries of experiments: made from what is there, kept where MLflow itself finds them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use harness::{Fault, Upstream, answer};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::place::{DEV, Kept, Place, mlflow};

on_each! {
    the_labels_of_a_session_are_analysed on Sqlite, Postgres, Workspace;
    a_label_that_was_just_given_is_in_the_next_analysis on Sqlite, Workspace;
    the_traces_of_an_experiment_are_summarised on Sqlite, Workspace;
    a_report_is_never_shown_with_the_data_of_another on Sqlite, Workspace;
    every_cloud_of_a_workspace_keeps_reports on Workspace;
    what_is_not_there_is_said on Sqlite, Workspace;
}

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";
const REPORT: &str = "analysis/session_summary/report.md";
const DATA: &str = "analysis/session_summary/data.json";

/// Waits until what is watched here is over; its last status.
pub(crate) async fn over(place: &Place, status: &str) -> Value {
    let events = place.server.as_user(DEV).get(&format!("{status}/stream"));
    let answer = events.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let text = tokio::time::timeout(Duration::from_mins(1), answer.text())
        .await
        .unwrap()
        .unwrap();
    let mut data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let last: Value = serde_json::from_str(data.next_back().unwrap()).unwrap();
    assert_eq!(
        last,
        place.server.as_user(DEV).get_json(status).await,
        "the status is the last event's"
    );
    last
}

/// Has a session analysed; what is kept then.
async fn analysed(place: &Place, session: &str, body: &Value) -> Value {
    let path = format!("/api/labeling-sessions/{session}/analysis");
    let (status, begun) = place
        .server
        .as_user(DEV)
        .try_post(&format!("{path}/trigger"), body)
        .await;
    assert_eq!(status, StatusCode::ACCEPTED, "{begun}");
    let document = place.server.document().await;
    let route = "/api/labeling-sessions/{labeling_session_id}/analysis";
    document.check("post", &format!("{route}/trigger"), &begun);
    let last = over(place, &format!("{path}/status")).await;
    assert_eq!(last["status"], "completed", "{last}");
    assert_eq!(
        (&last["session_id"], &last["report_path"]),
        (&json!(session), &json!(REPORT))
    );
    let kept = place.server.as_user(DEV).get_json(&path).await;
    assert_eq!(
        (&kept["has_analysis"], &kept["session_id"]),
        (&json!(true), &json!(session))
    );
    assert_eq!(kept["run_id"], last["run_id"]);
    document.check("get", &format!("{route}/status"), &last);
    document.check("get", route, &kept);
    kept
}

/// A file of a run, as whoever keeps it gives it.
async fn artifact(place: &Place, run: &str, path: &str) -> String {
    if let Some(workspace) = &place.workspace {
        return String::from_utf8(workspace.artifact(run, path).unwrap()).unwrap();
    }
    let run = mlflow_get(&place.upstream, &format!("/api/2.0/mlflow/runs/get?run_id={run}")).await;
    let folder = run["run"]["info"]["artifact_uri"].as_str().unwrap();
    let folder = folder.strip_prefix("mlflow-artifacts:").unwrap();
    let url = format!(
        "{}/api/2.0/mlflow-artifacts/artifacts{folder}/{path}",
        place.upstream.url
    );
    let answer = harness::http_client().get(url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    answer.text().await.unwrap()
}

async fn mlflow_get(upstream: &Upstream, path: &str) -> Value {
    let (status, answer) = answer(harness::http_client().get(format!("{}{path}", upstream.url))).await;
    assert!(status.is_success(), "{path}: {answer}");
    answer
}

async fn feedback(place: &Place, trace: &str, name: &str, value: &Value, by: &str) {
    // MLflow keeps an assessment in the name of whoever gives it, here and in a workspace.
    let assessment = json!({
        "name": name, "value": value, "rationale": format!("{by}: {value}"),
    });
    let path = format!("/api/mlflow/traces/{trace}/feedback");
    place
        .server
        .as_user(by)
        .post_json(&path, &json!({"assessment": assessment}))
        .await;
}

async fn categorical(place: &Place, name: &str) {
    let schema = json!({
        "name": name, "type": "FEEDBACK", "title": "Is it correct?", "categorical": {"options": ["yes", "no"]},
    });
    place
        .server
        .as_user(DEV)
        .post_json("/api/label-schemas", &schema)
        .await;
}

/// A session of two reviewers, whom a developer helps; three of its four traces are labeled.
async fn labeled(place: &Place) -> (String, String, Vec<String>) {
    categorical(place, "correct").await;
    let traces = place.traces(4).await;
    let (session, run) = place.session(&[ANN, BOB], &traces).await;
    for (trace, by, value) in [
        (0, ANN, "yes"),
        (0, BOB, "yes"),
        (1, ANN, "no"),
        (1, BOB, "yes"),
        (2, ANN, "no"),
        (2, BOB, "no"),
    ] {
        feedback(place, &traces[trace], "correct", &json!(value), by).await;
    }
    (session, run, traces)
}

async fn the_labels_of_a_session_are_analysed(kept: Kept) {
    let place = Place::new(kept).await;
    let (session, run, traces) = labeled(&place).await;
    let found = analysed(&place, &session, &json!({})).await;
    assert_eq!(found["run_id"], json!(run));
    assert_eq!(found["metadata"]["model_endpoint"], Value::Null);
    let content = found["content"].as_str().unwrap();
    assert!(content.starts_with("# Labels of `Week 47`\n"), "{content}");
    assert!(
        content.contains("There are none: no model is configured"),
        "{content}"
    );
    // Where they differ is linked to the page that shows the trace.
    let base = place.proxy.url.clone();
    let page = match kept {
        Kept::Workspace => format!(
            "{base}/ml/experiments/{}/traces?selectedEvaluationId={}",
            place.experiment, traces[1]
        ),
        _ => format!(
            "{base}/#/experiments/{}/traces?selectedEvaluationId={}",
            place.experiment, traces[1]
        ),
    };
    let row = content
        .lines()
        .find(|line| line.contains(&page) && line.contains("question 1"));
    let row = row.unwrap_or_else(|| panic!("no row with {page} in\n{content}"));
    // An address in running text is broken, so that no reader makes a link of it.
    let said = "`ann@example.com`: `no` because ann@\u{2060}example.com: \"no\"";
    assert!(row.contains(said), "{row}");

    assert_eq!(artifact(&place, &run, REPORT).await, content);
    let data: Value = serde_json::from_str(&artifact(&place, &run, DATA).await).unwrap();
    assert_eq!(
        (&data["totals"]["items"], &data["totals"]["ratings"]),
        (&json!(4), &json!(6))
    );
    let agreement = &data["schemas"][0]["agreement"];
    // Two of three are equal; by chance (2·1 + 1·2)/9 would be.
    let kappa = agreement["cohens_kappa"].as_f64().unwrap();
    assert!((kappa - 0.4).abs() < 1e-9, "{agreement}");
    assert_eq!(data["disagreements"]["total"], 1);
    let reviewers = data["reviewers"].as_array().unwrap();
    assert_eq!(reviewers.len(), 2);
    assert_eq!(
        (&reviewers[0]["name"], &reviewers[0]["items_complete"]),
        (&json!(ANN), &json!(3))
    );
    if kept == Kept::Sqlite {
        assert_eq!(
            place.upstream.run_script("read_artifact.py", &[&run, REPORT]),
            content
        );
    }
}

async fn a_label_that_was_just_given_is_in_the_next_analysis(kept: Kept) {
    let place = Place::new(kept).await;
    let (session, _, traces) = labeled(&place).await;
    let ratings = |found: &Value| found["metadata"]["totals"]["ratings"].clone();
    assert_eq!(ratings(&analysed(&place, &session, &json!({})).await), 6);
    // Given past this server, and read by it just before.
    place
        .server
        .as_user(DEV)
        .get_json(&format!("/api/traces/{}", traces[3]))
        .await;
    let assessment = json!({"assessment": {
        "assessment_name": "correct", "source": {"source_type": "HUMAN", "source_id": "eve"}, "feedback": {"value": "no"},
    }});
    mlflow(
        &place.upstream,
        &format!("/api/3.0/mlflow/traces/{}/assessments", traces[3]),
        &assessment,
    )
    .await;
    let found = analysed(&place, &session, &json!({"include_ai_insights": false})).await;
    assert_eq!(ratings(&found), 7);
    assert!(found["content"].as_str().unwrap().contains("none were asked for"));
}

async fn the_traces_of_an_experiment_are_summarised(kept: Kept) {
    let upstream = Upstream::v3();
    let experiment = upstream.seed.experiment_id.clone();
    let place = Place::on(kept, upstream, experiment.clone()).await;
    let dev = place.server.as_user(DEV);
    let trigger = "/api/experiment-summary/trigger-analysis";
    let status = format!("/api/experiment-summary/status/{experiment}");
    let body = json!({"experiment_id": experiment, "focus": "errors", "trace_sample_size": 20});
    let (code, begun) = dev.try_post(trigger, &body).await;
    assert_eq!(
        (code, &begun["experiment_id"]),
        (StatusCode::ACCEPTED, &json!(experiment)),
        "{begun}"
    );
    let last = over(&place, &status).await;
    assert_eq!(last["status"], "completed", "{last}");
    let found = dev
        .get_json(&format!("/api/experiment-summary/{experiment}"))
        .await;
    assert_eq!(
        (&found["has_summary"], &found["source"]),
        (&json!(true), &json!("mlflow"))
    );
    assert_eq!(
        (
            &found["metadata"]["traces_analyzed"],
            &found["metadata"]["traces_failed"]
        ),
        (&json!(20), &json!(0))
    );
    let document = place.server.document().await;
    document.check("post", trigger, &begun);
    document.check("get", "/api/experiment-summary/status/{experiment_id}", &last);
    document.check("get", "/api/experiment-summary/{experiment_id}", &found);
    let content = found["content"].as_str().unwrap();
    assert!(
        content.starts_with(&format!("# Traces of experiment `{experiment}`\n")),
        "{content}"
    );

    // In a run of its own, which says whose it is.
    let run = found["run_id"].as_str().unwrap();
    let kept_in = mlflow_get(&place.upstream, &format!("/api/2.0/mlflow/runs/get?run_id={run}")).await;
    assert_eq!(kept_in["run"]["info"]["run_name"], "experiment_metadata");
    let tags = kept_in["run"]["data"]["tags"].as_array().unwrap();
    assert!(
        tags.contains(&json!({"key": "experiment.id", "value": experiment})),
        "{tags:?}"
    );
    let folder = "analysis/experiment_summaries";
    assert_eq!(
        artifact(&place, run, &format!("{folder}/{experiment}_summary.md")).await,
        content
    );
    let data = artifact(&place, run, &format!("{folder}/{experiment}_analysis_data.json")).await;
    let data: Value = serde_json::from_str(&data).unwrap();
    for member in ["detected_issues", "schemas_with_label_types", "metadata"] {
        assert_eq!(data[member], found[member], "{member}");
    }

    // What it says of spans is what the spans say.
    let newest = dev
        .post_json(
            "/api/mlflow/search-traces",
            &json!({"max_results": 20, "include_spans": true}),
        )
        .await;
    let spans: Vec<&Value> = newest["traces"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|trace| trace["data"]["spans"].as_array().unwrap())
        .collect();
    let of_type = |kind: &str| {
        let quoted = json!(kind).to_string();
        spans
            .iter()
            .filter(|span| span["attributes"]["mlflow.spanType"] == json!(quoted))
            .count()
    };
    assert_eq!(data["statistics"]["spans"], spans.len());
    let types = data["statistics"]["by_type"].as_object().unwrap();
    assert!(
        types.contains_key("TOOL") && types.contains_key("RETRIEVER"),
        "{types:?}"
    );
    for (kind, figures) in types.iter().filter(|(kind, _)| *kind != "UNKNOWN") {
        assert_eq!(figures["count"], of_type(kind), "{kind}");
    }
    // Each recommended schema can be made as it is, and none is grounded in a trace that is not there.
    let ids: Vec<&str> = newest["traces"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|trace| trace["info"]["trace_id"].as_str())
        .collect();
    for schema in found["schemas_with_label_types"].as_array().unwrap() {
        let grounded = schema["grounded_in_traces"].as_array().unwrap();
        assert!(
            grounded.iter().all(|id| ids.contains(&id.as_str().unwrap())),
            "{schema}"
        );
    }

    // Another goes into the same run.
    dev.post_json(
        trigger,
        &json!({"experiment_id": experiment, "trace_sample_size": 3}),
    )
    .await;
    assert_eq!(over(&place, &status).await["run_id"], json!(run));
    let again = dev
        .get_json(&format!("/api/experiment-summary/{experiment}"))
        .await;
    assert_eq!(again["metadata"]["traces_analyzed"], 3);
}

async fn a_report_is_never_shown_with_the_data_of_another(kept: Kept) {
    let place = Place::new(kept).await;
    let (session, _, traces) = labeled(&place).await;
    let dev = place.server.as_user(DEV);
    let path = format!("/api/labeling-sessions/{session}/analysis");
    let first = analysed(&place, &session, &json!({})).await;
    assert!(first["metadata"]["totals"].is_object(), "{first}");

    // Of the next one the data are stored, and the report is refused.
    let workspace = place.workspace.is_some();
    let puts = AtomicUsize::new(0);
    place.proxy.rule(move |call| {
        let is_put = if workspace {
            call.path.contains("credentials-for-write")
        } else {
            call.method == "PUT" && call.path.contains("mlflow-artifacts/artifacts")
        };
        if is_put && puts.fetch_add(1, Ordering::SeqCst) > 0 {
            Fault::Status(403, Vec::new(), "")
        } else {
            Fault::None
        }
    });
    feedback(&place, &traces[0], "correct", &json!("no"), BOB).await;
    dev.post_json(&format!("{path}/trigger"), &json!({})).await;
    assert_eq!(over(&place, &format!("{path}/status")).await["status"], "failed");
    for freshness in ["max-age=60", "no-cache"] {
        let (_, kept) = answer(dev.get(&path).header("cache-control", freshness)).await;
        assert_eq!(kept["content"], first["content"]);
        assert_eq!(kept["metadata"], Value::Null, "{freshness}");
    }

    place.proxy.rule(|_| Fault::None);
    let next = analysed(&place, &session, &json!({})).await;
    assert!(next["metadata"]["totals"].is_object(), "{next}");
    assert_ne!(next["content"], first["content"]);
}

async fn every_cloud_of_a_workspace_keeps_reports(kept: Kept) {
    let place = Place::new(kept).await;
    let (session, run, _) = labeled(&place).await;
    let workspace = place.workspace.as_ref().unwrap();
    for (kind, expired) in [
        ("AWS_PRESIGNED_URL", 1),
        ("GCP_SIGNED_URL", 0),
        ("AZURE_SAS_URI", 0),
        ("AZURE_ADLS_GEN2_SAS_URI", 1),
    ] {
        workspace.sign_as(kind, expired);
        let found = analysed(&place, &session, &json!({})).await;
        let stored = workspace.artifact(&run, REPORT).unwrap();
        assert_eq!(
            found["content"],
            json!(String::from_utf8(stored).unwrap()),
            "{kind}"
        );
    }
    // Two that are refused one after the other are no accident.
    workspace.sign_as("AWS_PRESIGNED_URL", 9);
    let path = format!("/api/labeling-sessions/{session}/analysis");
    place
        .server
        .as_user(DEV)
        .post_json(&format!("{path}/trigger"), &json!({}))
        .await;
    let last = over(&place, &format!("{path}/status")).await;
    assert_eq!(last["status"], "failed");
    assert!(!last.to_string().contains("planted"), "{last}");
}

async fn what_is_not_there_is_said(kept: Kept) {
    let place = Place::new(kept).await;
    let dev = place.server.as_user(DEV);
    let (session, run) = place.session(&[ANN], &[]).await;
    let path = format!("/api/labeling-sessions/{session}/analysis");
    let none = dev.get_json(&path).await;
    assert_eq!(
        (&none["has_analysis"], &none["content"], &none["metadata"]),
        (&json!(false), &Value::Null, &Value::Null)
    );
    assert_eq!(none["run_id"], json!(run));
    let status = dev.get_json(&format!("{path}/status")).await;
    assert_eq!(
        (&status["status"], &status["run_id"]),
        (&json!("not_found"), &Value::Null)
    );
    assert_eq!(
        over(&place, &format!("{path}/status")).await["status"],
        "not_found"
    );
    let summary = dev
        .get_json(&format!("/api/experiment-summary/{}", place.experiment))
        .await;
    let document = place.server.document().await;
    let route = "/api/labeling-sessions/{labeling_session_id}/analysis";
    document.check("get", route, &none);
    document.check("get", &format!("{route}/status"), &status);
    document.check("get", "/api/experiment-summary/{experiment_id}", &summary);
    assert_eq!(
        (&summary["has_summary"], &summary["detected_issues"]),
        (&json!(false), &json!([]))
    );

    let unknown = "/api/labeling-sessions/00000000000000000000000000000000/analysis";
    for (method, path, body) in [
        (Method::GET, unknown.to_owned(), json!({})),
        (Method::GET, format!("{unknown}/status"), json!({})),
        (Method::GET, format!("{unknown}/status/stream"), json!({})),
        (Method::DELETE, format!("{unknown}/status"), json!({})),
        (Method::POST, format!("{unknown}/trigger"), json!({})),
        (Method::GET, "/api/experiment-summary/99999".into(), json!({})),
        (
            Method::GET,
            "/api/experiment-summary/status/99999".into(),
            json!({}),
        ),
        (
            Method::DELETE,
            "/api/experiment-summary/status/99999".into(),
            json!({}),
        ),
        (
            Method::POST,
            "/api/experiment-summary/trigger-analysis".into(),
            json!({"experiment_id": "99999"}),
        ),
        (
            Method::GET,
            "/api/traces/analyze-patterns?experiment_id=99999".into(),
            json!({}),
        ),
    ] {
        let (code, problem) = answer(dev.request(method.clone(), &path).json(&body)).await;
        assert_eq!(code, StatusCode::NOT_FOUND, "{method} {path}: {problem}");
    }
    for (path, body, field) in [
        (
            format!("{path}/trigger"),
            json!({"include_ai_insights": "maybe"}),
            "include_ai_insights",
        ),
        (
            format!("{path}/trigger"),
            json!({"model_endpoint": "x".repeat(201)}),
            "model_endpoint",
        ),
        (
            "/api/experiment-summary/trigger-analysis".into(),
            json!({"experiment_id": "1", "trace_sample_size": 1001}),
            "trace_sample_size",
        ),
        (
            "/api/experiment-summary/trigger-analysis".into(),
            json!({"experiment_id": "1", "focus": "x".repeat(501)}),
            "focus",
        ),
        (
            "/api/experiment-summary/trigger-analysis".into(),
            json!({}),
            "experiment_id",
        ),
    ] {
        let (code, problem) = dev.try_post(&path, &body).await;
        assert_eq!(
            (code, &problem["error"]["details"]["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)),
            "{problem}"
        );
    }
    let (code, problem) = dev.try_delete(&format!("{path}/status")).await;
    assert_eq!(code, StatusCode::CONFLICT, "{problem}");
}
