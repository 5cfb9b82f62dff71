//! Freshness: what is said of it, and how a reader asks for more or less.

use reqwest::header::{CACHE_CONTROL, IF_NONE_MATCH};
use serde_json::json;

#[tokio::test]
async fn a_second_read_is_a_hit_and_no_cache_asks_again() {
    let (upstream, proxy, server) = crate::proxied().await;
    let path = format!("/api/traces/{}", upstream.trace("rag"));
    let get = async |asks: Option<&'static str>| {
        let request = server.get(&path);
        let answer = match asks {
            Some(asks) => request.header(CACHE_CONTROL, asks),
            None => request,
        }
        .send()
        .await
        .unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        (
            header("x-cache"),
            header("etag"),
            header("age"),
            header("cache-control"),
            answer.bytes().await.unwrap(),
        )
    };
    let cold = get(None).await;
    let warm = get(None).await;
    assert_eq!((cold.0.as_str(), warm.0.as_str()), ("miss", "hit"));
    assert_eq!((&cold.1, &cold.4), (&warm.1, &warm.4));
    assert_eq!((cold.2.as_str(), warm.3.as_str()), ("0", "private, no-cache"));
    let calls = proxy.calls().len();
    let asked = get(Some("no-cache")).await;
    assert_eq!((asked.0.as_str(), &asked.1), ("miss", &cold.1));
    assert_eq!(proxy.calls().len(), calls + 2);
}

#[tokio::test]
async fn an_unchanged_answer_is_304_without_a_body() {
    let (upstream, server) = crate::direct().await;
    for path in [
        format!("/api/traces/{}", upstream.trace("big")),
        format!("/api/mlflow/runs/{}", upstream.seed.run_id),
        format!("/api/mlflow/experiments/{}", upstream.seed.experiment_id),
    ] {
        let etag = server.get(&path).send().await.unwrap().headers()["etag"].clone();
        let again = server
            .get(&path)
            .header(IF_NONE_MATCH, &etag)
            .send()
            .await
            .unwrap();
        assert_eq!(
            (again.status().as_u16(), &again.headers()["etag"]),
            (304, &etag),
            "{path}"
        );
        assert_eq!(again.headers()["x-cache"], "hit");
        assert!(again.bytes().await.unwrap().is_empty());
        let other = server
            .get(&path)
            .header(IF_NONE_MATCH, "W/\"0\", \"x\"")
            .send()
            .await
            .unwrap();
        assert_eq!(other.status(), 200);
    }
}

#[tokio::test]
async fn a_trace_that_runs_is_kept_only_briefly() {
    let (upstream, proxy, server) = crate::proxied().await;
    let [running, finished] =
        ["in_progress", "rag"].map(|name| format!("/api/traces/{}", upstream.trace(name)));
    for path in [&running, &finished] {
        server.json(path).await;
    }
    // Longer than the 2 s that a running trace is kept.
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    let info = |id: &str| format!("/api/3.0/mlflow/traces/{id}");
    let calls = proxy.count(&info(upstream.trace("in_progress")));
    server.json(&running).await;
    server.json(&finished).await;
    assert_eq!(proxy.count(&info(upstream.trace("in_progress"))), calls + 1);
    assert_eq!(proxy.count(&info(upstream.trace("rag"))), 1);
}

#[tokio::test]
async fn what_a_search_found_needs_no_further_info_call() {
    let (upstream, proxy, server) = crate::proxied().await;
    server
        .post_json("/api/mlflow/search-traces", &json!({"max_results": 500}))
        .await;
    server
        .json(&format!("/api/traces/{}", upstream.trace("rag")))
        .await;
    server
        .post_json(
            "/api/traces/batch",
            &json!({"trace_ids": upstream.seed.trace_ids}),
        )
        .await;
    assert_eq!(proxy.count("/api/3.0/mlflow/traces/"), 1, "the search alone");
    assert_eq!(proxy.count("get-trace-artifact"), 1);
}

#[tokio::test]
async fn different_answers_have_different_etags() {
    let (upstream, server) = crate::direct().await;
    let [rag, big] = ["rag", "big"].map(|name| format!("/api/traces/{}", upstream.trace(name)));
    let mut etags = std::collections::BTreeSet::new();
    let queries = [
        "",
        "?limit=1",
        "?limit=2",
        "?offset=1&limit=1",
        "?view=summary",
        "?span_type=TOOL",
        "?root_only=true",
    ];
    let lists = queries.map(|query| format!("{rag}/spans{query}"));
    let trace = server.json(&rag).await;
    let id = trace["data"]["spans"][1]["span_id"]
        .as_str()
        .unwrap()
        .replace('/', "_")
        .replace('+', "-");
    let others = [
        rag.clone(),
        big,
        format!("{rag}/data"),
        format!("{rag}/spans/{id}"),
    ];
    let paths: Vec<_> = lists.into_iter().chain(others).collect();
    for path in &paths {
        // Warm, so that the answer is whole.
        server
            .get(path)
            .header("accept", "application/json")
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        let answer = server
            .get(path)
            .header("accept", "application/json")
            .send()
            .await
            .unwrap();
        etags.insert(answer.headers()["etag"].to_str().unwrap().to_owned());
    }
    assert_eq!(etags.len(), paths.len(), "{paths:#?}");
}
