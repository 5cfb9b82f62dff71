//! Real answers of the review routes are what the OpenAPI document says.

use http::Method;
use serde_json::{Value, json};

use crate::place::{DEV, Kept, Place};
use crate::schemas::of_every_kind;

on_each! {
    answers_are_what_the_document_says on Sqlite, Workspace;
}

async fn answers_are_what_the_document_says(kept: Kept) {
    let place = Place::new(kept).await;
    let traces = place.traces(2).await;
    let document = place.server.document().await;
    let say = async |method: Method, route: &str, ids: &[&str], body: Value| -> Value {
        // The names in the route, in order.
        let mut path = route.to_owned();
        for id in ids {
            let (from, to) = (path.find('{').unwrap(), path.find('}').unwrap());
            path.replace_range(from..=to, id);
        }
        let mut request = place.server.as_user(DEV).request(method.clone(), &path);
        if !body.is_null() {
            request = request.json(&body);
        }
        let (status, answer) = harness::answer(request).await;
        assert_eq!(status, 200, "{route}: {answer}");
        document.check(&method.as_str().to_lowercase(), route, &answer);
        answer
    };
    let (get, post, patch, delete) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    let manifest = say(get.clone(), "/api/manifest", &[], Value::Null).await;
    let app = manifest["config"]["review_app_id"].as_str().unwrap();
    say(get.clone(), "/api/auth/check-dev-access", &[], Value::Null).await;
    for schema in of_every_kind() {
        say(post.clone(), "/api/label-schemas", &[], schema).await;
    }
    say(get.clone(), "/api/label-schemas", &[], Value::Null).await;
    say(
        patch.clone(),
        "/api/label-schemas/{schema_name}",
        &["tone"],
        of_every_kind().remove(1),
    )
    .await;
    say(
        delete.clone(),
        "/api/label-schemas/{schema_name}",
        &["tone"],
        Value::Null,
    )
    .await;
    say(get.clone(), "/api/review-apps", &[], Value::Null).await;
    say(
        get.clone(),
        "/api/review-apps/{review_app_id}",
        &[app],
        Value::Null,
    )
    .await;
    let change = json!({"agents": [{"agent_name": "support"}]});
    say(patch.clone(), "/api/review-apps/{review_app_id}", &[app], change).await;
    let body = json!({"name": "Week 47", "assigned_users": [DEV], "agent": {"agent_name": "support"},
        "labeling_schemas": [{"name": "stars"}]});
    let session = say(post.clone(), "/api/labeling-sessions", &[], body).await;
    let (id, run) = (
        session["labeling_session_id"].as_str().unwrap(),
        &session["mlflow_run_id"],
    );
    say(get.clone(), "/api/labeling-sessions", &[], Value::Null).await;
    let route = "/api/labeling-sessions/{labeling_session_id}";
    say(get.clone(), route, &[id], Value::Null).await;
    say(patch.clone(), route, &[id], json!({"name": "Week 48"})).await;
    let links = json!({"mlflow_run_id": run, "trace_ids": traces});
    say(post.clone(), &format!("{route}/link-traces"), &[id], links).await;
    let new = json!({"items": [{"source": {"trace_id": traces[0]}}]});
    say(post.clone(), &format!("{route}/items/batchCreate"), &[id], new).await;
    let items = say(get.clone(), &format!("{route}/items"), &[id], Value::Null).await;
    let item = items["items"][0]["item_id"].as_str().unwrap();
    let of_item = format!("{route}/items/{{item_id}}");
    let change =
        json!({"state": "COMPLETED", "comment": "c", "labels": {"a": {"value": ["x"], "comment": "c"}}});
    say(patch.clone(), &of_item, &[id, item], change).await;
    say(get.clone(), &of_item, &[id, item], Value::Null).await;
    let trace = traces[0].as_str();
    for kind in ["feedback", "expectation"] {
        let label = json!({"assessment": {"name": "n", "value": [1], "rationale": "r"}});
        let given = say(
            post.clone(),
            &format!("/api/traces/{{trace_id}}/{kind}"),
            &[trace],
            label,
        )
        .await;
        let change = json!({"assessment_id": given["assessment_id"], "assessment": {"value": 2}});
        say(
            patch.clone(),
            &format!("/api/mlflow/traces/{{trace_id}}/{kind}"),
            &[trace],
            change,
        )
        .await;
    }
    say(
        post.clone(),
        "/api/mlflow/search-traces",
        &[],
        json!({"run_id": run}),
    )
    .await;
    let links = json!({"run_id": run, "trace_ids": traces});
    say(post.clone(), "/api/traces/link-to-run", &[], links).await;
    let new = json!({"experiment_id": place.experiment, "tags": {"a": "b"}});
    say(post.clone(), "/api/mlflow/runs/create", &[], new).await;
    say(
        post,
        "/api/mlflow/runs/update",
        &[],
        json!({"run_id": run, "status": "FINISHED"}),
    )
    .await;
    say(delete.clone(), &of_item, &[id, item], Value::Null).await;
    say(delete, route, &[id], Value::Null).await;
}
