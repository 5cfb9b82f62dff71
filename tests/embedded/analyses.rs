//! Analyses on MLflow's own database: made of the same traces as on its server, and kept where that finds them.

use std::time::Duration;

use harness::{TraceServer, http_client};
use serde_json::{Value, json};

use crate::{Kind, embedded};

on_each_store! {
    patterns_are_those_that_are_found_on_the_server;
    a_summary_is_read_by_mlflow_itself;
}

async fn patterns_are_those_that_are_found_on_the_server(kind: Kind) {
    let upstream = kind.upstream();
    let here = embedded(&upstream, &[]).await;
    let there = TraceServer::on(&upstream.url, &upstream.seed.experiment_id).await;
    for query in ["", "?limit=3", "?limit=100"] {
        let path = format!("/api/traces/analyze-patterns{query}");
        let (mut here, mut there) = (here.json(&path).await, there.json(&path).await);
        assert!(here["coverage"]["spans"].as_u64().unwrap() > 3, "{here}");
        // Sums of the same numbers in another order.
        for one in [&mut here, &mut there] {
            one["cost"].take();
            for of in ["by_type", "by_tool"] {
                let all = one["span_statistics"][of].as_object_mut().unwrap();
                all.values_mut().for_each(|figures| {
                    figures["cost"].take();
                });
            }
        }
        assert_eq!(here, there, "{query}");
    }
}

async fn a_summary_is_read_by_mlflow_itself(kind: Kind) {
    let upstream = kind.upstream();
    // Of their own: others summarise the main experiment.
    let experiment = &upstream.seed.other_experiment_id;
    let server = embedded(&upstream, &[]).await;
    let body = json!({"experiment_id": experiment, "trace_sample_size": 10});
    server
        .post_json("/api/experiment-summary/trigger-analysis", &body)
        .await;
    let status = format!("/api/experiment-summary/status/{experiment}");
    let over = async {
        loop {
            let told = server.json(&status).await;
            match told["status"].as_str().unwrap() {
                "pending" | "running" => tokio::time::sleep(Duration::from_millis(50)).await,
                _ => break told,
            }
        }
    };
    let told = tokio::time::timeout(Duration::from_mins(1), over).await.unwrap();
    assert_eq!(told["status"], "completed", "{told}");
    let kept = server
        .json(&format!("/api/experiment-summary/{experiment}"))
        .await;
    let (run, path) = (
        told["run_id"].as_str().unwrap(),
        told["report_path"].as_str().unwrap(),
    );
    let answer = http_client()
        .get(format!(
            "{}/get-artifact?run_uuid={run}&path={path}",
            upstream.url
        ))
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    assert_eq!(Value::from(answer.text().await.unwrap()), kept["content"]);
    assert_eq!(
        Value::from(upstream.run_script("read_artifact.py", &[run, path])),
        kept["content"]
    );
    // And what MLflow's server writes there is read here.
    let there = TraceServer::on(&upstream.url, experiment).await;
    assert_eq!(
        there.json(&format!("/api/experiment-summary/{experiment}")).await["content"],
        kept["content"]
    );
}
