use std::collections::BTreeMap;

use domain::AssessmentSource;

use super::*;
use crate::testing::{HANGS_UP, Server};
use domain::AssessmentValue;
use serde_json::{Value, json};

// Captured on MLflow 3.17.2.
const FEEDBACK: &str = r#"{"assessment": {"assessment_id": "a-6771d92ffb58445e98813fe4e8a08b28",
    "assessment_name": "relevance", "trace_id": "tr-2cfe9c07e6484b63b39fa00579fbe344",
    "source": {"source_type": "HUMAN", "source_id": "ann@example.com"},
    "create_time": "2026-11-23T20:23:00.396Z", "last_update_time": "2026-11-23T20:23:00.952Z",
    "feedback": {"value": false}, "rationale": "off topic", "metadata": {"k": "v"}, "valid": true}}"#;
const EXPECTATION: &str = r#"{"assessment": {"assessment_id": "a-d7d6be2e53814ccab3e0beda66448167",
    "assessment_name": "expected_struct", "trace_id": "tr-2cfe9c07e6484b63b39fa00579fbe344",
    "source": {"source_type": "HUMAN", "source_id": "ann@example.com"},
    "create_time": "2026-11-23T20:23:00.500Z", "last_update_time": "2026-11-23T20:23:00.500Z",
    "expectation": {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": "{\"x\": 1}"}},
    "valid": true}}"#;
const UNKNOWN_TRACE: &str = r#"{"error_code": "RESOURCE_DOES_NOT_EXIST",
    "message": "Trace with ID 'tr-00000000000000000000000000000000' not found.",
    "sqlstate": "KAM00", "error_class": "RESOURCE_NOT_FOUND"}"#;
const UNKNOWN: &str = r#"{"error_code": "RESOURCE_DOES_NOT_EXIST",
    "message": "Assessment with ID 'a-0' not found for trace 'tr-1'",
    "sqlstate": "KAM00", "error_class": "RESOURCE_NOT_FOUND"}"#;

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

fn trace() -> TraceId {
    "tr-1".parse().unwrap()
}

fn new(kind: AssessmentKind, value: &str) -> NewAssessment {
    NewAssessment {
        name: "relevance".to_owned(),
        kind,
        value: raw(value),
        source: AssessmentSource {
            source_type: "HUMAN".to_owned(),
            source_id: "ann@example.com".to_owned(),
        },
        rationale: None,
        metadata: BTreeMap::new(),
    }
}

fn update(kind: AssessmentKind, value: &str) -> AssessmentUpdate {
    AssessmentUpdate {
        kind,
        value: raw(value),
        rationale: None,
        metadata: BTreeMap::new(),
    }
}

#[tokio::test]
async fn a_feedback_is_sent_and_read_back() {
    let server = Server::answering([(200, FEEDBACK)]).await;
    let mut feedback = new(AssessmentKind::Feedback, "4.0");
    feedback.rationale = Some("off topic".to_owned());
    feedback.metadata = [("k".to_owned(), "v".to_owned())].into();
    let given = server
        .client()
        .create_assessment(&trace(), &feedback)
        .await
        .unwrap();
    assert_eq!(given.assessment_id, "a-6771d92ffb58445e98813fe4e8a08b28");
    assert_eq!(given.kind(), Some(AssessmentKind::Feedback));
    let [call] = &server.calls()[..] else {
        panic!("one call")
    };
    assert_eq!(call.line, "POST /api/3.0/mlflow/traces/tr-1/assessments");
    assert_eq!(
        call.text,
        concat!(
            r#"{"assessment":{"trace_id":"tr-1","assessment_name":"relevance","#,
            r#""source":{"source_type":"HUMAN","source_id":"ann@example.com"},"#,
            r#""feedback":{"value":4.0},"rationale":"off topic","metadata":{"k":"v"}}}"#
        )
    );
}

