//! Equal requests at once cost MLflow one call.

use futures::future::join_all;
use harness::{Fault, Gate};
use serde_json::json;

#[tokio::test]
async fn a_hundred_equal_searches_on_a_cold_cache_are_one_upstream_call() {
    let (_, proxy, server) = crate::proxied().await;
    let gate = Gate::default();
    let held = gate.clone();
    proxy.rule(move |_| Fault::Held(held.clone()));
    let ask = || async {
        server
            .post("/api/mlflow/search-traces", &json!({"max_results": 10}))
            .send()
            .await
            .unwrap()
    };
    let asked = join_all((0..100).map(|_| ask()));
    let opened = async {
        proxy
            .until("the first search reaches MLflow", |proxy| {
                proxy.count("traces/search") > 0
            })
            .await;
        gate.open();
    };
    let (answers, ()) = tokio::join!(asked, opened);
    let ways: Vec<_> = answers
        .iter()
        .map(|answer| answer.headers()["x-cache"].to_str().unwrap())
        .collect();
    assert!(answers.iter().all(|answer| answer.status() == 200));
    assert_eq!(ways.iter().filter(|way| **way == "miss").count(), 1, "{ways:?}");
    assert_eq!(proxy.count("traces/search"), 1);
}

#[tokio::test]
async fn a_hundred_readers_of_one_trace_are_one_upstream_read_even_when_the_first_hangs_up() {
    let (upstream, proxy, server) = crate::proxied().await;
    let gate = Gate::default();
    let held = gate.clone();
    proxy.rule(move |_| Fault::HeldAfter(100_000, held.clone()));
    let path = format!("/api/traces/{}/spans", upstream.trace("big"));
    // Each has its first spans, and so has joined, before the first leaves.
    let first = server.get(&path).send().await.unwrap();
    assert_eq!(first.headers()["x-cache"], "miss");
    let others = join_all((0..99).map(|_| async { server.get(&path).send().await.unwrap() })).await;
    assert!(
        others
            .iter()
            .all(|other| other.headers()["x-cache"] == "coalesced")
    );
    drop(first);
    gate.open();
    for body in join_all(others.into_iter().map(reqwest::Response::text)).await {
        assert_eq!(body.unwrap().lines().count(), 120);
    }
    assert_eq!(proxy.count("get-trace-artifact"), 1);
    let again = server.get(&path).send().await.unwrap();
    assert_eq!(again.headers()["x-cache"], "hit");
}

#[tokio::test]
async fn an_error_is_shared_by_those_who_wait_and_not_kept() {
    let (upstream, proxy, server) = crate::proxied().await;
    let gate = Gate::default();
    let held = gate.clone();
    proxy.rule(move |_| Fault::Held(held.clone()));
    let path = format!("/api/mlflow/experiments/{}", upstream.seed.experiment_id);
    let asked = join_all(
        (0..20).map(|_| async { server.get("/api/mlflow/experiments/999999").send().await.unwrap() }),
    );
    let opened = async {
        proxy
            .until("the experiment is asked for", |proxy| {
                proxy.count("experiments/get") > 0
            })
            .await;
        // The others are on their way over loopback; nothing shows from outside when the last has joined.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        gate.open();
    };
    let (answers, ()) = tokio::join!(asked, opened);
    assert!(answers.iter().all(|answer| answer.status() == 404));
    let calls = proxy.count("experiments/get");
    assert_eq!(calls, 1, "for 20 equal requests");
    assert_eq!(
        server
            .get("/api/mlflow/experiments/999999")
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
    assert_eq!(proxy.count("experiments/get"), calls + 1);
    assert_eq!(server.get(&path).send().await.unwrap().status(), 200);
}
