//! Who may call which route: every route of the OpenAPI document, by every kind of user.

use std::collections::BTreeSet;

use harness::answer;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::place::{DEV, Kept, Place};

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// Everyone.
    All,
    /// Developers.
    Developers,
    /// Developers, and reviewers what is assigned to them.
    Assigned,
}

use For::{All, Assigned, Developers};

/// Every route: its method, its path, who may call it, and a body that it takes.
const ROUTES: &[(&str, &str, For, &str)] = &[
    ("GET", "/health", All, ""),
    ("GET", "/health/live", All, ""),
    ("GET", "/health/ready", All, ""),
    ("GET", "/metrics", All, ""),
    ("GET", "/api/config", All, ""),
    ("GET", "/api/config/experiment-id", All, ""),
    ("GET", "/api/manifest", All, ""),
    ("GET", "/api/user/me", All, ""),
    ("GET", "/api/user/current", All, ""),
    ("GET", "/api/user/me/workspace", All, ""),
    ("GET", "/api/auth/check-dev-access", Developers, ""),
    ("GET", "/api/mlflow/experiments/{experiment_id}", All, ""),
    (
        "POST",
        "/api/mlflow/search-traces",
        Assigned,
        r#"{"run_id": "{run}"}"#,
    ),
    ("GET", "/api/mlflow/runs/{run_id}", Assigned, ""),
    (
        "POST",
        "/api/mlflow/runs/create",
        Developers,
        r#"{"experiment_id": "{experiment}"}"#,
    ),
    (
        "POST",
        "/api/mlflow/runs/update",
        Developers,
        r#"{"run_id": "{run}"}"#,
    ),
    (
        "POST",
        "/api/mlflow/runs/search",
        Developers,
        r#"{"experiment_ids": ["{experiment}"]}"#,
    ),
    ("GET", "/api/review-apps", All, ""),
    (
        "POST",
        "/api/review-apps",
        Developers,
        r#"{"experiment_id": "{experiment}"}"#,
    ),
    ("GET", "/api/review-apps/{review_app_id}", All, ""),
    (
        "PATCH",
        "/api/review-apps/{review_app_id}",
        Developers,
        r#"{"agents": []}"#,
    ),
    (
        "GET",
        "/api/labeling-sessions/{labeling_session_id}/analysis",
        Developers,
        "",
    ),
    (
        "POST",
        "/api/labeling-sessions/{labeling_session_id}/analysis/trigger",
        Developers,
        "{}",
    ),
    (
        "GET",
        "/api/labeling-sessions/{labeling_session_id}/analysis/status",
        Developers,
        "",
    ),
    (
        "GET",
        "/api/labeling-sessions/{labeling_session_id}/analysis/status/stream",
        Developers,
        "",
    ),
    (
        "DELETE",
        "/api/labeling-sessions/{labeling_session_id}/analysis/status",
        Developers,
        "",
    ),
    ("GET", "/api/experiment-summary/{experiment_id}", Developers, ""),
    (
        "POST",
        "/api/experiment-summary/trigger-analysis",
        Developers,
        r#"{"experiment_id": "{experiment}"}"#,
    ),
    (
        "GET",
        "/api/experiment-summary/status/{experiment_id}",
        Developers,
        "",
    ),
    (
        "GET",
        "/api/experiment-summary/status/{experiment_id}/stream",
        Developers,
        "",
    ),
    (
        "DELETE",
        "/api/experiment-summary/status/{experiment_id}",
        Developers,
        "",
    ),
    ("GET", "/api/label-schemas", All, ""),
    (
        "POST",
        "/api/label-schemas",
        Developers,
        r#"{"name": "n", "type": "FEEDBACK", "title": "t", "text": {}}"#,
    ),
    (
        "PATCH",
        "/api/label-schemas/{schema_name}",
        Developers,
        r#"{"name": "n", "type": "FEEDBACK", "title": "t", "text": {}}"#,
    ),
    ("DELETE", "/api/label-schemas/{schema_name}", Developers, ""),
    ("GET", "/api/labeling-sessions", All, ""),
    ("POST", "/api/labeling-sessions", Developers, r#"{"name": "n"}"#),
    (
        "GET",
        "/api/labeling-sessions/{labeling_session_id}",
        Assigned,
        "",
    ),
    (
        "PATCH",
        "/api/labeling-sessions/{labeling_session_id}",
        Developers,
        r#"{"name": "Week 47"}"#,
    ),
    (
        "DELETE",
        "/api/labeling-sessions/{labeling_session_id}",
        Developers,
        "",
    ),
    (
        "POST",
        "/api/labeling-sessions/{labeling_session_id}/link-traces",
        Developers,
        r#"{"mlflow_run_id": "{run}", "trace_ids": ["{trace}"]}"#,
    ),
    (
        "GET",
        "/api/labeling-sessions/{labeling_session_id}/items",
        Assigned,
        "",
    ),
    (
        "POST",
        "/api/labeling-sessions/{labeling_session_id}/items/batchCreate",
        Developers,
        r#"{"items": [{"source": {"trace_id": "{trace}"}}]}"#,
    ),
    (
        "GET",
        "/api/labeling-sessions/{labeling_session_id}/items/{item_id}",
        Assigned,
        "",
    ),
    (
        "PATCH",
        "/api/labeling-sessions/{labeling_session_id}/items/{item_id}",
        Assigned,
        r#"{"state": "IN_PROGRESS"}"#,
    ),
    (
        "DELETE",
        "/api/labeling-sessions/{labeling_session_id}/items/{item_id}",
        Developers,
        "",
    ),
];

/// The same under two prefixes.
const TRACE_ROUTES: &[(&str, &str, For, &str)] = &[
    // Answers for each trace by itself: see `a_batch_gives_a_reviewer_only_what_is_theirs`.
    ("GET", "/analyze-patterns", Developers, ""),
    ("POST", "/batch", Assigned, r#"{"trace_ids": ["{trace}"]}"#),
    (
        "POST",
        "/link-to-run",
        Developers,
        r#"{"run_id": "{run}", "trace_ids": ["{trace}"]}"#,
    ),
    ("GET", "/{trace_id}", Assigned, ""),
    ("GET", "/{trace_id}/data", Assigned, ""),
    ("GET", "/{trace_id}/spans", Assigned, ""),
    ("GET", "/{trace_id}/spans/stream", Assigned, ""),
    ("GET", "/{trace_id}/spans/{span_id}", Assigned, ""),
    (
        "POST",
        "/{trace_id}/feedback",
        Assigned,
        r#"{"assessment": {"name": "n", "value": 1}}"#,
    ),
    (
        "PATCH",
        "/{trace_id}/feedback",
        Assigned,
        r#"{"assessment_id": "a-0", "assessment": {"value": 1}}"#,
    ),
    (
        "POST",
        "/{trace_id}/expectation",
        Assigned,
        r#"{"assessment": {"name": "n", "value": 1}}"#,
    ),
    (
        "PATCH",
        "/{trace_id}/expectation",
        Assigned,
        r#"{"assessment_id": "a-0", "assessment": {"value": 1}}"#,
    ),
];

fn all_routes() -> Vec<(Method, String, For, &'static str)> {
    let route = |prefix: &str, (method, path, who, body): &(&str, &str, For, &'static str)| {
        (method.parse().unwrap(), format!("{prefix}{path}"), *who, *body)
    };
    let mut routes: Vec<_> = ROUTES.iter().map(|one| route("", one)).collect();
    for prefix in ["/api/traces", "/api/mlflow/traces"] {
        routes.extend(TRACE_ROUTES.iter().map(|one| route(prefix, one)));
    }
    routes
}

/// What stands for the names in a path and a body.
struct Ids {
    experiment: String,
    app: String,
    session: String,
    run: String,
    item: String,
    trace: String,
}

impl Ids {
    fn put_into(&self, text: &str) -> String {
        let names = [
            ("{experiment_id}", &self.experiment),
            ("{experiment}", &self.experiment),
            ("{review_app_id}", &self.app),
            ("{labeling_session_id}", &self.session),
            ("{run_id}", &self.run),
            ("{run}", &self.run),
            ("{item_id}", &self.item),
            ("{trace_id}", &self.trace),
            ("{trace}", &self.trace),
        ];
        let text = names
            .iter()
            .fold(text.to_owned(), |text, (name, id)| text.replace(name, id));
        text.replace("{schema_name}", "n")
            .replace("{span_id}", "00000000000000ab")
    }
}

async fn ids(place: &Place, user: &str) -> Ids {
    let traces = place.traces(1).await;
    let (session, run) = place.session(&[user], &traces).await;
    let item = place.first_item(&session).await;
    let manifest = place.server.as_user(DEV).get_json("/api/manifest").await;
    Ids {
        experiment: place.experiment.clone(),
        app: manifest["config"]["review_app_id"].as_str().unwrap().to_owned(),
        session,
        run,
        item,
        trace: traces[0].clone(),
    }
}

#[tokio::test]
async fn every_route_is_guarded_as_the_table_says() {
    let place = Place::new(Kept::Sqlite).await;
    let (anns, bobs) = (
        ids(&place, "ann@example.com").await,
        ids(&place, "bob@example.com").await,
    );
    let nobodys = Ids {
        session: "0000".into(),
        run: "0000".into(),
        item: "0000".into(),
        trace: "tr-0000".into(),
        experiment: anns.experiment.clone(),
        app: anns.app.clone(),
    };
    let mut seen = BTreeSet::new();
    for (method, path, who, body) in all_routes() {
        let ask = async |user: Option<&str>, ids: &Ids| {
            let asker = user.map_or(place.server.as_local_user(), |user| place.server.as_user(user));
            let mut request = asker.request(method.clone(), &ids.put_into(&path));
            if !body.is_empty() {
                request = request
                    .header("content-type", "application/json")
                    .body(ids.put_into(body));
            }
            request.send().await.unwrap().status()
        };
        let is_denied = |status: StatusCode| status == StatusCode::FORBIDDEN;
        let at = format!("{method} {path}");
        let ann = Some("Ann@example.com");
        // A batch denies each trace by itself.
        let is_batch = path.ends_with("/batch");
        assert_eq!(
            is_denied(ask(ann, &anns).await),
            who == Developers,
            "{at}: what is assigned"
        );
        for (ids, whose) in [(&bobs, "another's"), (&nobodys, "nobody's")] {
            let status = ask(ann, ids).await;
            assert_eq!(
                is_denied(status),
                who != All && !is_batch,
                "{at}: {whose}: {status}"
            );
            let status = ask(None, ids).await;
            assert_eq!(
                is_denied(status),
                who != All && !is_batch,
                "{at}: {whose}, asked by nobody: {status}"
            );
        }
        // What is taken away is nobody's, so that all else stays.
        let ids = if method == Method::DELETE { &nobodys } else { &bobs };
        let status = ask(Some(DEV), ids).await;
        assert!(!is_denied(status) && !status.is_server_error(), "{at}: {status}");
        if method == Method::GET {
            let head = place
                .server
                .as_user("ann@example.com")
                .request(Method::HEAD, &bobs.put_into(&path));
            let status = head.send().await.unwrap().status();
            assert_eq!(is_denied(status), who != All, "HEAD {path}: {status}");
        }
        seen.insert((path, method.to_string().to_lowercase()));
    }
    let document = place.server.json("/openapi.json").await;
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            documented.insert((path.clone(), method.clone()));
        }
    }
    assert_eq!(seen, documented, "every route is in the table, and none else");
}

