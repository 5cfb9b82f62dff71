//! Labels: feedback and expectations, kept in MLflow itself.

use http::StatusCode;
use serde_json::{Value, json};

use crate::place::{DEV, Kept, Place};

on_each! {
    a_reviewer_changes_only_what_they_gave on Sqlite, Workspace;
    every_value_survives_the_round_trip on Sqlite, Workspace;
}

async fn assessments(place: &Place, trace: &str) -> Vec<Value> {
    let trace = place
        .server
        .as_user(DEV)
        .get_json(&format!("/api/traces/{trace}"))
        .await;
    trace["info"]["assessments"].as_array().unwrap().clone()
}

async fn every_value_survives_the_round_trip(kept: Kept) {
    let place = Place::new(kept).await;
    let trace = place.traces(1).await.remove(0);
    place
        .session(&["ann@example.com"], std::slice::from_ref(&trace))
        .await;
    let ann = place.server.as_user("ann@example.com");
    let values = [
        json!("größer – 👍 \"quoted\"\n"),
        json!(""),
        json!(4),
        json!(-0.25),
        json!(true),
        json!(false),
        json!(["a", 1, null, {"b": [true]}]),
        json!({"z": 1, "a": {"deep": ["x"]}}),
        json!([]),
        json!({}),
    ];
    for (kind, other) in [("feedback", "expectation"), ("expectation", "feedback")] {
        for (nth, value) in values.iter().enumerate() {
            let path = format!("/api/mlflow/traces/{trace}/{kind}");
            let label = json!({"assessment": {"name": format!("{kind} {nth}"), "value": value, "rationale": format!("why {nth}")}});
            let given = ann.post_json(&path, &label).await;
            assert_eq!(given["success"], true);
            // As the frontend sends it.
            let changed = json!({"assessment_id": given["assessment_id"],
                "assessment": {"name": "", "value": value, "rationale": format!("why {nth}"), "metadata": {"round": 2}}});
            let again = ann.patch_json(&path, &changed).await;
            assert_eq!(again["assessment_id"], given["assessment_id"]);
            let (status, problem) = ann
                .try_patch(&format!("/api/traces/{trace}/{other}"), &changed)
                .await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
            assert_eq!(problem["error"]["details"]["field"], "assessment_id");
        }
        let given = assessments(&place, &trace).await;
        for (nth, value) in values.iter().enumerate() {
            let one = given
                .iter()
                .find(|one| one["name"] == format!("{kind} {nth}"))
                .unwrap();
            assert!(same(&one[kind]["value"], value), "{kind}: {one} is not {value}");
            assert_eq!(
                one["source"],
                json!({"source_type": "HUMAN", "source_id": "ann@example.com"})
            );
            assert_eq!(one["rationale"], format!("why {nth}"));
            assert_eq!(
                one["metadata"],
                json!({"rationale": format!("why {nth}"), "round": "2"})
            );
        }
    }
}

/// Equal but for the form of numbers: MLflow keeps `4` as `4.0`.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

async fn a_reviewer_changes_only_what_they_gave(kept: Kept) {
    let place = Place::new(kept).await;
    let trace = place.traces(1).await.remove(0);
    place
        .session(
            &["ann@example.com", "bob@example.com"],
            std::slice::from_ref(&trace),
        )
        .await;
    let path = format!("/api/mlflow/traces/{trace}/feedback");
    let label = json!({"assessment": {"name": "tone", "value": "good"}});
    let given = place
        .server
        .as_user("Ann@Example.com")
        .post_json(&path, &label)
        .await;
    let changed = json!({"assessment_id": given["assessment_id"], "assessment": {"value": "bad"}});
    let (status, _) = place
        .server
        .as_user("bob@example.com")
        .try_patch(&path, &changed)
        .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(assessments(&place, &trace).await[0]["feedback"]["value"], "good");
    place
        .server
        .as_user("ann@example.com")
        .patch_json(&path, &changed)
        .await;
    place.server.as_user(DEV).patch_json(&path, &changed).await;
    let now = &assessments(&place, &trace).await[0];
    assert_eq!(
        (&now["feedback"]["value"], &now["source"]["source_id"]),
        (&json!("bad"), &json!("Ann@Example.com"))
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_label_is_told() {
    let place = Place::new(Kept::Sqlite).await;
    let trace = place.traces(1).await.remove(0);
    let dev = place.server.as_user(DEV);
    let path = format!("/api/traces/{trace}/feedback");
    for (body, status, field) in [
        (
            json!({"assessment": {"name": "", "value": 1}}),
            422,
            json!("assessment.name"),
        ),
        (
            json!({"assessment": {"name": "a\u{0}", "value": 1}}),
            422,
            json!("assessment.name"),
        ),
        (
            json!({"assessment": {"name": "n".repeat(251), "value": 1}}),
            422,
            json!("assessment.name"),
        ),
        (
            json!({"assessment": {"name": "n", "value": null}}),
            422,
            json!("assessment.value"),
        ),
        (
            json!({"assessment": {"name": "n"}}),
            422,
            json!("assessment.value"),
        ),
        (
            json!({"assessment": {"name": 3, "value": 1}}),
            422,
            json!("assessment.name"),
        ),
        (
            json!({"assessment": {"name": "n", "value": 1, "rationale": 2}}),
            422,
            json!("assessment.rationale"),
        ),
        (json!({}), 422, json!("assessment")),
    ] {
        let (got, problem) = dev.try_post(&path, &body).await;
        assert_eq!(
            (got.as_u16(), &problem["error"]["details"]["field"]),
            (status, &field),
            "{body}"
        );
    }
    // A number that no double holds would make MLflow answer 500 for this trace ever after.
    let huge = place.server.post_text(
        &path,
        "application/json",
        r#"{"assessment": {"name": "n", "value": 1e400}}"#,
    );
    let (status, _) = harness::answer(huge.header("x-forwarded-email", DEV)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let unknown = json!({"assessment_id": "a-00000000000000000000000000000000", "assessment": {"value": 1}});
    assert_eq!(dev.try_patch(&path, &unknown).await.0, StatusCode::NOT_FOUND);
    let label = json!({"assessment": {"name": "n", "value": 1}});
    let nowhere = "/api/traces/tr-00000000000000000000000000000000/feedback";
    assert_eq!(dev.try_post(nowhere, &label).await.0, StatusCode::NOT_FOUND);
    assert_eq!(assessments(&place, &trace).await, Vec::<Value>::new());
}
