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
async fn a_hundred_readers_of_one_trace_are_two_upstream_calls_even_when_the_first_hangs_up() {
    let (upstream, proxy, server) = crate::proxied().await;
    let gate = Gate::default();
    let held = gate.clone();
    proxy.rule(move |_| Fault::Held(held.clone()));
    let path = format!("/api/traces/{}", upstream.trace("big"));
    let first = tokio::spawn(server.get(&path).send());
    proxy
        .until("info and spans are asked for", |proxy| proxy.calls().len() == 2)
        .await;
    let others: Vec<_> = (0..99).map(|_| tokio::spawn(server.get(&path).send())).collect();
    // The others have no way to show that they wait; the first leaves only once one of them was answered by joining.
    first.abort();
    tokio::task::yield_now().await;
    gate.open();
    for other in others {
        let answer = other.await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.bytes().await.unwrap().len() > 1_100_000);
    }
    // One more of each only if all others came after the first had left.
    assert!(
        proxy.count("get-trace-artifact") <= 2,
        "{}",
        proxy.count("get-trace-artifact")
    );
    assert!(proxy.calls().len() <= 4);
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
        gate.open();
    };
    let (answers, ()) = tokio::join!(asked, opened);
    assert!(answers.iter().all(|answer| answer.status() == 404));
    let calls = proxy.count("experiments/get");
    assert!(calls < 20, "{calls} calls for 20 equal requests");
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
