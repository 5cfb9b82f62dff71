//! Each user asks MLflow with a token of their own: what one was shown is never another's, by any way to a trace.

use std::collections::HashMap;

use harness::{Call, Fault, Proxy, TraceServer, Upstream};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

/// Two who see different traces, and one who sees none.
const ANN: (&str, &str) = ("ann@example.com", "planted-token-of-ann");
const BOB: (&str, &str) = ("bob@example.com", "planted-token-of-bob");
const EVE: (&str, &str) = ("eve@example.com", "planted-token-that-is-no-good");

const FORBIDDEN: &str = r#"{"error_code":"PERMISSION_DENIED","message":"planted words of the server"}"#;

/// A real MLflow behind what a gateway with rights of users would do: Ann sees all but what is Bob's, Bob sees his own.
async fn with_rights() -> (Upstream, Proxy, TraceServer) {
    let upstream = Upstream::v3();
    let proxy = Proxy::before(&upstream.url).await;
    let (of_ann, of_bob) = (
        upstream.trace("rag").to_owned(),
        upstream.trace("assessments").to_owned(),
    );
    proxy.rule(move |call: &Call| {
        let named = format!("{}{}", call.path, String::from_utf8_lossy(&call.body));
        let token = call
            .headers
            .get("authorization")
            .map(|value| value.as_bytes().to_vec());
        let is_of = |user: (&str, &str)| token == Some(format!("Bearer {}", user.1).into_bytes());
        if is_of(ANN) && !named.contains(&of_bob) || is_of(BOB) && !named.contains(&of_ann) {
            Fault::None
        } else if is_of(ANN) || is_of(BOB) {
            Fault::Status(403, vec![("content-type", "application/json")], FORBIDDEN)
        } else {
            Fault::Status(401, vec![("content-type", "application/json")], "{}")
        }
    });
    let settings = [
        ("MLFLOW_TRACKING_URI", proxy.url.as_str()),
        ("MLFLOW_EXPERIMENT_ID", upstream.seed.experiment_id.as_str()),
        ("TRACE_SERVER_AUTH", "user"),
        ("TRACE_SERVER_TRUST_PROXY", "true"),
        ("DEVELOPERS", "ann@example.com,bob@example.com,eve@example.com"),
    ];
    let server = TraceServer::with(&settings).await;
    (upstream, proxy, server)
}

fn asked(server: &TraceServer, user: (&str, &str), method: Method, path: &str) -> RequestBuilder {
    let request = server.request(method, path).header("x-forwarded-email", user.0);
    request.header("x-forwarded-access-token", user.1)
}

async fn get(server: &TraceServer, user: (&str, &str), path: &str) -> Response {
    asked(server, user, Method::GET, path).send().await.unwrap()
}

/// All ways to one trace.
fn ways(trace: &str) -> Vec<String> {
    ["", "/data", "/spans", "/spans?view=summary", "/spans/stream"]
        .iter()
        .flat_map(|rest| ["/api/traces", "/api/mlflow/traces"].map(|base| format!("{base}/{trace}{rest}")))
        .collect()
}

#[tokio::test]
async fn each_sees_what_mlflow_shows_them_and_nothing_that_was_kept_for_another() {
    let (upstream, _, server) = with_rights().await;
    let (of_ann, of_bob) = (upstream.trace("rag"), upstream.trace("assessments"));
    let mut etags = HashMap::new();
    // Twice: what is refused is not kept as an answer, and what is kept is not for those who are refused.
    for _ in 0..2 {
        for (owner, other, trace) in [(ANN, BOB, of_ann), (BOB, ANN, of_bob)] {
            for path in ways(trace) {
                let answer = get(&server, owner, &path).await;
                if answer.status() == StatusCode::NOT_FOUND {
                    continue;
                }
                assert_eq!(answer.status(), 200, "{path}");
                if let Some(etag) = answer.headers().get("etag") {
                    etags.insert(path.clone(), etag.clone());
                }
                assert!(answer.text().await.unwrap().contains(trace), "{path}");
                let refused = get(&server, other, &path).await;
                assert_eq!(refused.status(), 403, "{path}");
                let problem = refused.text().await.unwrap();
                assert!(!problem.contains("planted"), "{problem}");
                let nobody = get(&server, EVE, &path).await;
                assert_eq!(nobody.status(), 401, "{path}");
                if let Some(etag) = etags.get(&path) {
                    let known = asked(&server, other, Method::GET, &path).header("if-none-match", etag);
                    assert_eq!(known.send().await.unwrap().status(), 403, "{path}");
                }
            }
            let batch =
                asked(&server, other, Method::POST, "/api/traces/batch").json(&json!({"trace_ids": [trace]}));
            let batch = batch.send().await.unwrap().text().await.unwrap();
            assert!(!batch.contains("trace_metadata"), "{batch}");
        }
    }
    assert!(!etags.is_empty());
}

