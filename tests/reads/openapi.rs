//! The OpenAPI document: committed, served, complete, and true of real answers.

use std::path::Path;

use harness::TraceServer;
use serde_json::{Value, json};

fn committed() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/openapi.json");
    std::fs::read_to_string(path).expect("openapi/openapi.json is committed")
}

#[tokio::test]
async fn the_committed_document_is_the_served_one() {
    let (_, server) = crate::direct().await;
    let document = server
        .get("/openapi.json")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        document == committed(),
        "openapi/openapi.json is out of date: run `make documents`"
    );
    let (printed, _) = TraceServer::command(&["openapi"], &[]).await;
    assert!(printed == document);
}

#[tokio::test]
async fn the_docs_page_is_in_the_binary_and_loads_nothing_from_elsewhere() {
    let (_, server) = crate::direct().await;
    // The files are kept compressed, and sent so: every browser reads that.
    let page = reqwest::get(format!("{}/docs/", server.url))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(page.contains("swagger-ui"), "{page}");
    assert!(!page.contains("http://") && !page.contains("https://"), "{page}");
    for file in ["swagger-ui-bundle.js", "swagger-ui.css", "swagger-initializer.js"] {
        assert_eq!(
            server
                .get(&format!("/docs/{file}"))
                .send()
                .await
                .unwrap()
                .status(),
            200,
            "{file}"
        );
    }
    let redirect = server.get("/docs").send().await.unwrap();
    assert_eq!(redirect.headers()["location"], "/docs/");
}

#[test]
fn every_operation_has_an_id_of_its_own_a_summary_and_described_errors() {
    let document: Value = serde_json::from_str(&committed()).unwrap();
    let mut ids = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in ["get", "post", "patch", "delete"]
            .iter()
            .filter_map(|method| item.get(*method))
        {
            ids.push(operation["operationId"].as_str().unwrap().to_owned());
            assert!(operation["summary"].is_string(), "{path}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                // Problems stand once for all.
                let response = match response["$ref"].as_str() {
                    Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
                    None => response,
                };
                assert!(
                    !response["description"].as_str().unwrap().is_empty(),
                    "{path} {status}"
                );
                let is_problem = response["content"].get("application/problem+json").is_some();
                let is_good = status.starts_with('2') || status == "304";
                assert_eq!(is_problem, !is_good, "{path} {status}");
            }
        }
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn every_field_is_described_and_has_an_example() {
    let document: Value = serde_json::from_str(&committed()).unwrap();
    let is_of = |field: &Value, kind: &str| field["type"] == kind || field["type"] == json!([kind, "null"]);
    let mut lacking = Vec::new();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(schema["description"].is_string(), "{name}");
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            // What stands under a name of its own is described and exemplified there.
            let inner = schema["oneOf"].get(0).unwrap_or(schema);
            let is_named =
                |schema: &Value| schema.get("$ref").is_some() || schema["oneOf"][0].get("$ref").is_some();
            // Any JSON, passed on as MLflow sends it.
            let is_free = schema.get("type").is_none()
                || (is_of(schema, "object") && schema["additionalProperties"] == json!(true));
            let is_listed = inner.get("enum").is_some();
            let is_plain = is_free || is_listed || is_of(schema, "boolean") || is_named(&schema["items"]);
            let is_described = inner["description"].is_string() || schema["description"].is_string();
            if !is_described
                || !(is_plain
                    || is_named(schema)
                    || schema.get("example").or(schema.get("examples")).is_some())
            {
                lacking.push(format!("{name}.{field}"));
            }
        }
    }
    assert!(lacking.is_empty(), "{lacking:#?}");
}

#[tokio::test]
async fn real_answers_are_what_the_document_says() {
    let (upstream, server) = crate::direct().await;
    let document = server.document().await;
    let check = |path: &str, method: &str, answer: &Value| document.check(method, path, answer);
    for id in &upstream.seed.trace_ids {
        check(
            "/api/traces/{trace_id}",
            "get",
            &server.json(&format!("/api/traces/{id}")).await,
        );
    }
    let id = upstream.trace("rag");
    check(
        "/api/traces/{trace_id}/data",
        "get",
        &server.json(&format!("/api/traces/{id}/data")).await,
    );
    let span = server.json(&format!("/api/traces/{id}")).await["data"]["spans"][0].clone();
    let span_id = span["span_id"]
        .as_str()
        .unwrap()
        .replace('/', "_")
        .replace('+', "-");
    check(
        "/api/traces/{trace_id}/spans/{span_id}",
        "get",
        &server.json(&format!("/api/traces/{id}/spans/{span_id}")).await,
    );
    let batch = json!({"trace_ids": [id, "tr-unknown"], "span_summary_only": true});
    check(
        "/api/traces/batch",
        "post",
        &server.post_json("/api/traces/batch", &batch).await,
    );
    check(
        "/api/mlflow/search-traces",
        "post",
        &server.post_json("/api/mlflow/search-traces", &json!({})).await,
    );
    let runs = json!({"experiment_ids": [upstream.seed.experiment_id]});
    check(
        "/api/mlflow/runs/search",
        "post",
        &server.post_json("/api/mlflow/runs/search", &runs).await,
    );
    let run = format!("/api/mlflow/runs/{}", upstream.seed.run_id);
    check("/api/mlflow/runs/{run_id}", "get", &server.json(&run).await);
    let experiment = format!("/api/mlflow/experiments/{}", upstream.seed.experiment_id);
    check(
        "/api/mlflow/experiments/{experiment_id}",
        "get",
        &server.json(&experiment).await,
    );
    for path in [
        "/api/traces/analyze-patterns",
        "/api/mlflow/traces/analyze-patterns",
        "/health",
        "/api/config",
        "/api/config/experiment-id",
        "/api/user/me",
        "/api/user/current",
        "/api/user/me/workspace",
    ] {
        check(path, "get", &server.json(path).await);
    }
}