#[tokio::test]
async fn a_reviewer_sees_only_their_sessions_and_what_is_in_them() {
    for kept in [Kept::Sqlite, Kept::Postgres, Kept::Workspace] {
        let place = Place::new(kept).await;
        let traces = place.traces(5).await;
        let (mine, run) = place
            .session(&["ANN@example.com", "cy@example.com"], &traces[..2])
            .await;
        let (_, other_run) = place.session(&["bob@example.com"], &traces[2..]).await;
        let ann = place.server.as_user("ann@example.com");
        let sessions = ann.get_json("/api/labeling-sessions").await;
        let ids: Vec<_> = sessions["labeling_sessions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["labeling_session_id"])
            .collect();
        assert_eq!(ids, [&json!(mine)], "{kept:?}");
        let users = &sessions["labeling_sessions"][0]["assigned_users"];
        assert_eq!(
            users,
            &json!(["ann@example.com", "cy@example.com"]),
            "the frontend looks for its user's own spelling"
        );
        let all = place.server.as_user(DEV).get_json("/api/labeling-sessions").await;
        assert_eq!(all["labeling_sessions"].as_array().unwrap().len(), 2);
        let of_bob = place
            .server
            .as_user(DEV)
            .get_json("/api/labeling-sessions?filter=assigned_users=BOB@example.com")
            .await;
        assert_eq!(of_bob["labeling_sessions"][0]["mlflow_run_id"], other_run);
        let of_bob = ann
            .get_json("/api/labeling-sessions?filter=assigned_users=bob@example.com")
            .await;
        assert_eq!(of_bob["labeling_sessions"], json!([]));
        let nobodys = place
            .server
            .as_user("dora@example.com")
            .get_json("/api/labeling-sessions")
            .await;
        assert_eq!(nobodys, json!({"labeling_sessions": [], "next_page_token": null}));
        // A trace that a developer linked to the run alone is not in the session.
        let links = json!({"run_id": run, "trace_ids": [traces[4]]});
        place
            .server
            .as_user(DEV)
            .post_json("/api/mlflow/traces/link-to-run", &links)
            .await;
        for spans in [json!(true), json!(false), Value::Null] {
            let search = json!({"run_id": run, "include_spans": spans});
            let found = ann.post_json("/api/mlflow/search-traces", &search).await;
            let mut found: Vec<_> = found["traces"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["info"]["trace_id"].as_str().unwrap())
                .collect();
            found.sort_unstable();
            let mut expected = traces[..2].iter().map(String::as_str).collect::<Vec<_>>();
            expected.sort_unstable();
            assert_eq!(found, expected, "{kept:?}");
        }
        for search in [
            json!({}),
            json!({"experiment_ids": [place.experiment]}),
            json!({"run_id": other_run}),
            json!({"filter": format!("attributes.run_id = '{run}'")}),
        ] {
            let (status, _) = ann.try_post("/api/mlflow/search-traces", &search).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{search}");
        }
    }
}

/// MLflow takes the last of two runs in a filter: what is in another run must not be told, not even that it is there.
#[tokio::test]
async fn a_filter_cannot_reach_into_another_run() {
    let place = Place::new(Kept::Sqlite).await;
    let traces = place.traces(2).await;
    let (_, mine) = place.session(&["ann@example.com"], &traces[..1]).await;
    let (_, other) = place.session(&["bob@example.com"], &traces[1..]).await;
    for filter in [
        format!("run_id = '{other}'"),
        format!("attributes.run_id = '{other}'"),
        format!("metadata.`mlflow.sourceRun` = '{other}'"),
    ] {
        let body = json!({"run_id": mine, "filter": filter, "max_results": 1});
        let (status, problem) = place
            .server
            .as_user("ann@example.com")
            .try_post("/api/mlflow/search-traces", &body)
            .await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{filter}");
        assert_eq!(problem["error"]["details"]["field"], "filter");
    }
    let body = json!({"run_id": mine, "filter": "status = 'OK'"});
    let found = place
        .server
        .as_user("ann@example.com")
        .post_json("/api/mlflow/search-traces", &body)
        .await;
    assert_eq!(found["traces"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_batch_gives_a_reviewer_only_what_is_theirs() {
    let place = Place::new(Kept::Sqlite).await;
    let traces = place.traces(2).await;
    place.session(&["ann@example.com"], &traces[..1]).await;
    let body = json!({"trace_ids": [traces[0], traces[1], "tr-unknown"]});
    let batch = place
        .server
        .as_user("ann@example.com")
        .post_json("/api/traces/batch", &body)
        .await;
    assert_eq!(batch["traces"][0]["info"]["trace_id"], traces[0]);
    assert_eq!(
        (&batch["traces"][1], &batch["traces"][2]),
        (&Value::Null, &Value::Null)
    );
    for id in [&traces[1], "tr-unknown"] {
        assert_eq!(
            batch["errors"][id]["code"], "AUTHORIZATION_ERROR",
            "whether there is one is not told"
        );
    }
}

#[tokio::test]
async fn rights_change_with_the_assignment() {
    for kept in [Kept::Sqlite, Kept::Workspace] {
        let place = Place::new(kept).await;
        let traces = place.traces(2).await;
        let (session, _) = place.session(&["bob@example.com"], &traces[..1]).await;
        let path = format!("/api/traces/{}", traces[0]);
        let ann = place.server.as_user("ann@example.com");
        let may = async |path: &str| ann.try_get(path).await.0 != StatusCode::FORBIDDEN;
        assert!(!may(&path).await);
        let assign = async |users: &[&str]| {
            let session = format!("/api/labeling-sessions/{session}?update_mask=assigned_users");
            place
                .server
                .as_user(DEV)
                .patch_json(&session, &json!({ "assigned_users": users }))
                .await
        };
        assign(&["bob@example.com", "ann@example.com"]).await;
        assert!(may(&path).await && may(&format!("/api/labeling-sessions/{session}")).await);
        let etag = ann.get(&path).send().await.unwrap().headers()["etag"].clone();
        assign(&["bob@example.com"]).await;
        assert!(!may(&path).await && !may(&format!("{path}/spans/stream")).await);
        let again = ann.get(&path).header("if-none-match", etag).send().await.unwrap();
        assert_eq!(
            again.status(),
            StatusCode::FORBIDDEN,
            "not even that nothing changed is told"
        );
        assign(&["ann@example.com"]).await;
        let item = place.first_item(&session).await;
        place
            .server
            .as_user(DEV)
            .delete_json(&format!("/api/labeling-sessions/{session}/items/{item}"))
            .await;
        assert!(!may(&path).await, "the trace is not in the session any more");
    }
}

#[tokio::test]
async fn a_reviewer_cannot_reach_an_item_by_another_session() {
    let place = Place::new(Kept::Sqlite).await;
    let traces = place.traces(2).await;
    let (mine, _) = place.session(&["ann@example.com"], &traces[..1]).await;
    let (other, _) = place.session(&["bob@example.com"], &traces[1..]).await;
    let item = place.first_item(&other).await;
    let path = format!("/api/labeling-sessions/{mine}/items/{item}");
    let ann = place.server.as_user("ann@example.com");
    assert_eq!(ann.try_get(&path).await.0, StatusCode::NOT_FOUND);
    let (status, _) = answer(ann.patch(&path, &json!({"state": "SKIPPED"}))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(place.items(&other).await[0]["state"], "PENDING");
}
