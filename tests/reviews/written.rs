//! What is written is seen by the next read, by anyone; what is not written stays in the cache.

use harness::answer;
use serde_json::{Value, json};

use crate::place::{DEV, Kept, Place};

/// How an answer was come by, and its traces' assessments as name and value.
async fn search(place: &Place, user: &str, body: &Value) -> (String, Value) {
    let request = place.server.as_user(user).post("/api/mlflow/search-traces", body);
    let response = request.send().await.unwrap();
    let how = response.headers()["x-cache"].to_str().unwrap().to_owned();
    (
        how,
        serde_json::from_slice(&response.bytes().await.unwrap()).unwrap(),
    )
}

fn labels(trace: &Value) -> Vec<(&str, &Value)> {
    let given = trace["info"]["assessments"].as_array().unwrap().iter();
    given
        .map(|one| (one["name"].as_str().unwrap(), &one["feedback"]["value"]))
        .collect()
}

#[tokio::test]
async fn a_label_is_seen_by_the_next_read_and_all_else_stays_cached() {
    let place = Place::new(Kept::Sqlite).await;
    let traces = place.traces(6).await;
    let (_, mine) = place.session(&["ann@example.com"], &traces[..3]).await;
    let (_, others) = place.session(&["bob@example.com"], &traces[3..]).await;
    let page = json!({"run_id": mine, "max_results": 500, "include_spans": false});
    let other_page = json!({"run_id": others, "max_results": 500, "include_spans": false});
    let by_label = json!({"filter": "feedback.tone = 'good'"});
    let path = format!("/api/traces/{}", traces[0]);
    let batches = [&traces[0], &traces[1]].map(|id| json!({"trace_ids": [id]}));
    for body in [&page, &other_page, &by_label] {
        search(&place, DEV, body).await;
        assert_eq!(search(&place, DEV, body).await.0, "hit");
    }
    let how = async |batch: &Value| {
        let request = place.server.as_user(DEV).post("/api/traces/batch", batch);
        let response = request.send().await.unwrap();
        response.headers()["x-cache"].to_str().unwrap().to_owned()
    };
    for batch in &batches {
        assert_eq!(how(batch).await, "hit", "it came with a search");
    }
    let label = json!({"assessment": {"name": "tone", "value": "good", "rationale": "calm"}});
    let ann = place.server.as_user("ann@example.com");
    let given = ann
        .post_json(&format!("/api/mlflow/traces/{}/feedback", traces[0]), &label)
        .await;
    assert_eq!(given["success"], true);
    // By anyone, on every path to the trace.
    let (_, found) = search(&place, DEV, &page).await;
    let labeled = found["traces"]
        .as_array()
        .unwrap()
        .iter()
        .find(|trace| trace["info"]["trace_id"] == traces[0]);
    assert_eq!(labels(labeled.unwrap()), [("tone", &json!("good"))]);
    let opened = place.server.as_user(DEV).get_json(&path).await;
    assert_eq!(labels(&opened), [("tone", &json!("good"))]);
    let batch = place
        .server
        .as_user(DEV)
        .post_json("/api/traces/batch", &batches[0])
        .await;
    assert_eq!(labels(&batch["traces"][0]), [("tone", &json!("good"))]);
    let (_, found) = search(&place, DEV, &by_label).await;
    assert_eq!(
        found["traces"].as_array().unwrap().len(),
        1,
        "what a search by labels finds changed"
    );
    // What was not touched is still there.
    assert_eq!(search(&place, DEV, &other_page).await.0, "hit");
    assert_eq!(how(&batches[1]).await, "hit");
    // A change is seen as well, and nothing is written but what was asked.
    let change =
        json!({"assessment_id": given["assessment_id"], "assessment": {"name": "", "value": ["a", 2.5]}});
    ann.patch_json(&format!("/api/mlflow/traces/{}/feedback", traces[0]), &change)
        .await;
    let opened = place.server.as_user("ann@example.com").get_json(&path).await;
    assert_eq!(labels(&opened), [("tone", &json!(["a", 2.5]))]);
    assert_eq!(
        opened["info"]["assessments"][0]["metadata"]["rationale"], "",
        "the frontend leaves out a comment that was taken back"
    );
    assert_eq!(search(&place, DEV, &other_page).await.0, "hit");
}