#[tokio::test]
async fn an_expectation_of_a_list_or_an_object_goes_as_text_and_without_what_is_not_given() {
    let server = Server::answering([(200, EXPECTATION)]).await;
    let expectation = new(AssessmentKind::Expectation, r#"{"z":[1],"a":2}"#);
    let given = server
        .client()
        .create_assessment(&trace(), &expectation)
        .await
        .unwrap();
    let AssessmentValue::Expectation { value } = given.value else {
        panic!("an expectation")
    };
    assert_eq!(value.get(), r#"{"x": 1}"#);
    let expected = json!({
        "trace_id": "tr-1", "assessment_name": "relevance",
        "source": {"source_type": "HUMAN", "source_id": "ann@example.com"},
        "expectation": {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": r#"{"z":[1],"a":2}"#}},
    });
    assert_eq!(server.calls()[0].body, json!({ "assessment": expected }));
}

#[tokio::test]
async fn a_change_names_exactly_what_it_sends() {
    let server = Server::answering([(200, FEEDBACK), (200, EXPECTATION)]).await;
    let id = "a-1".parse().unwrap();
    let mut feedback = update(AssessmentKind::Feedback, "false");
    feedback.rationale = Some(String::new());
    feedback.metadata = [("k".to_owned(), "v".to_owned())].into();
    let changed = server.client().update_assessment(&trace(), &id, &feedback).await;
    assert_eq!(changed.unwrap().rationale.as_deref(), Some("off topic"));
    let expectation = update(AssessmentKind::Expectation, "9007199254740993");
    server
        .client()
        .update_assessment(&trace(), &id, &expectation)
        .await
        .unwrap();
    let calls = server.calls();
    for call in &calls {
        assert_eq!(call.line, "PATCH /api/3.0/mlflow/traces/tr-1/assessments/a-1");
    }
    let ids = json!({"trace_id": "tr-1", "assessment_id": "a-1"});
    let with_ids = |mut members: Value| {
        members
            .as_object_mut()
            .unwrap()
            .extend(ids.as_object().unwrap().clone());
        members
    };
    assert_eq!(
        calls[0].body,
        json!({
            "assessment": with_ids(json!({"feedback": {"value": false}, "rationale": "", "metadata": {"k": "v"}})),
            "update_mask": "feedback,rationale,metadata",
        })
    );
    let text = json!({"serialization_format": "JSON_FORMAT", "value": "9007199254740993"});
    assert_eq!(
        calls[1].body,
        json!({
            "assessment": with_ids(json!({"expectation": {"serialized_value": text}})),
            "update_mask": "expectation",
        })
    );
}

#[tokio::test]
async fn what_the_server_does_not_know_is_not_found() {
    let server = Server::answering([(404, UNKNOWN_TRACE), (404, UNKNOWN), (404, UNKNOWN)]).await;
    let client = server.client();
    let id = "a-0".parse().unwrap();
    let created = client
        .create_assessment(&trace(), &new(AssessmentKind::Feedback, "1"))
        .await;
    assert!(matches!(created, Err(ClientError::NotFound { .. })));
    let got = client.get_assessment(&trace(), &id).await;
    assert!(matches!(got, Err(ClientError::NotFound { .. })));
    let updated = client
        .update_assessment(&trace(), &id, &update(AssessmentKind::Feedback, "1"))
        .await;
    assert!(matches!(updated, Err(ClientError::NotFound { .. })));
    assert_eq!(
        server.calls()[1].line,
        "GET /api/3.0/mlflow/traces/tr-1/assessments/a-0"
    );
}

#[tokio::test]
async fn a_new_one_is_sent_again_only_if_it_was_refused_unseen_and_a_change_also_if_its_answer_was_lost() {
    let feedback = new(AssessmentKind::Feedback, "1");
    let limited = Server::answering([(429, "{}"), (200, FEEDBACK)]).await;
    assert!(
        limited
            .client()
            .create_assessment(&trace(), &feedback)
            .await
            .is_ok()
    );
    assert_eq!(limited.calls().len(), 2);
    for lost in [HANGS_UP, (503, "{}")] {
        let server = Server::answering([lost, (200, FEEDBACK)]).await;
        assert!(
            server
                .client()
                .create_assessment(&trace(), &feedback)
                .await
                .is_err()
        );
        assert_eq!(server.calls().len(), 1);

        let server = Server::answering([lost, (200, FEEDBACK)]).await;
        let change = update(AssessmentKind::Feedback, "1");
        let changed = server
            .client()
            .update_assessment(&trace(), &"a-1".parse().unwrap(), &change)
            .await;
        assert!(changed.is_ok());
        assert_eq!(server.calls().len(), 2);
    }
}

#[tokio::test]
async fn a_number_that_would_make_the_trace_unreadable_is_not_sent() {
    let server = Server::answering([]).await;
    for kind in [AssessmentKind::Feedback, AssessmentKind::Expectation] {
        let created = server
            .client()
            .create_assessment(&trace(), &new(kind, "[1e400]"))
            .await;
        assert!(matches!(created, Err(ClientError::Rejected { status: 400, .. })));
        let updated = server
            .client()
            .update_assessment(&trace(), &"a-1".parse().unwrap(), &update(kind, "1e400"))
            .await;
        assert!(matches!(updated, Err(ClientError::Rejected { status: 400, .. })));
    }
    assert_eq!(server.calls().len(), 0);
}

#[test]
fn what_mlflow_would_cut_or_choke_on_is_known_beforehand() {
    let is_kept = |kind, text: &str| is_storable(kind, &RawValue::from_string(text.to_owned()).unwrap());
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let (feedback, expectation) = (AssessmentKind::Feedback, AssessmentKind::Expectation);
    assert!(is_kept(feedback, &nested(48)) && !is_kept(feedback, &nested(49)));
    assert!(is_kept(expectation, &nested(100)) && !is_kept(expectation, &nested(200)));
    for kind in [feedback, expectation] {
        assert!(is_kept(kind, r#"{"a": [1e300, "größer"]}"#));
        assert!(!is_kept(kind, "1e400") && !is_kept(kind, r#"["\ud800"]"#));
    }
}
