//! What is asked wrongly is told what is wrong: status, code, field and rule.

use serde_json::{Value, json};

/// Path, body (none: GET), status, code, the field that is named.
type Case = (
    &'static str,
    Option<&'static str>,
    u16,
    &'static str,
    Option<&'static str>,
);

const CASES: &[Case] = &[
    (
        "/api/traces/a%20b",
        None,
        400,
        "VALIDATION_ERROR",
        Some("trace_id"),
    ),
    ("/api/traces/%00", None, 400, "VALIDATION_ERROR", Some("trace_id")),
    ("/api/traces/%FF", None, 400, "VALIDATION_ERROR", None),
    (
        "/api/traces/..%2Fx",
        None,
        400,
        "VALIDATION_ERROR",
        Some("trace_id"),
    ),
    ("/api/traces/tr-unknown", None, 404, "RESOURCE_NOT_FOUND", None),
    (
        "/api/mlflow/traces/tr-unknown/data",
        None,
        404,
        "RESOURCE_NOT_FOUND",
        None,
    ),
    (
        "/api/traces/tr-unknown/spans",
        None,
        404,
        "RESOURCE_NOT_FOUND",
        None,
    ),
    (
        "/api/traces/tr-unknown/spans/zz",
        None,
        400,
        "VALIDATION_ERROR",
        Some("span_id"),
    ),
    (
        "/api/traces/tr-unknown/spans?limit=0",
        None,
        422,
        "VALIDATION_ERROR",
        Some("limit"),
    ),
    (
        "/api/traces/tr-unknown/spans?limit=x",
        None,
        422,
        "VALIDATION_ERROR",
        Some("limit"),
    ),
    (
        "/api/traces/tr-unknown/spans?offset=-1",
        None,
        422,
        "VALIDATION_ERROR",
        Some("offset"),
    ),
    (
        "/api/traces/tr-unknown/spans?view=half",
        None,
        422,
        "VALIDATION_ERROR",
        Some("view"),
    ),
    (
        "/api/traces/tr-unknown/spans?root_only=maybe",
        None,
        422,
        "VALIDATION_ERROR",
        Some("root_only"),
    ),
    (
        "/api/traces/tr-unknown/spans?parent_id=x",
        None,
        422,
        "VALIDATION_ERROR",
        Some("parent_id"),
    ),
    (
        "/api/mlflow/experiments/abc",
        None,
        400,
        "VALIDATION_ERROR",
        Some("experiment_id"),
    ),
    (
        "/api/mlflow/experiments/99999",
        None,
        404,
        "RESOURCE_NOT_FOUND",
        None,
    ),
    (
        "/api/mlflow/runs/x%27y",
        None,
        400,
        "VALIDATION_ERROR",
        Some("run_id"),
    ),
    (
        "/api/mlflow/runs/0123456789abcdef0123456789abcdef",
        None,
        404,
        "RESOURCE_NOT_FOUND",
        None,
    ),
    ("/api/nope", None, 404, "RESOURCE_NOT_FOUND", None),
    ("/api/mlflow/search-traces", None, 405, "VALIDATION_ERROR", None),
    ("/health", Some("{}"), 405, "VALIDATION_ERROR", None),
    (
        "/api/mlflow/search-traces",
        Some(""),
        400,
        "VALIDATION_ERROR",
        None,
    ),
    (
        "/api/mlflow/search-traces",
        Some("{\"max_results\": 1"),
        400,
        "VALIDATION_ERROR",
        None,
    ),
    (
        "/api/mlflow/search-traces",
        Some("[]"),
        422,
        "VALIDATION_ERROR",
        Some("body"),
    ),
    (
        "/api/mlflow/search-traces",
        Some(r#"{"max_results": 0}"#),
        422,
        "VALIDATION_ERROR",
        Some("max_results"),
    ),
    (
        "/api/mlflow/search-traces",
        Some(r#"{"max_results": 10001}"#),
        422,
        "VALIDATION_ERROR",
        Some("max_results"),
    ),
    (
        "/api/mlflow/search-traces",
        Some(r#"{"max_results": 1.5}"#),
        422,
        "VALIDATION_ERROR",
        Some("max_results"),
    ),
    (
        "/api/mlflow/search-traces",
        Some(r#"{"experiment_ids": ["1", "x"]}"#),
        422,
        "VALIDATION_ERROR",
        Some("experiment_ids[1]"),
    ),
    (
        "/api/mlflow/search-traces",
        Some(r#"{"experiment_ids": "1"}"#),
        422,
        "VALIDATION_ERROR",
        Some("experiment_ids"),
    ),
    (
        "/api/mlflow/search-traces",
        Some(r#"{"run_id": "a' OR 1=1"}"#),
        422,
        "VALIDATION_ERROR",
        Some("run_id"),
    ),
    (
        "/api/mlflow/search-traces",
        Some(r#"{"run_id": "unknown"}"#),
        404,
        "RESOURCE_NOT_FOUND",
        None,
    ),
    (
        "/api/mlflow/search-traces",
        Some(r#"{"filter": 3}"#),
        422,
        "VALIDATION_ERROR",
        Some("filter"),
    ),
    (
        "/api/mlflow/search-traces",
        Some(r#"{"filter": "bogus = 1"}"#),
        400,
        "VALIDATION_ERROR",
        None,
    ),
    (
        "/api/mlflow/search-traces",
        Some(r#"{"page_token": "bogus"}"#),
        400,
        "VALIDATION_ERROR",
        None,
    ),
    (
        "/api/mlflow/search-traces",
        Some(r#"{"order_by": ["bogus"]}"#),
        400,
        "VALIDATION_ERROR",
        None,
    ),
    (
        "/api/mlflow/search-traces",
        Some(r#"{"include_spans": "yes"}"#),
        422,
        "VALIDATION_ERROR",
        Some("include_spans"),
    ),
    (
        "/api/mlflow/search-traces?include_spans=maybe",
        Some("{}"),
        422,
        "VALIDATION_ERROR",
        Some("include_spans"),
    ),
    (
        "/api/traces/batch",
        Some("{}"),
        422,
        "VALIDATION_ERROR",
        Some("trace_ids"),
    ),
    (
        "/api/traces/batch",
        Some(r#"{"trace_ids": []}"#),
        422,
        "VALIDATION_ERROR",
        Some("trace_ids"),
    ),
    (
        "/api/traces/batch",
        Some(r#"{"trace_ids": ["ok", "no/t"]}"#),
        422,
        "VALIDATION_ERROR",
        Some("trace_ids[1]"),
    ),
    (
        "/api/mlflow/runs/search",
        Some(r#"{"experiment_ids": []}"#),
        422,
        "VALIDATION_ERROR",
        Some("experiment_ids"),
    ),
    (
        "/api/mlflow/runs/search",
        Some(r#"{"experiment_ids": ["1"], "run_view_type": "SOME"}"#),
        422,
        "VALIDATION_ERROR",
        Some("run_view_type"),
    ),
    (
        "/api/mlflow/runs/search",
        Some(r#"{"experiment_ids": ["1"], "filter": "bogus"}"#),
        400,
        "VALIDATION_ERROR",
        None,
    ),
];

#[tokio::test]
async fn every_malformed_request_is_told_what_is_wrong() {
    let (_, server) = crate::direct().await;
    for (path, body, status, code, field) in CASES {
        let request = match body {
            Some(body) => server.post_text(path, "application/json", *body),
            None => server.get(path),
        };
        let answer = request.header("x-request-id", "case-1").send().await.unwrap();
        let case = format!("{path} {body:?}");
        assert_eq!(
            answer.headers()["content-type"],
            "application/problem+json",
            "{case}"
        );
        assert_eq!(answer.headers()["x-request-id"], "case-1", "{case}");
        assert_eq!(answer.status().as_u16(), *status, "{case}");
        let problem: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(
            (&problem["status"], &problem["status_code"]),
            (&json!(status), &json!(status)),
            "{case}"
        );
        assert_eq!(problem["error"]["code"], *code, "{case}");
        assert_eq!(problem["error"]["message"], problem["detail"], "{case}");
        assert!(
            problem["detail"].is_string() && problem["title"].is_string(),
            "{case}"
        );
        assert_eq!(problem["instance"], path.split('?').next().unwrap(), "{case}");
        assert_eq!(problem["request_id"], "case-1", "{case}");
        assert_eq!(
            problem["error"]["details"]["field"],
            json!(field),
            "{case}: {problem}"
        );
    }
}

#[tokio::test]
async fn a_batch_over_500_ids_and_a_body_over_2_mib_are_refused() {
    let (_, server) = crate::direct().await;
    let ids: Vec<_> = (0..501).map(|index| format!("tr-{index}")).collect();
    let answer = server
        .post("/api/traces/batch", &json!({"trace_ids": ids}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 422);
    assert!(
        answer
            .text()
            .await
            .unwrap()
            .contains("must be a list of 1 to 500")
    );
    let large = json!({"filter": "x".repeat(2 << 20)});
    let answer = server
        .post("/api/mlflow/search-traces", &large)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 413);
    assert!(answer.text().await.unwrap().contains("PAYLOAD_TOO_LARGE"));
    let untyped = server.post_text("/api/mlflow/search-traces", "text/plain", "{}");
    assert_eq!(untyped.send().await.unwrap().status(), 415);
}

#[tokio::test]
async fn a_search_without_any_experiment_is_told_to_name_one() {
    let upstream = harness::Upstream::v3();
    let server = harness::TraceServer::with(&[("MLFLOW_TRACKING_URI", &upstream.url)]).await;
    let answer = server
        .post("/api/mlflow/search-traces", &json!({}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 422);
    let problem: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(problem["error"]["details"]["field"], "experiment_ids");
}
