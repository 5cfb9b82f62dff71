//! A small OpenAI-compatible server: answers each question as a test says, and remembers what was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::faults::Call;
use crate::proxy::serve;

/// What a model answers.
#[derive(Debug, Clone)]
pub enum ChatReply {
    /// This text.
    Says(String),
    /// This text, as a list of parts.
    SaysInParts(Vec<String>),
    /// This status, these headers and this body.
    Status(u16, Vec<(&'static str, &'static str)>, String),
    /// Nothing, for as long as it is waited for.
    Hangs,
}

impl ChatReply {
    /// A text that is this JSON.
    pub fn json(value: &Value) -> Self {
        Self::Says(value.to_string())
    }

    /// This JSON as models often write it: in a fence of code, with words around it.
    pub fn fenced(value: &Value) -> Self {
        Self::Says(format!("Here it is:\n```json\n{value:#}\n```\nI hope it helps."))
    }

    /// What OpenAI says of a request that it refuses.
    pub fn refusal(message: &str) -> Self {
        let body = json!({"error": {"message": message, "type": "invalid_request_error"}});
        Self::Status(400, Vec::new(), body.to_string())
    }

    /// A status without words.
    pub fn status(status: u16) -> Self {
        Self::Status(status, Vec::new(), String::new())
    }

    async fn respond(self, model: &Value) -> Response {
        match self {
            Self::Says(text) => completion(model, &json!(text)),
            Self::SaysInParts(texts) => {
                let part = |text| json!({"type": "text", "text": text});
                completion(model, &texts.into_iter().map(part).collect())
            }
            Self::Status(status, headers, body) => {
                let status = StatusCode::from_u16(status).expect("a test names real statuses");
                let mut response = (status, body).into_response();
                for (name, value) in headers {
                    let name = HeaderName::from_static(name);
                    response
                        .headers_mut()
                        .insert(name, HeaderValue::from_static(value));
                }
                response
            }
            Self::Hangs => std::future::pending().await,
        }
    }
}

/// A completion as OpenAI documents it; it cost 100 tokens and 20.
fn completion(model: &Value, content: &Value) -> Response {
    Json(json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
        "choices": [{
            "index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": content, "refusal": null},
        }],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }))
    .into_response()
}

/// A question that came.
#[derive(Debug, Clone)]
pub struct ChatCall {
    /// Its path and query.
    pub path: String,
    /// Its `Authorization`.
    pub authorization: Option<String>,
    /// Its body.
    pub body: Value,
}

impl ChatCall {
    /// The text of its message of this role.
    pub fn message(&self, role: &str) -> &str {
        let messages = self.body["messages"].as_array().expect("it has messages");
        let of_role = messages.iter().find(|message| message["role"] == role);
        of_role
            .and_then(|message| message["content"].as_str())
            .expect("it has one of each role")
    }
}

type Rule = Box<dyn Fn(&ChatCall) -> ChatReply + Send + Sync>;

/// What a model is to answer, and what it was asked.
#[derive(Default)]
pub(crate) struct Script {
    answers: Mutex<VecDeque<ChatReply>>,
    rule: Mutex<Option<Rule>>,
    calls: Mutex<Vec<ChatCall>>,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script").finish_non_exhaustive()
    }
}

impl Script {
    pub(crate) fn answers(&self, answers: Vec<ChatReply>) {
        *self.answers.lock().expect("nobody panicked") = answers.into();
    }

    pub(crate) fn set_rule(&self, rule: impl Fn(&ChatCall) -> ChatReply + Send + Sync + 'static) {
        *self.rule.lock().expect("no test panicked in a rule") = Some(Box::new(rule));
    }

    pub(crate) fn calls(&self) -> Vec<ChatCall> {
        self.calls.lock().expect("nobody panicked").clone()
    }

    pub(crate) async fn respond(&self, request: Request) -> Response {
        let call = Call::read(request).await;
        let authorization = call.headers.get(http::header::AUTHORIZATION);
        let call = ChatCall {
            path: call.path,
            authorization: authorization.map(|value| value.to_str().expect("it is text").to_owned()),
            body: serde_json::from_slice(&call.body).expect("a question is JSON"),
        };
        self.calls.lock().expect("nobody panicked").push(call.clone());
        let reply = self.reply(&call);
        reply.respond(&call.body["model"]).await
    }

    /// The next answer that was told, else what the rule says.
    fn reply(&self, call: &ChatCall) -> ChatReply {
        let next = self.answers.lock().expect("nobody panicked").pop_front();
        next.unwrap_or_else(|| {
            let rule = self.rule.lock().expect("no test panicked in a rule");
            let none_left = || ChatReply::Status(500, Vec::new(), "no answer is left".to_owned());
            rule.as_ref().map_or_else(none_left, |rule| rule(call))
        })
    }
}

/// The server. Runs until the test ends.
#[derive(Debug, Clone)]
pub struct ChatServer {
    url: String,
    script: Arc<Script>,
}

impl ChatServer {
    /// A server that answers 500 until it is told what to answer.
    pub async fn start() -> Self {
        let script = Arc::new(Script::default());
        let router = Router::new()
            .route("/v1/chat/completions", post(complete))
            .with_state(Arc::clone(&script));
        let url = format!("{}/v1", serve(router).await);
        Self { url, script }
    }

    /// Its address, as `OPENAI_BASE_URL` takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Gives these answers, one after the other; then what the rule says, or 500 where there is none.
    pub fn answers(&self, answers: Vec<ChatReply>) {
        self.script.answers(answers);
    }

    /// Answers whatever this says, once the answers that were told are given.
    pub fn rule(&self, rule: impl Fn(&ChatCall) -> ChatReply + Send + Sync + 'static) {
        self.script.set_rule(rule);
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<ChatCall> {
        self.script.calls()
    }
}

async fn complete(State(script): State<Arc<Script>>, request: Request) -> Response {
    script.respond(request).await
}
