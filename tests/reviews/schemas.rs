//! Label schemas and review apps.

use http::StatusCode;
use serde_json::{Value, json};

use crate::place::{DEV, Kept, Place};

on_each! {
    schemas_of_every_kind_are_kept_as_they_were_sent on Sqlite, Postgres, Workspace;
    a_name_is_given_once on Sqlite, Postgres, Workspace;
    a_schema_is_changed_renamed_and_deleted on Sqlite, Postgres, Workspace;
    an_experiment_has_one_review_app on Sqlite, Postgres, Workspace;
    eight_developers_add_schemas_at_once on Sqlite, Postgres;
}

/// One schema of each kind of input.
pub(crate) fn of_every_kind() -> Vec<Value> {
    vec![
        json!({"name": "correctness", "type": "FEEDBACK", "title": "Is the answer correct?", "enable_comment": true,
            "instruction": "Compare with the order. 👀", "categorical": {"options": ["yes", "no", "teils – größer"]}}),
        json!({"name": "tone", "type": "FEEDBACK", "title": "Tone", "enable_comment": false,
            "categorical_list": {"options": ["friendly", "short"]}}),
        json!({"name": "stars", "type": "FEEDBACK", "title": "Stars", "enable_comment": false,
            "numeric": {"min_value": 1, "max_value": 5}}),
        json!({"name": "better answer", "type": "EXPECTATION", "title": "What should it say?", "enable_comment": true,
            "text": {"max_length": 500}}),
        json!({"name": "facts", "type": "EXPECTATION", "title": "Facts", "enable_comment": false,
            "text_list": {"max_length_each": 100, "max_count": 5}}),
    ]
}

async fn schemas_of_every_kind_are_kept_as_they_were_sent(kept: Kept) {
    let place = Place::new(kept).await;
    let dev = place.server.as_user(DEV);
    assert_eq!(dev.get_json("/api/label-schemas").await, json!([]));
    for schema in of_every_kind() {
        assert_eq!(dev.post_json("/api/label-schemas", &schema).await, schema);
    }
    // Everyone may read them.
    let listed = place
        .server
        .as_user("ann@example.com")
        .get_json("/api/label-schemas/")
        .await;
    assert_eq!(listed, Value::from(of_every_kind()));
    let manifest = dev.get_json("/api/manifest").await;
    assert_eq!(manifest["review_app"]["labeling_schemas"], listed);
    assert_eq!(manifest["review_app"]["experiment_id"], place.experiment);
}

async fn a_name_is_given_once(kept: Kept) {
    let place = Place::new(kept).await;
    let dev = place.server.as_user(DEV);
    place.schema("tone", "FEEDBACK").await;
    let again = json!({"name": "tone", "type": "EXPECTATION", "title": "t", "text": {}});
    let (status, problem) = dev.try_post("/api/label-schemas", &again).await;
    assert_eq!(
        (status, &problem["error"]["code"]),
        (StatusCode::CONFLICT, &json!("CONFLICT"))
    );
    place.schema("other", "FEEDBACK").await;
    let (status, _) = dev.try_patch("/api/label-schemas/other", &again).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(
        dev.get_json("/api/label-schemas").await.as_array().unwrap().len(),
        2
    );
}

