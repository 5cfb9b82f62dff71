//! What is particular to a workspace that keeps the reviews: its pages, its troubles, its permissions.

use harness::Fault;
use http::StatusCode;
use serde_json::json;

use crate::place::{DEV, Kept, Place};

#[tokio::test]
async fn trouble_of_the_workspace_is_told_with_a_hint_when_to_come_back() {
    let place = Place::new(Kept::Workspace).await;
    let traces = place.traces(1).await;
    let (session, _) = place.session(&["ann@example.com"], &traces).await;
    let path = format!("/api/labeling-sessions/{session}/items");
    let dev = place.server.as_user(DEV);
    for (fault, status, code) in [
        (
            Fault::Status(429, vec![("retry-after", "30")], "{}"),
            429,
            "RATE_LIMITED",
        ),
        (
            Fault::Status(503, vec![("retry-after", "30")], "{}"),
            503,
            "UPSTREAM_UNAVAILABLE",
        ),
        (Fault::Status(401, vec![], "{}"), 502, "UPSTREAM_ERROR"),
        (
            Fault::Status(
                403,
                vec![],
                r#"{"error_code":"PERMISSION_DENIED","message":"sql secrets"}"#,
            ),
            502,
            "UPSTREAM_ERROR",
        ),
        (
            Fault::Status(200, vec![("content-type", "text/html")], "<html>login</html>"),
            502,
            "UPSTREAM_ERROR",
        ),
        (
            Fault::Status(200, vec![], r#"{"items": 7}"#),
            502,
            "UPSTREAM_ERROR",
        ),
    ] {
        place.proxy.rule(move |call| {
            let is_meant = call.path.contains("/items");
            if is_meant { fault.clone() } else { Fault::None }
        });
        let answer = dev.get(&path).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        let has_hint = answer.headers().contains_key("retry-after");
        assert_eq!(has_hint, matches!(status, 429 | 503), "{status}");
        let problem = answer.text().await.unwrap();
        assert!(
            problem.contains(code) && !problem.contains("sql secrets"),
            "{problem}"
        );
    }
    place.proxy.rule(|_| Fault::None);
    assert_eq!(place.items(&session).await.len(), 1);
}

#[tokio::test]
async fn a_passing_trouble_is_passed_over_but_nothing_is_made_twice() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let place = Place::new(Kept::Workspace).await;
    let traces = place.traces(3).await;
    let (session, run) = place.session(&["ann@example.com"], &[]).await;
    // Each read and each link fails once; making items fails after it was done.
    let failed = AtomicUsize::new(0);
    place.proxy.rule(move |call| {
        let is_once = call.path.contains("link-to-run") && failed.fetch_add(1, Ordering::SeqCst) == 0;
        if is_once {
            Fault::Status(503, vec![], "{}")
        } else {
            Fault::None
        }
    });
    let links = json!({"mlflow_run_id": run, "trace_ids": traces});
    let path = format!("/api/labeling-sessions/{session}/link-traces");
    let dev = place.server.as_user(DEV);
    assert_eq!(dev.post_json(&path, &links).await["items_created"], 3);
    assert_eq!(place.proxy.count("link-to-run"), 2);
    // The stand-in, as nothing says that the workspace does not, makes an item as often as it is asked.
    let both = futures::future::join_all([dev.post_json(&path, &links), dev.post_json(&path, &links)]).await;
    assert!(both.iter().all(|answer| answer["items_created"] == 0));
    assert_eq!(place.items(&session).await.len(), 3);
}

#[tokio::test]
async fn sessions_of_many_pages_are_all_looked_through() {
    let place = Place::new(Kept::Workspace).await;
    let traces = place.traces(1).await;
    for _ in 0..4 {
        place.session(&["bob@example.com"], &[]).await;
    }
    let (mine, _) = place.session(&["ann@example.com"], &traces).await;
    let ann = place.server.as_user("ann@example.com");
    // Hers is alone on the last page: the ones before are passed over.
    let page = ann.get_json("/api/labeling-sessions?page_size=2").await;
    assert_eq!(page["labeling_sessions"][0]["labeling_session_id"], mine);
    assert_eq!(page["labeling_sessions"].as_array().unwrap().len(), 1);
    let (status, _) = ann.try_get(&format!("/api/traces/{}", traces[0])).await;
    assert_ne!(status, StatusCode::FORBIDDEN);
    let calls = place.proxy.calls();
    let asked = calls.iter().filter(|call| call.path.contains("managed-evals"));
    assert!(
        asked
            .into_iter()
            .all(|call| call.headers.contains_key("authorization"))
    );
}
