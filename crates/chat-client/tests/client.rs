//! The client against a small OpenAI-compatible server that does what such servers do.

#![expect(clippy::unwrap_used, reason = "a test's way to fail")]

use std::time::{Duration, Instant};

use calls::Calls;
use chat_client::{ChatAnswer, ChatClient, ChatConfig, ChatError, ChatRequest, Usage};
use harness::{ChatReply, ChatServer};
use serde_json::{Value, json};

const KEY: &str = "planted-chat-key";

fn client(url: &str, timeout: Duration) -> ChatClient {
    ChatClient::new(ChatConfig {
        base_url: url.parse().unwrap(),
        api_key: Some(KEY.into()),
        connect_timeout: Duration::from_secs(1),
        timeout,
        calls: Calls::default(),
    })
    .unwrap()
}

fn request() -> ChatRequest {
    ChatRequest {
        model: "small-model".into(),
        system: "Answer.".into(),
        user: "planted-question".into(),
        schema_name: "thing",
        schema: json!({"type": "object"}),
        max_output_tokens: 50,
    }
}

/// Asks once a server that gives these answers; what came of it, and how often it was asked.
async fn asked(answers: Vec<ChatReply>, timeout: Duration) -> (Result<ChatAnswer, ChatError>, usize) {
    let server = ChatServer::start().await;
    server.answers(answers);
    let answer = client(server.url(), timeout).complete(&request()).await;
    if let Err(error) = &answer {
        let told = format!("{error} {error:?}");
        let host = server.url().trim_start_matches("http://");
        assert!(!told.contains(KEY) && !told.contains(host), "{told}");
        assert!(!error.to_string().contains("planted"), "{told}");
    }
    (answer, server.requests().len())
}

const LONG: Duration = Duration::from_secs(30);

fn says(text: &str) -> ChatReply {
    ChatReply::Says(text.into())
}

#[tokio::test]
async fn a_model_is_asked_with_the_key_and_its_answer_read_with_what_it_cost() {
    let server = ChatServer::start().await;
    server.answers(vec![
        says("yes"),
        ChatReply::SaysInParts(vec!["y".into(), "es".into()]),
    ]);
    let client = client(server.url(), LONG);
    let usage = Usage {
        prompt_tokens: 100,
        completion_tokens: 20,
    };
    for _ in 0..2 {
        let answer = client.complete(&request()).await.unwrap();
        assert_eq!((answer.content.as_str(), answer.usage), ("yes", Some(usage)));
    }
    let call = &server.requests()[0];
    assert_eq!(call.path, "/v1/chat/completions");
    assert_eq!(call.authorization.as_deref(), Some("Bearer planted-chat-key"));
    assert_eq!(call.message("user"), "planted-question");
    assert_eq!(call.body["model"], "small-model");
}

#[tokio::test]
async fn a_server_that_is_busy_or_broken_is_asked_three_times_and_not_more() {
    let busy = || ChatReply::Status(429, vec![("retry-after", "1")], String::new());
    let began = Instant::now();
    let (answer, calls) = asked(vec![busy(), says("yes")], LONG).await;
    assert!(answer.is_ok() && calls == 2);
    assert!(began.elapsed() >= Duration::from_secs(1), "as the server asks");

    let (answer, calls) = asked(
        vec![ChatReply::status(500), ChatReply::status(502), says("yes")],
        LONG,
    )
    .await;
    assert!(answer.is_ok() && calls == 3);
    let (answer, calls) = asked(vec![ChatReply::status(503); 4], LONG).await;
    assert!(
        matches!(answer, Err(ChatError::Unavailable { status: 503, .. })),
        "{answer:?}"
    );
    assert_eq!(calls, 3);
}

#[tokio::test]
async fn a_pause_that_is_too_long_is_passed_on() {
    let (answer, calls) = asked(
        vec![ChatReply::Status(
            429,
            vec![("retry-after", "600")],
            String::new(),
        )],
        LONG,
    )
    .await;
    assert_eq!(answer.unwrap_err().retry_after(), Some(Duration::from_mins(10)));
    assert_eq!(calls, 1);
}

#[tokio::test]
async fn one_answer_that_never_comes_leaves_time_for_another_and_all_have_an_end() {
    let (answer, calls) = asked(vec![ChatReply::Hangs, says("yes")], Duration::from_secs(4)).await;
    assert!(answer.is_ok() && calls == 2, "{answer:?}");
    let began = Instant::now();
    let limit = Duration::from_millis(600);
    let (answer, _) = asked(vec![ChatReply::Hangs; 3], limit).await;
    assert!(
        matches!(answer, Err(ChatError::Timeout { limit: told }) if told == limit),
        "{answer:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_server_that_takes_no_schema_is_asked_without_from_then_on() {
    let server = ChatServer::start().await;
    server.rule(|call| match &call.body["response_format"] {
        Value::Null => says("yes"),
        _ => ChatReply::refusal("response_format is not supported"),
    });
    let client = client(server.url(), LONG);
    for calls in [2, 3] {
        client.complete(&request()).await.unwrap();
        assert_eq!(server.requests().len(), calls);
    }
}

#[tokio::test]
async fn what_will_not_pass_is_told_by_meaning_and_asked_once() {
    let quoting = format!(r#"{{"error":{{"message":"planted {}"}}}}"#, "é".repeat(9000));
    let redirect = ChatReply::Status(307, vec![("location", "http://127.0.0.1:1/")], String::new());
    for (reply, calls, is_it) in [
        (
            ChatReply::status(401),
            1,
            (|e| matches!(e, ChatError::Unauthorized)) as fn(&ChatError) -> bool,
        ),
        (ChatReply::status(403), 1, |e| {
            matches!(e, ChatError::Unauthorized)
        }),
        (
            ChatReply::Status(404, vec![], quoting),
            1,
            |e| matches!(e, ChatError::Rejected { status: 404, message } if message.chars().count() <= 500),
        ),
        (redirect, 1, |e| {
            matches!(e, ChatError::Rejected { status: 307, .. })
        }),
        (ChatReply::Status(200, vec![], "<html>".into()), 1, |e| {
            matches!(e, ChatError::Malformed { .. })
        }),
        (ChatReply::Says("x".repeat(2 << 20)), 1, |e| {
            matches!(e, ChatError::TooLarge { .. })
        }),
    ] {
        let (answer, count) = asked(vec![reply], LONG).await;
        let error = answer.unwrap_err();
        assert!(is_it(&error), "{error:?}");
        assert_eq!(count, calls, "{error:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_told_without_saying_where() {
    let nobody = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let error = client(&format!("http://{address}/v1"), LONG)
        .complete(&request())
        .await
        .unwrap_err();
    assert!(
        matches!(error, ChatError::Unreachable { is_connect: true, .. }),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains(&address));
}
