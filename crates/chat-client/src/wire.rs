//! The format in which a model is asked, whoever carries it there.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use serde_json::Value;

use crate::answer::ChatAnswer;
use crate::error::ChatError;
use crate::request::{ChatRequest, Manners};

/// The format, and what one server was seen not to take of it.
#[derive(Debug, Default)]
pub struct Wire {
    learned: Mutex<Manners>,
}

impl Wire {
    /// Asks by `send`, which carries a body there and an answer back. A server that refuses the question (400, 422) is asked
    /// again without what it may not take: a schema for the answer above all. What helped is remembered.
    ///
    /// # Errors
    /// Those of `send`, and [`ChatError::Malformed`].
    pub async fn ask<F>(
        &self,
        request: &ChatRequest,
        send: impl Fn(Value) -> F,
    ) -> Result<ChatAnswer, ChatError>
    where
        F: Future<Output = Result<Bytes, ChatError>>,
    {
        let known = *self.learned();
        let mut manners = known;
        loop {
            match send(manners.body(request)).await {
                Ok(answer) => {
                    if manners != known {
                        *self.learned() = manners;
                    }
                    return ChatAnswer::read(&answer);
                }
                Err(ChatError::Rejected {
                    status: status @ (400 | 422),
                    message,
                }) => match manners.after(&message) {
                    Some(next) => manners = next,
                    None => return Err(ChatError::Rejected { status, message }),
                },
                Err(error) => return Err(error),
            }
        }
    }

    fn learned(&self) -> std::sync::MutexGuard<'_, Manners> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::cell::RefCell;

    fn request() -> ChatRequest {
        ChatRequest {
            model: "m".into(),
            system: "planted-system".into(),
            user: "planted-user".into(),
            schema_name: "thing",
            schema: json!({"type": "object"}),
            max_output_tokens: 7,
        }
    }

    /// Asks a server that refuses with these words whatever they are said of; the bodies it was sent.
    async fn asked(wire: &Wire, refuse: impl Fn(&Value) -> Option<&'static str>) -> (bool, Vec<Value>) {
        let (request, bodies) = (request(), RefCell::new(Vec::new()));
        let answer = wire.ask(&request, |body| {
            let refusal = refuse(&body);
            bodies.borrow_mut().push(body);
            async move {
                match refusal {
                    Some(words) => Err(ChatError::rejected(400, words)),
                    None => Ok(Bytes::from_static(
                        br#"{"choices":[{"message":{"content":"{}"}}]}"#,
                    )),
                }
            }
        });
        let is_answered = answer.await.is_ok();
        (is_answered, bodies.into_inner())
    }

    #[tokio::test]
    async fn a_question_asks_for_the_schema_and_names_no_tools() {
        let (_, bodies) = asked(&Wire::default(), |_| None).await;
        let expected = json!({
            "model": "m",
            "messages": [
                {"role": "system", "content": "planted-system"},
                {"role": "user", "content": "planted-user"},
            ],
            "max_tokens": 7,
            "temperature": 0,
            "response_format": {"type": "json_schema", "json_schema":
                {"name": "thing", "strict": true, "schema": {"type": "object"}}},
        });
        assert_eq!(bodies, [expected]);
    }

    #[tokio::test]
    async fn what_a_server_does_not_take_is_left_out_and_that_is_remembered() {
        let wire = Wire::default();
        let refuse = |body: &Value| {
            let refused = [
                ("response_format", "json_schema is not supported"),
                ("max_tokens", "use 'max_completion_tokens' instead"),
                ("temperature", "'temperature' does not support 0"),
            ];
            refused
                .iter()
                .find(|(name, _)| !body[name].is_null())
                .map(|(_, words)| *words)
        };
        let (is_answered, bodies) = asked(&wire, refuse).await;
        assert!(is_answered && bodies.len() == 4, "{bodies:?}");
        assert_eq!(bodies[3]["max_completion_tokens"], 7);
        let (is_answered, bodies) = asked(&wire, refuse).await;
        assert!(is_answered && bodies.len() == 1, "{bodies:?}");
    }

    #[tokio::test]
    async fn a_question_that_is_refused_for_itself_teaches_nothing() {
        let wire = Wire::default();
        let (is_answered, bodies) = asked(&wire, |_| Some("the question is too long")).await;
        assert!(!is_answered);
        assert_eq!(bodies.len(), 2);
        let (_, bodies) = asked(&wire, |_| None).await;
        assert!(!bodies[0]["response_format"].is_null());
    }

    #[test]
    fn a_question_is_not_shown() {
        assert!(!format!("{:?}", request()).contains("planted"));
    }
}
