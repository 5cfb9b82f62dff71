//! The same traces by every way a server offers, and on older servers.

use harness::{Fault, Proxy, TraceServer, Upstream};
use serde_json::{Value, json};

fn no_route() -> Fault {
    let headers = vec![("content-type", "text/html; charset=utf-8")];
    Fault::Status(404, headers, "<!doctype html><title>404 Not Found</title>")
}

async fn spans(server: &TraceServer, id: &str) -> Value {
    server.json(&format!("/api/traces/{id}")).await["data"]["spans"].clone()
}

#[tokio::test]
async fn otlp_converts_to_exactly_what_the_artifact_route_sends() {
    let (upstream, proxy, server) = crate::proxied().await;
    let other = Proxy::before(&upstream.url).await;
    other.rule(|call| {
        if call.path.contains("get-trace-artifact") {
            no_route()
        } else {
            Fault::None
        }
    });
    let without_route = TraceServer::on(&other.url, &upstream.seed.experiment_id).await;
    for name in [
        "rag",
        "non_ascii",
        "error",
        "all_types",
        "big",
        "wide",
        "links",
        "assessments",
        "artifact",
    ] {
        let id = upstream.trace(name);
        assert_eq!(
            spans(&without_route, id).await,
            spans(&server, id).await,
            "{name}"
        );
    }
    assert!(proxy.count("traces/get") == 0 && other.count("traces/get") > 0);
    assert_eq!(
        other.count("get-trace-artifact"),
        1,
        "a missing route is asked for once"
    );
}

#[tokio::test]
async fn a_server_of_unknown_age_without_either_route_gives_the_artifact() {
    let upstream = Upstream::v3();
    let proxy = Proxy::before(&upstream.url).await;
    proxy.rule(|call| {
        if ["/version", "get-trace-artifact", "traces/get"]
            .iter()
            .any(|route| call.path.contains(route))
        {
            no_route()
        } else {
            Fault::None
        }
    });
    let server = TraceServer::on(&proxy.url, &upstream.seed.experiment_id).await;
    let id = upstream.trace("artifact");
    let direct = TraceServer::on(&upstream.url, &upstream.seed.experiment_id).await;
    assert_eq!(spans(&server, id).await, spans(&direct, id).await);
    assert_eq!(proxy.count("mlflow-artifacts"), 1);
}

#[tokio::test]
async fn an_old_server_is_searched_opened_and_batched() {
    let upstream = Upstream::v2();
    let server = TraceServer::on(&upstream.url, &upstream.seed.experiment_id).await;
    let page = server
        .post_json("/api/mlflow/search-traces", &json!({"max_results": 3}))
        .await;
    assert_eq!(page["traces"].as_array().unwrap().len(), 3);
    assert!(page["next_page_token"].is_string());
    let ids = [
        upstream.trace("rag"),
        "0123456789abcdef0123456789abcdef",
        upstream.trace("big"),
    ];
    let batch = server
        .post_json(
            "/api/traces/batch",
            &json!({"trace_ids": ids, "span_summary_only": true}),
        )
        .await;
    assert_eq!(batch["traces"][0]["info"]["trace_id"], ids[0]);
    assert!(batch["traces"][1].is_null() && batch["errors"][ids[1]]["code"] == "RESOURCE_NOT_FOUND");
    assert_eq!(batch["traces"][2]["data"]["spans"].as_array().unwrap().len(), 40);
    let trace = server.json(&format!("/api/traces/{}", ids[0])).await;
    for span in trace["data"]["spans"].as_array().unwrap() {
        for field in ["name", "span_id", "start_time_unix_nano", "end_time_unix_nano"] {
            assert!(!span[field].is_null(), "the client reads {field}: {span}");
        }
        assert_eq!(span["status"]["code"], "STATUS_CODE_OK");
    }
}

#[tokio::test]
async fn a_gateway_that_answers_for_a_new_server_teaches_us_nothing() {
    let (upstream, proxy, server) = crate::proxied().await;
    let search = json!({"max_results": 3});
    proxy.rule(|call| {
        if call.path == "/version" {
            Fault::None
        } else {
            no_route()
        }
    });
    let answer = server
        .post("/api/mlflow/search-traces", &search)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 502, "an old route would have answered with less");
    proxy.rule(|_| Fault::None);
    let found = server.post_json("/api/mlflow/search-traces", &search).await;
    assert_eq!(found["traces"].as_array().unwrap().len(), 3);
    assert_eq!(proxy.count("/api/2.0/mlflow/traces"), 0);
    let trace = server
        .json(&format!("/api/traces/{}", upstream.trace("assessments")))
        .await;
    assert!(!trace["info"]["assessments"].as_array().unwrap().is_empty());
}