#[tokio::test]
async fn analyses_are_made_and_told_with_each_ones_own_token() {
    let (upstream, proxy, server) = with_rights().await;
    let experiment = upstream.seed.other_experiment_id.clone();
    let of_ann = format!("Bearer {}", ANN.1).into_bytes();
    // Bob may not see this experiment.
    let named = experiment.clone();
    proxy.rule(move |call: &Call| {
        let token = call
            .headers
            .get("authorization")
            .map(reqwest::header::HeaderValue::as_bytes);
        let is_told = call.path.contains(&format!("experiment_id={named}"))
            || String::from_utf8_lossy(&call.body).contains(&format!("\"{named}\""));
        if is_told && token != Some(of_ann.as_slice()) {
            Fault::Status(403, vec![("content-type", "application/json")], FORBIDDEN)
        } else {
            Fault::None
        }
    });
    let trigger = "/api/experiment-summary/trigger-analysis";
    let body = json!({"experiment_id": experiment, "trace_sample_size": 3});
    let begun = asked(&server, ANN, Method::POST, trigger)
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(begun.status(), 202);
    let status = format!("/api/experiment-summary/status/{experiment}");
    let told = get(&server, ANN, &format!("{status}/stream"))
        .await
        .text()
        .await
        .unwrap();
    assert!(told.contains("\"status\":\"completed\""), "{told}");
    let ways = [
        status.clone(),
        format!("{status}/stream"),
        format!("/api/experiment-summary/{experiment}"),
        format!("/api/traces/analyze-patterns?limit=3&experiment_id={experiment}"),
    ];
    for path in &ways {
        assert_eq!(get(&server, ANN, path).await.status(), 200, "{path}");
        let refused = get(&server, BOB, path).await;
        assert_eq!(refused.status(), 403, "{path}");
        assert!(!refused.text().await.unwrap().contains("planted"), "{path}");
    }
    for (method, path) in [(Method::POST, trigger), (Method::DELETE, status.as_str())] {
        let refused = asked(&server, BOB, method.clone(), path)
            .json(&body)
            .send()
            .await
            .unwrap();
        assert_eq!(refused.status(), 403, "{method} {path}");
    }
    // All that was asked and written for her was so in her name.
    let is_hers =
        |call: &Call| call.headers["authorization"].as_bytes() == format!("Bearer {}", ANN.1).as_bytes();
    let written: Vec<_> = proxy
        .calls()
        .into_iter()
        .filter(|call| call.path.contains("mlflow-artifacts"))
        .collect();
    assert!(written.len() >= 2 && written.iter().all(is_hers));
}

#[tokio::test]
async fn the_same_name_with_another_token_is_another_view() {
    let (upstream, proxy, server) = with_rights().await;
    let path = format!("/api/traces/{}", upstream.trace("rag"));
    assert_eq!(get(&server, ANN, &path).await.status(), 200);
    // Whoever vouches for names may be wrong; MLflow judges the token.
    assert_eq!(get(&server, (ANN.0, BOB.1), &path).await.status(), 403);
    assert_eq!(get(&server, (ANN.0, EVE.1), &path).await.status(), 401);
    let before = proxy.calls().len();
    assert_eq!(get(&server, ANN, &path).await.headers()["x-cache"], "hit");
    assert_eq!(proxy.calls().len(), before);
}