async fn a_schema_is_changed_renamed_and_deleted(kept: Kept) {
    let place = Place::new(kept).await;
    let dev = place.server.as_user(DEV);
    for schema in of_every_kind() {
        dev.post_json("/api/label-schemas", &schema).await;
    }
    let path = "/api/label-schemas/better%20answer";
    let mut changed = json!({"name": "größer/kleiner", "type": "EXPECTATION", "title": "t", "enable_comment": false,
        "numeric": {"min_value": -1.5}});
    let (status, problem) = dev.try_patch(path, &changed).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["error"]["details"]["field"], "name");
    changed["name"] = json!("größer");
    assert_eq!(dev.patch_json(path, &changed).await, changed);
    let names = |schemas: &Value| -> Vec<String> {
        let schemas = schemas.as_array().unwrap().iter();
        schemas
            .map(|schema| schema["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let listed = dev.get_json("/api/label-schemas").await;
    assert_eq!(
        names(&listed),
        ["correctness", "tone", "stars", "größer", "facts"],
        "in its place"
    );
    assert_eq!(listed[3], changed);
    let (status, _) = dev.try_patch(path, &changed).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let deleted = dev.delete_json("/api/label-schemas/gr%C3%B6%C3%9Fer/").await;
    assert!(deleted["message"].as_str().unwrap().contains("größer"));
    assert_eq!(
        dev.try_delete("/api/label-schemas/gr%C3%B6%C3%9Fer").await.0,
        StatusCode::NOT_FOUND
    );
    let listed = dev.get_json("/api/label-schemas").await;
    assert_eq!(names(&listed), ["correctness", "tone", "stars", "facts"]);
}

async fn an_experiment_has_one_review_app(kept: Kept) {
    let place = Place::new(kept).await;
    let dev = place.server.as_user(DEV);
    let path = format!("/api/review-apps?filter=experiment_id={}", place.experiment);
    let none = dev.get_json(&path).await;
    assert_eq!(none, json!({"review_apps": [], "next_page_token": null}));
    let body = json!({"experiment_id": place.experiment, "agents": [{"agent_name": "support"}]});
    let app = dev.post_json("/api/review-apps", &body).await;
    let id = app["review_app_id"].as_str().unwrap();
    assert_eq!(
        app,
        json!({"review_app_id": id, "experiment_id": place.experiment, "agents": [{"agent_name": "support"}],
            "labeling_schemas": []})
    );
    assert_eq!(
        dev.try_post("/api/review-apps", &body).await.0,
        StatusCode::CONFLICT
    );
    assert_eq!(dev.get_json(&path).await["review_apps"], json!([app]));
    let change = json!({"agents": [], "labeling_schemas": of_every_kind()});
    let changed = dev
        .patch_json(
            &format!("/api/review-apps/{id}?update_mask=labeling_schemas"),
            &change,
        )
        .await;
    assert_eq!(
        changed["agents"], app["agents"],
        "the mask names the schemas alone"
    );
    assert_eq!(changed["labeling_schemas"], Value::from(of_every_kind()));
    assert_eq!(dev.get_json(&format!("/api/review-apps/{id}")).await, changed);
    let twice = json!({"labeling_schemas": [of_every_kind()[0], of_every_kind()[0]]});
    let (status, problem) = dev.try_patch(&format!("/api/review-apps/{id}"), &twice).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["error"]["details"]["field"], "labeling_schemas[1].name");
    let unknown = dev.try_get("/api/review-apps/0123456789abcdef").await;
    assert_eq!(unknown.0, StatusCode::NOT_FOUND);
}

async fn eight_developers_add_schemas_at_once(kept: Kept) {
    let place = Place::new(kept).await;
    let names: Vec<_> = (0..8).map(|nth| format!("schema {nth}")).collect();
    // None of them finds a review app: all try to make it.
    futures::future::join_all(names.iter().map(|name| place.schema(name, "FEEDBACK"))).await;
    let listed = place.server.as_user(DEV).get_json("/api/label-schemas").await;
    let listed = listed.as_array().unwrap().iter();
    let mut listed: Vec<_> = listed.map(|schema| schema["name"].as_str().unwrap()).collect();
    listed.sort_unstable();
    assert_eq!(listed, names);
}

#[tokio::test]
async fn a_schema_that_a_session_refers_to_keeps_its_name() {
    let place = Place::new(Kept::Sqlite).await;
    let dev = place.server.as_user(DEV);
    place.schema("tone", "FEEDBACK").await;
    let body = json!({"name": "Week 47", "labeling_schemas": [{"name": "tone"}]});
    let session = dev.post_json("/api/labeling-sessions", &body).await;
    let renamed = json!({"name": "pitch", "type": "FEEDBACK", "title": "t", "text": {}});
    let (status, problem) = dev.try_patch("/api/label-schemas/tone", &renamed).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(problem["detail"].as_str().unwrap().contains("Week 47"));
    // It may be deleted; the session goes on, and can be sent back as it is.
    dev.delete_json("/api/label-schemas/tone").await;
    let path = format!(
        "/api/labeling-sessions/{}",
        session["labeling_session_id"].as_str().unwrap()
    );
    let again = dev.patch_json(&path, &dev.get_json(&path).await).await;
    assert_eq!(again["labeling_schemas"], json!([{"name": "tone"}]));
    assert_eq!(
        again["last_update_time"], session["last_update_time"],
        "nothing changed"
    );
}

#[tokio::test]
async fn a_broken_rule_names_the_field() {
    let place = Place::new(Kept::Sqlite).await;
    let dev = place.server.as_user(DEV);
    let whole = |members: Value| {
        let mut schema = json!({"name": "n", "type": "FEEDBACK", "title": "t"});
        schema
            .as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        schema
    };
    for (body, status, field) in [
        (whole(json!({})), 422, "body"),
        (whole(json!({"text": {}, "numeric": {}})), 422, "body"),
        (whole(json!({"text": {}, "name": ""})), 422, "name"),
        (whole(json!({"text": {}, "name": "a\u{0}"})), 422, "name"),
        (whole(json!({"text": {}, "title": null})), 422, "title"),
        (whole(json!({"text": {}, "type": "OPINION"})), 422, "type"),
        (whole(json!({"text": {}, "type": 5})), 422, "type"),
        (whole(json!({"text": {}, "name": "tone?"})), 422, "name"),
        (whole(json!({"text": {}, "name": ".."})), 422, "name"),
        (
            whole(json!({"categorical": {"options": ["a", "a"]}})),
            422,
            "categorical.options[1]",
        ),
        (whole(json!({"categorical": {}})), 422, "categorical.options"),
        (whole(json!({"text": {"max_length": -1}})), 422, "text.max_length"),
        (
            whole(json!({"numeric": {"min_value": "1"}})),
            422,
            "numeric.min_value",
        ),
        (json!({"type": "FEEDBACK", "title": "t", "text": {}}), 422, "name"),
    ] {
        let (got, problem) = dev.try_post("/api/label-schemas", &body).await;
        assert_eq!(
            (got.as_u16(), &problem["error"]["details"]["field"]),
            (status, &json!(field)),
            "{body}"
        );
    }
    assert_eq!(dev.get_json("/api/label-schemas").await, json!([]));
}