#[tokio::test]
async fn a_label_given_through_one_server_is_seen_through_another() {
    let place = Place::new(Kept::Postgres).await;
    let traces = place.traces(2).await;
    let (session, _) = place.session(&["ann@example.com"], &traces[..1]).await;
    let database = place.database.as_ref().unwrap().url();
    let settings = [
        ("MLFLOW_TRACKING_URI", place.upstream.url.as_str()),
        ("MLFLOW_EXPERIMENT_ID", place.experiment.as_str()),
        ("TRACE_SERVER_TRUST_PROXY", "true"),
        ("DEVELOPERS", DEV),
        ("DATABASE_URL", database),
    ];
    let other = harness::TraceServer::with(&settings).await;
    let batches = [&traces[0], &traces[1]].map(|id| json!({"trace_ids": [id]}));
    let read = async |batch: &Value| {
        let request = other.as_user(DEV).post("/api/traces/batch", batch);
        let response = request.send().await.unwrap();
        let how = response.headers()["x-cache"].to_str().unwrap().to_owned();
        let answer: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        (how, labels(&answer["traces"][0]).len())
    };
    // Once it has begun to listen, what it reads stays in its cache.
    for batch in &batches {
        while read(batch).await.0 != "hit" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    let label = json!({"assessment": {"name": "tone", "value": "good"}});
    let path = format!("/api/traces/{}/feedback", traces[0]);
    place
        .server
        .as_user("ann@example.com")
        .post_json(&path, &label)
        .await;
    let mut reads = 1;
    while read(&batches[0]).await.1 == 0 {
        reads += 1;
        assert!(reads < 500, "its entry is good for minutes, and nobody told it");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(read(&batches[1]).await, ("hit".to_owned(), 0), "all else stays");
    // So are rights.
    let bob = other.as_user("bob@example.com");
    let theirs = format!("/api/labeling-sessions/{session}");
    assert_eq!(bob.try_get(&theirs).await.0, 403);
    let assign = json!({"assigned_users": ["bob@example.com"]});
    place.server.as_user(DEV).patch_json(&theirs, &assign).await;
    let mut asked = 1;
    while bob.try_get(&theirs).await.0 == 403 {
        asked += 1;
        assert!(asked < 500, "rights are good for 10 s");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// MLflow is away: what was read before stands in, also after a label that could not be given.
#[tokio::test]
async fn a_label_that_was_refused_takes_no_old_answer_away() {
    let place = Place::new(Kept::Sqlite).await;
    let traces = place.traces(1).await;
    let settings = [
        ("MLFLOW_TRACKING_URI", place.proxy.url.as_str()),
        ("MLFLOW_EXPERIMENT_ID", place.experiment.as_str()),
        ("TRACE_SERVER_CACHE_SEARCH_TTL", "10ms"),
        ("TRACE_SERVER_UPSTREAM_MAX_RETRIES", "0"),
    ];
    let server = harness::TraceServer::with(&settings).await;
    let path = format!("/api/traces/{}/feedback", traces[0]);
    let label = json!({"assessment": {"name": "tone", "value": "good"}});
    let search = async || {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let response = server
            .post("/api/mlflow/search-traces", &json!({}))
            .send()
            .await
            .unwrap();
        let how = response
            .headers()
            .get("x-cache")
            .map(|how| how.to_str().unwrap().to_owned());
        (response.status().as_u16(), how.unwrap_or_default())
    };
    assert_eq!(search().await, (200, "miss".to_owned()));
    let away = |status| move |_: &harness::Call| harness::Fault::Status(status, vec![], "{}");
    place.proxy.rule(away(429));
    assert_eq!(server.post(&path, &label).send().await.unwrap().status(), 429);
    place.proxy.rule(away(503));
    assert_eq!(search().await, (200, "stale".to_owned()));
    // A label that may have been given does: the page from before could be without it.
    assert_eq!(server.post(&path, &label).send().await.unwrap().status(), 503);
    assert_eq!(search().await.0, 503);
}

#[tokio::test]
async fn a_page_read_while_a_label_is_given_is_not_kept_for_new() {
    let place = Place::new(Kept::Sqlite).await;
    let traces = place.traces(2).await;
    let (_, run) = place.session(&["ann@example.com"], &traces).await;
    let page = json!({"run_id": run, "max_results": 500, "include_spans": false});
    let gate = harness::Gate::default();
    let held = gate.clone();
    // MLflow's answer to the first search is on its way while the label is given.
    place.proxy.rule(move |call| {
        if call.path.contains("traces/search") {
            harness::Fault::HeldAfter(10, held.clone())
        } else {
            harness::Fault::None
        }
    });
    let (server, body) = (&place.server, &page);
    let early = async move {
        answer(server.as_user(DEV).post("/api/mlflow/search-traces", body))
            .await
            .1
    };
    let label = async {
        place
            .proxy
            .until("the search is under way", |proxy| {
                proxy.open_answers("traces/search") == 1
            })
            .await;
        let body = json!({"assessment": {"name": "tone", "value": "good"}});
        let path = format!("/api/traces/{}/feedback", traces[0]);
        place
            .server
            .as_user("ann@example.com")
            .post_json(&path, &body)
            .await;
        place.proxy.rule(|_| harness::Fault::None);
        let late = search(&place, DEV, &page).await.1;
        gate.open();
        late
    };
    let (early, late) = tokio::join!(early, label);
    let given = |page: &Value| -> usize {
        let traces = page["traces"].as_array().unwrap().iter();
        traces.map(|trace| labels(trace).len()).sum()
    };
    assert_eq!(
        (given(&early), given(&late)),
        (0, 1),
        "who asked before got what was then"
    );
    assert_eq!(given(&search(&place, DEV, &page).await.1), 1);
}

#[tokio::test]
async fn links_and_runs_are_seen_by_the_next_read() {
    let place = Place::new(Kept::Sqlite).await;
    let traces = place.traces(2).await;
    let (session, run) = place.session(&["ann@example.com"], &traces[..1]).await;
    let page = json!({"run_id": run, "max_results": 500, "include_spans": false});
    let ann = place.server.as_user("ann@example.com");
    let count = async || {
        search(&place, "ann@example.com", &page).await.1["traces"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(count().await, 1);
    let dev = place.server.as_user(DEV);
    let links = json!({"mlflow_run_id": run, "trace_ids": traces});
    dev.post_json(&format!("/api/labeling-sessions/{session}/link-traces"), &links)
        .await;
    assert_eq!(count().await, 2, "also what the reviewer reaches is known anew");
    ann.get_json(&format!("/api/traces/{}", traces[1])).await;
    let path = format!("/api/mlflow/runs/{run}");
    assert_eq!(ann.get_json(&path).await["run"]["info"]["status"], "RUNNING");
    let ended = json!({"run_id": run, "status": "FAILED"});
    dev.post_json("/api/mlflow/runs/update", &ended).await;
    assert!(
        ann.get_json(&path).await["run"]["info"]["end_time"].is_i64(),
        "it ended now"
    );
    let update = json!({"run_id": run, "status": "FINISHED", "end_time": 1_795_460_976_829_i64,
        "tags": [{"key": "mlflow.customRenderer", "value": "chat"}]});
    assert_eq!(
        dev.post_json("/api/mlflow/runs/update", &update).await,
        json!({"status": "success"})
    );
    let now = ann.get_json(&path).await;
    assert_eq!(
        (&now["run"]["info"]["status"], &now["run"]["info"]["end_time"]),
        (&json!("FINISHED"), &update["end_time"])
    );
    assert!(
        now["run"]["data"]["tags"]
            .as_array()
            .unwrap()
            .contains(&update["tags"][0])
    );
    let runs = json!({"experiment_ids": [place.experiment]});
    let before = dev.post_json("/api/mlflow/runs/search", &runs).await["runs"]
        .as_array()
        .unwrap()
        .len();
    let new =
        json!({"experiment_id": place.experiment, "tags": {"a": "b"}, "start_time": 1_795_457_376_829_i64});
    let made = dev.post_json("/api/mlflow/runs/create", &new).await;
    assert_eq!(made["run"]["info"]["start_time"], new["start_time"]);
    assert!(
        made["run"]["data"]["tags"]
            .as_array()
            .unwrap()
            .contains(&json!({"key": "a", "value": "b"}))
    );
    let after = dev.post_json("/api/mlflow/runs/search", &runs).await["runs"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(after, before + 1);
    for (path, body, status, field) in [
        (
            "/api/mlflow/runs/update",
            json!({"run_id": "0123456789abcdef0123456789abcdef"}),
            404,
            Value::Null,
        ),
        (
            "/api/mlflow/runs/update",
            json!({"run_id": run, "status": "DONE"}),
            422,
            json!("status"),
        ),
        (
            "/api/mlflow/runs/create",
            json!({"experiment_id": "99999999"}),
            404,
            Value::Null,
        ),
        ("/api/mlflow/runs/create", json!({}), 422, json!("experiment_id")),
    ] {
        let (got, problem) = dev.try_post(path, &body).await;
        assert_eq!(
            (got.as_u16(), &problem["error"]["details"]["field"]),
            (status, &field),
            "{path} {body}"
        );
    }
}

#[tokio::test]
async fn a_label_that_nobody_waits_for_any_more_is_given_all_the_same() {
    let place = Place::new(Kept::Sqlite).await;
    let traces = place.traces(1).await;
    let gate = harness::Gate::default();
    let held = gate.clone();
    place.proxy.rule(move |call| {
        let is_label = call.path.ends_with("/assessments");
        if is_label {
            harness::Fault::Held(held.clone())
        } else {
            harness::Fault::None
        }
    });
    let path = format!("/api/traces/{}", traces[0]);
    let body = json!({"assessment": {"name": "tone", "value": "good"}});
    {
        let dev = place.server.as_user(DEV);
        let mut request = std::pin::pin!(dev.post(&format!("{path}/feedback"), &body).send());
        let is_under_way = place
            .proxy
            .until("the label is under way", |proxy| proxy.count("/assessments") == 1);
        tokio::select! {
            _ = &mut request => panic!("it is held"),
            () = is_under_way => {}
        }
        // Here the one who asked hangs up.
    }
    let dev = place.server.as_user(DEV);
    assert_eq!(labels(&dev.get_json(&path).await).len(), 0);
    gate.open();
    for _ in 0..500 {
        if labels(&dev.get_json(&path).await).len() == 1 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the label was never given, or never seen");
}
