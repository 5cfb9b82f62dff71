//! Traces found by a filter.

use serde_json::{Value, json};

fn ids(page: &Value) -> Vec<String> {
    let traces = page["traces"].as_array().unwrap();
    traces
        .iter()
        .map(|trace| trace["info"]["trace_id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn ten_traces_without_spans_are_small_and_touch_no_span_data() {
    let (_, proxy, server) = crate::proxied().await;
    let answer = server
        .post("/api/mlflow/search-traces", &json!({"max_results": 10}))
        .send()
        .await
        .unwrap();
    let body = answer.bytes().await.unwrap();
    let page: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(ids(&page).len(), 10);
    assert!(body.len() < 40_000, "{} bytes", body.len());
    assert!(
        page["traces"]
            .as_array()
            .unwrap()
            .iter()
            .all(|trace| trace["data"] == json!({"spans": []}))
    );
    assert_eq!((proxy.count("get-trace-artifact"), proxy.calls().len()), (0, 1));
}

#[tokio::test]
async fn pages_put_together_are_all_traces_and_end() {
    let (upstream, server) = crate::direct().await;
    let (mut found, mut token) = (Vec::new(), Value::Null);
    loop {
        let body = json!({"max_results": 10, "page_token": token});
        let page = server.post_json("/api/mlflow/search-traces", &body).await;
        found.extend(ids(&page));
        token = page["next_page_token"].clone();
        if token.is_null() {
            break;
        }
    }
    let (mut found, mut all) = (found, upstream.seed.trace_ids.clone());
    found.sort();
    all.sort();
    assert_eq!(found, all);
}

#[tokio::test]
async fn a_search_by_run_finds_its_traces_in_its_experiment_with_whole_spans() {
    let (upstream, proxy, server) = crate::proxied().await;
    let body = json!({"run_id": upstream.seed.run_id, "max_results": 500});
    let answer = server
        .post("/api/mlflow/search-traces", &body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["x-cache"], "miss");
    let page: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    let mut found = ids(&page);
    found.sort();
    let mut linked = upstream.seed.run_trace_ids.clone();
    linked.sort();
    assert_eq!(found, linked);
    for trace in page["traces"].as_array().unwrap() {
        let id = trace["info"]["trace_id"].as_str().unwrap();
        assert_eq!(*trace, server.json(&format!("/api/traces/{id}")).await, "{id}");
    }
    let calls = proxy.calls().len();
    let again = server
        .post("/api/mlflow/search-traces", &body)
        .send()
        .await
        .unwrap();
    assert_eq!(again.headers()["x-cache"], "hit");
    assert!(again.headers().contains_key("etag"));
    assert_eq!(
        serde_json::from_slice::<Value>(&again.bytes().await.unwrap()).unwrap(),
        page
    );
    assert_eq!(proxy.calls().len(), calls);
    let lean = server
        .post_json(
            "/api/mlflow/search-traces",
            &json!({"run_id": upstream.seed.run_id, "include_spans": false}),
        )
        .await;
    assert!(
        lean["traces"]
            .as_array()
            .unwrap()
            .iter()
            .all(|trace| trace["data"]["spans"] == json!([]))
    );
}

#[tokio::test]
async fn filters_order_and_experiments_are_mlflows_own() {
    let (upstream, server) = crate::direct().await;
    let search = async |body: Value| ids(&server.post_json("/api/mlflow/search-traces", &body).await);
    let errors = search(json!({"filter": "status = 'ERROR'"})).await;
    assert_eq!(errors, [upstream.trace("error")]);
    let both = search(
        json!({"run_id": upstream.seed.run_id, "filter": "tags.team = 'größe'", "include_spans": false}),
    )
    .await;
    assert_eq!(both.len(), 4);
    assert!(both.iter().all(|id| upstream.seed.run_trace_ids.contains(id)));
    let mut oldest_first = search(json!({"order_by": ["timestamp_ms ASC"], "max_results": 3})).await;
    oldest_first.sort();
    assert_eq!(oldest_first.len(), 3);
    let elsewhere = search(json!({"experiment_ids": [upstream.seed.empty_experiment_id]})).await;
    assert!(elsewhere.is_empty());
    let two = search(json!({"experiment_ids": [upstream.seed.experiment_id, upstream.seed.empty_experiment_id], "experiment_id": "ignored"})).await;
    assert_eq!(two.len(), upstream.seed.trace_ids.len());
}

#[tokio::test]
async fn the_flags_of_the_query_string_count_and_the_bodys_win() {
    let (upstream, server) = crate::direct().await;
    let id = upstream.trace("rag");
    let filter = json!({"filter": format!("request_id = '{id}'")});
    let spans = async |query: &str, extra: Value| {
        let mut body = filter.clone();
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let page = server
            .post_json(&format!("/api/mlflow/search-traces{query}"), &body)
            .await;
        page["traces"][0]["data"]["spans"].clone()
    };
    assert_eq!(spans("", json!({})).await, json!([]));
    let whole = spans("?include_spans=true", json!({})).await;
    assert_eq!(
        whole,
        server.json(&format!("/api/traces/{id}")).await["data"]["spans"]
    );
    let summaries = spans("?span_summary_only=True", json!({})).await;
    assert!(
        summaries[0]["sizes"].is_object() && summaries[0]["attributes"].get("mlflow.spanInputs").is_none()
    );
    assert_eq!(
        spans("?include_spans=true", json!({"include_spans": false})).await,
        json!([])
    );
}

#[tokio::test]
async fn previews_that_mlflow_lacks_are_derived_from_the_spans() {
    let (upstream, server) = crate::direct().await;
    let trace = server
        .json(&format!("/api/traces/{}", upstream.trace("no_previews")))
        .await;
    assert_eq!(trace["info"]["request_preview"], "Wo ist mein Paket?");
    assert_eq!(trace["info"]["response_preview"], "Unterwegs zu Ihnen.");
}
