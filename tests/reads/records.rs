//! Runs, experiments and settings.

use serde_json::json;

#[tokio::test]
async fn an_experiment_has_the_members_the_client_reads() {
    let (upstream, server) = crate::direct().await;
    let id = &upstream.seed.experiment_id;
    let answer = server.json(&format!("/api/mlflow/experiments/{id}/")).await;
    let experiment = &answer["experiment"];
    assert_eq!(experiment["experiment_id"], **id);
    assert_eq!(
        (&experiment["name"], &experiment["lifecycle_stage"]),
        (&json!("support-agent-review"), &json!("active"))
    );
    assert!(experiment["creation_time"].is_i64() && experiment["last_update_time"].is_i64());
    assert!(experiment["artifact_location"].is_string());
}

#[tokio::test]
async fn a_run_has_the_members_the_client_reads() {
    let (upstream, server) = crate::direct().await;
    let id = &upstream.seed.run_id;
    let answer = server.json(&format!("/api/mlflow/runs/{id}")).await;
    let (info, data) = (&answer["run"]["info"], &answer["run"]["data"]);
    assert_eq!((&info["run_id"], &info["run_uuid"]), (&json!(id), &json!(id)));
    assert_eq!(
        (&info["run_name"], &info["status"]),
        (&json!("Labeling session: week 47"), &json!("FINISHED"))
    );
    assert!(info["start_time"].is_i64() && info["end_time"].is_i64());
    assert_eq!(
        (
            &data["metrics"][0]["key"],
            &data["metrics"][0]["value"],
            &data["metrics"][0]["step"]
        ),
        (&json!("progress"), &json!(0.25), &json!(1))
    );
    assert_eq!(data["params"], json!([{"key": "reviewers", "value": "2"}]));
    let tags = data["tags"].as_array().unwrap();
    assert!(tags.contains(&json!({"key": "mlflow.customRenderer", "value": "chat"})));
}

#[tokio::test]
async fn a_search_of_runs_keeps_its_page_token() {
    let (upstream, server) = crate::direct().await;
    let page = server
        .post_json(
            "/api/mlflow/runs/search",
            &json!({"experiment_ids": [upstream.seed.experiment_id], "max_results": 1}),
        )
        .await;
    assert_eq!(page["runs"][0]["info"]["run_id"], upstream.seed.run_id);
    let rest =
        json!({"experiment_ids": [upstream.seed.experiment_id], "page_token": page["next_page_token"]});
    let rest = server.post_json("/api/mlflow/runs/search", &rest).await;
    assert_eq!(rest["runs"][0]["info"]["run_name"], "Labeling session: week 46");
    assert_eq!(
        (rest["runs"].as_array().unwrap().len(), &rest["next_page_token"]),
        (1, &json!(null))
    );
}

#[tokio::test]
async fn the_frontend_is_told_its_configuration() {
    let (upstream, server) = crate::direct().await;
    let experiment_id = &upstream.seed.experiment_id;
    for path in ["/health", "/health/live"] {
        assert_eq!(server.json(path).await, json!({"status": "healthy"}));
    }
    assert_eq!(
        server.json("/api/config/experiment-id").await,
        json!({"experiment_id": experiment_id})
    );
    let expected = json!({
        "experiment_id": experiment_id, "max_results": 1000, "page_size": 500, "debug": false,
        "sme_thank_you_message": null, "model_endpoint": null,
    });
    assert_eq!(server.json("/api/config").await, expected);
    assert_eq!(server.json("/api/config/").await, expected);
}
