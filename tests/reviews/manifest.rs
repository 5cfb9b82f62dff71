//! The first call of every page.

use std::time::{Duration, Instant};

use harness::{Fault, Gate};
use http::StatusCode;
use serde_json::{Value, json};

use crate::place::{DEV, Kept, Place};

#[tokio::test]
async fn the_manifest_has_all_that_a_page_needs_first() {
    let place = Place::new(Kept::Sqlite).await;
    let none = place
        .server
        .as_user("ann@example.com")
        .get_json("/api/manifest")
        .await;
    assert_eq!(
        none,
        json!({
            "user": {"userName": "ann@example.com", "displayName": "ann", "active": true, "emails": ["ann@example.com"],
                "is_obo": false, "has_token": false, "role": "sme", "is_developer": false, "can_access_dev_pages": false},
            "workspace": {"url": null, "deployment_name": null},
            "config": {"experiment_id": place.experiment, "review_app_id": null, "max_results": 1000, "page_size": 500,
                "debug": false},
            "review_app": null,
        })
    );
    assert_eq!(place.proxy.calls().len(), 0, "MLflow is not asked for it");
    // A developer could do nothing in the frontend without a review app: their first look makes it.
    let dev = place.server.as_user(DEV);
    let pages = futures::future::join_all((0..4).map(|_| dev.get_json("/api/manifest"))).await;
    assert!(
        pages
            .iter()
            .all(|page| page["review_app"] == pages[0]["review_app"])
    );
    assert_eq!(pages[0]["review_app"]["experiment_id"], place.experiment);
    place.schema("tone", "FEEDBACK").await;
    let manifest = place.server.as_user(DEV).get_json("/api/manifest/").await;
    assert_eq!(
        manifest["config"]["review_app_id"],
        manifest["review_app"]["review_app_id"]
    );
    assert_eq!(manifest["review_app"]["labeling_schemas"][0]["name"], "tone");
    assert_eq!(
        manifest["review_app"].as_object().unwrap().len(),
        4,
        "exactly the contract's members"
    );
}

#[tokio::test]
async fn its_parts_are_fetched_side_by_side_and_a_failing_review_app_is_null() {
    let place = Place::new(Kept::Workspace).await;
    place.schema("tone", "FEEDBACK").await;
    // Nobody is named: the owner of the credentials is asked for, beside the review app.
    let gate = Gate::default();
    let held = gate.clone();
    place.proxy.rule(move |call| {
        let is_part = call.path.contains("scim") || call.path.contains("review-apps");
        if is_part {
            Fault::Held(held.clone())
        } else {
            Fault::None
        }
    });
    let before = place.proxy.count("review-apps");
    let server = &place.server;
    let asked = async move { server.as_local_user().get_json("/api/manifest").await };
    let both = async {
        place
            .proxy
            .until("both parts are under way", |proxy| {
                proxy.count("scim") == 1 && proxy.count("review-apps") == before + 1
            })
            .await;
        gate.open();
    };
    let (manifest, ()) = tokio::join!(asked, both);
    assert_eq!(manifest["user"]["userName"], harness::OWNER);
    assert!(manifest["review_app"].is_object());
    place.proxy.rule(|call| {
        if call.path.contains("review-apps") {
            Fault::Status(
                403,
                vec![],
                r#"{"error_code":"PERMISSION_DENIED","message":"no"}"#,
            )
        } else {
            Fault::None
        }
    });
    let manifest = place.server.as_user(DEV).get_json("/api/manifest").await;
    assert_eq!(
        (&manifest["review_app"], &manifest["config"]["review_app_id"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(manifest["user"]["role"], "developer");
}

#[tokio::test]
async fn only_developers_have_developers_access() {
    let place = Place::new(Kept::Sqlite).await;
    let path = "/api/auth/check-dev-access";
    let answer = place.server.as_user(DEV).get_json(path).await;
    assert_eq!(answer, json!({"message": "Access granted", "role": "developer"}));
    let (status, problem) = place.server.as_user("ann@example.com").try_get(path).await;
    assert_eq!(
        (status, &problem["error"]["code"]),
        (StatusCode::FORBIDDEN, &json!("AUTHORIZATION_ERROR"))
    );
    let twice = place
        .server
        .get(path)
        .header("x-forwarded-email", "a")
        .header("x-forwarded-email", "b");
    let (status, problem) = harness::answer(twice).await;
    assert_eq!(
        (status, &problem["error"]["code"]),
        (StatusCode::UNAUTHORIZED, &json!("AUTHENTICATION_ERROR"))
    );
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told_at_the_start() {
    let begun = Instant::now();
    for (url, told) in [
        ("mysql://u:hidden-secret@h/d", "sqlite:// or postgres://"),
        ("sqlite::memory:", "must name a file"),
        ("sqlite:///nowhere/at/all/x.db", "unable to open database file"),
    ] {
        let settings = [
            ("MLFLOW_TRACKING_URI", "http://127.0.0.1:9"),
            ("DATABASE_URL", url),
        ];
        let (text, status) = harness::TraceServer::command(&[], &settings).await;
        assert!(!status.success() && text.contains(told), "{url}: {text}");
        assert!(!text.contains("hidden-secret"), "{text}");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "what cannot get better is not waited for"
    );
}
