//! Many traces by id.

use harness::Fault;
use serde_json::{Value, json};

#[tokio::test]
async fn a_hundred_ids_with_three_unknown_are_97_traces_and_3_reasons() {
    let (upstream, proxy, server) = crate::proxied().await;
    let known: Vec<_> = upstream
        .seed
        .trace_ids
        .iter()
        .chain(&upstream.seed.other_trace_ids)
        .collect();
    let mut ids: Vec<String> = known.iter().cycle().take(97).map(|id| (*id).clone()).collect();
    for (index, at) in [0, 50, 99].into_iter().enumerate() {
        ids.insert(at, format!("tr-{index:032}"));
    }
    let answer = server
        .post_json("/api/traces/batch", &json!({"trace_ids": ids}))
        .await;
    let traces = answer["traces"].as_array().unwrap();
    assert_eq!((traces.len(), ids.len()), (100, 100));
    for (index, (trace, id)) in traces.iter().zip(&ids).enumerate() {
        match index {
            0 | 50 | 99 => {
                assert!(trace.is_null());
                assert_eq!(answer["errors"][id]["code"], "RESOURCE_NOT_FOUND");
            }
            _ => {
                assert_eq!(trace["info"]["trace_id"], **id);
                assert_eq!(trace["data"]["spans"], json!([]));
            }
        }
    }
    assert_eq!(answer["errors"].as_object().unwrap().len(), 3);
    assert_eq!(proxy.count("get-trace-artifact"), 0, "no span data is touched");
    assert_eq!(proxy.calls().len(), 1, "{:?}", proxy.calls());
}

#[tokio::test]
async fn spans_come_as_asked_and_a_trace_whose_spans_fail_is_the_only_one_that_does() {
    let (upstream, proxy, server) = crate::proxied().await;
    let [good, bad, lost] = ["rag", "non_ascii", "no_spans"].map(|name| upstream.trace(name).to_owned());
    let failing = bad.clone();
    proxy.rule(move |call| {
        if call.path.contains("artifact") && call.path.contains(&failing) {
            Fault::Status(
                500,
                vec![],
                r#"{"error_code":"INTERNAL_ERROR","message":"SELECT secret"}"#,
            )
        } else {
            Fault::None
        }
    });
    let body = json!({"trace_ids": [good, bad, lost, good], "include_spans": true});
    let answer = server.post_json("/api/traces/batch", &body).await;
    let whole = server.json(&format!("/api/traces/{good}")).await;
    assert_eq!((&answer["traces"][0], &answer["traces"][3]), (&whole, &whole));
    assert_eq!(answer["traces"][1], Value::Null);
    assert_eq!(
        answer["errors"][&bad],
        json!({"code": "UPSTREAM_ERROR", "message": "MLflow failed to answer"})
    );
    assert_eq!(answer["traces"][2]["data"]["error"]["code"], "RESOURCE_NOT_FOUND");
    let summaries = json!({"trace_ids": [good], "span_summary_only": true});
    let summary =
        &server.post_json("/api/mlflow/traces/batch", &summaries).await["traces"][0]["data"]["spans"];
    assert_eq!(
        summary.as_array().unwrap().len(),
        whole["data"]["spans"].as_array().unwrap().len()
    );
    assert!(summary[0]["sizes"]["inputs_bytes"].as_u64().unwrap() > 0);
    assert!(summary[0]["attributes"].get("mlflow.spanInputs").is_none());
}

#[tokio::test]
async fn a_server_that_fails_on_many_is_asked_for_each() {
    let (upstream, proxy, server) = crate::proxied().await;
    proxy.rule(|call| {
        if call.path.contains("batchGetInfos") {
            Fault::Status(
                500,
                vec![],
                r#"{"error_code":"INTERNAL_ERROR","message":"one of them is broken"}"#,
            )
        } else {
            Fault::None
        }
    });
    let ids = &upstream.seed.trace_ids[..5];
    let answer = server
        .post_json("/api/traces/batch", &json!({"trace_ids": ids}))
        .await;
    assert_eq!(answer["errors"], json!({}));
    assert!(
        answer["traces"]
            .as_array()
            .unwrap()
            .iter()
            .all(|trace| trace["info"]["trace_id"].is_string())
    );
}