#[tokio::test]
async fn equal_requests_of_two_users_at_once_are_two_calls() {
    let (upstream, proxy, server) = with_rights().await;
    let path = format!("/api/mlflow/runs/{}", upstream.seed.run_id);
    let of = |user| asked(&server, user, Method::GET, &path).send();
    let answers = futures::future::join_all([of(ANN), of(BOB), of(ANN), of(BOB), of(EVE)]).await;
    let statuses: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.unwrap().status().as_u16())
        .collect();
    assert_eq!(statuses, [200, 200, 200, 200, 401]);
    let tokens: Vec<_> = proxy
        .calls()
        .iter()
        .map(|call| call.headers["authorization"].clone())
        .collect();
    for user in [ANN, BOB, EVE] {
        let own = tokens
            .iter()
            .filter(|token| token.as_bytes().ends_with(user.1.as_bytes()));
        assert_eq!(own.count(), 1, "{}: {tokens:?}", user.0);
    }
}

#[tokio::test]
async fn what_is_written_is_written_in_the_users_own_name() {
    let (upstream, proxy, server) = with_rights().await;
    let path = format!("/api/traces/{}/feedback", upstream.trace("assessments"));
    let body = json!({"assessment": {"name": "trust_own_name", "value": "yes"}});
    let by = |user| asked(&server, user, Method::POST, &path).json(&body).send();
    assert_eq!(by(ANN).await.unwrap().status(), 403);
    assert_eq!(by(EVE).await.unwrap().status(), 401);
    let given: Value = by(BOB).await.unwrap().json().await.unwrap();
    assert_eq!(given["success"], true, "{given}");
    let wrote = proxy
        .calls()
        .into_iter()
        .rfind(|call| call.path.contains("assessments"))
        .unwrap();
    assert!(
        wrote.headers["authorization"]
            .as_bytes()
            .ends_with(BOB.1.as_bytes())
    );
}

#[tokio::test]
async fn who_comes_without_a_token_is_nobody_and_no_token_gets_out() {
    let (upstream, _, server) = with_rights().await;
    let path = format!("/api/traces/{}", upstream.trace("rag"));
    let without = server
        .request(Method::GET, &path)
        .header("x-forwarded-email", ANN.0)
        .send()
        .await
        .unwrap();
    assert_eq!(without.status(), 401);
    let twice = asked(&server, ANN, Method::GET, &path).header("x-forwarded-access-token", BOB.1);
    assert_eq!(twice.send().await.unwrap().status(), 401);
    let unnamed = server
        .request(Method::GET, &path)
        .header("x-forwarded-access-token", ANN.1)
        .send()
        .await
        .unwrap();
    assert_eq!(unnamed.status(), 401);
    let unreadable = asked(&server, (ANN.0, "two words\u{e9}"), Method::GET, &path)
        .send()
        .await
        .unwrap();
    assert_eq!(unreadable.status(), 401);
    for user in [ANN, EVE] {
        get(&server, user, &path).await;
    }
    let log = server.log().await.join("\n");
    assert!(!log.contains("planted"), "{log}");
}

#[tokio::test]
async fn users_of_no_proxy_and_of_no_server_are_refused_at_the_start() {
    let upstream = Upstream::v3();
    let (said, status) = TraceServer::refused(&[
        ("MLFLOW_TRACKING_URI", &upstream.url),
        ("TRACE_SERVER_AUTH", "user"),
    ])
    .await;
    assert!(
        !status.success() && said.contains("TRACE_SERVER_TRUST_PROXY"),
        "{said}"
    );
    let settings = [
        ("MLFLOW_TRACKING_URI", upstream.store.as_str()),
        ("TRACE_SERVER_AUTH", "user"),
        ("TRACE_SERVER_TRUST_PROXY", "true"),
    ];
    let (said, status) = TraceServer::refused(&settings).await;
    assert!(
        !status.success() && said.contains("MLFLOW_TRACKING_URI names a database"),
        "{said}"
    );
}
