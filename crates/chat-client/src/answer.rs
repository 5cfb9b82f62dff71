//! An answer, as OpenAI-compatible servers write it.

use serde::Deserialize;

use crate::error::ChatError;

/// What a model answered. Nothing of it is to be trusted: it was told things by whoever wrote the data.
#[derive(Clone, PartialEq, Eq)]
pub struct ChatAnswer {
    /// Its text.
    pub content: String,
    /// What it cost, where the server says it.
    pub usage: Option<Usage>,
    /// Why it ended: `stop`, `length` when it is cut.
    pub finish_reason: Option<String>,
}

impl std::fmt::Debug for ChatAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatAnswer")
            .field("content_bytes", &self.content.len())
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}

/// What a question and its answer cost, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub struct Usage {
    /// Of the question.
    pub prompt_tokens: u64,
    /// Of the answer.
    #[serde(default)]
    pub completion_tokens: u64,
}

#[derive(Deserialize)]
struct Body {
    choices: Vec<Choice>,
    /// Read apart: an odd one makes no answer unreadable.
    #[serde(default)]
    usage: serde_json::Value,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    #[serde(default)]
    finish_reason: serde_json::Value,
}

#[derive(Deserialize)]
struct Message {
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A part of an answer; those that are no text (a model's reasoning) have none here.
#[derive(Deserialize)]
struct Part {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
}

impl Content {
    fn into_text(self) -> String {
        let parts = match self {
            Self::Text(text) => return text,
            Self::Parts(parts) => parts,
        };
        let texts = parts.into_iter().filter(|part| part.kind == "text");
        texts.filter_map(|part| part.text).collect()
    }
}

impl ChatAnswer {
    /// Reads an answer's body: of its first choice the text, or the parts that are text.
    pub(crate) fn read(body: &[u8]) -> Result<Self, ChatError> {
        let body: Body =
            serde_json::from_slice(body).map_err(|_| ChatError::malformed("no chat completion"))?;
        let choice = body.choices.into_iter().next();
        let choice = choice.ok_or(ChatError::malformed("no choice"))?;
        let content = choice.message.content.map(Content::into_text).unwrap_or_default();
        if content.trim().is_empty() {
            return Err(ChatError::malformed("no text"));
        }
        Ok(Self {
            content,
            usage: Usage::deserialize(body.usage).ok(),
            finish_reason: choice.finish_reason.as_str().map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read(body: &Value) -> Result<ChatAnswer, ChatError> {
        ChatAnswer::read(body.to_string().as_bytes())
    }

    #[test]
    fn an_answer_may_be_a_text_or_parts_of_which_the_text_is_taken() {
        let body = |content: Value| {
            json!({
                "choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
            })
        };
        let expected = ChatAnswer {
            content: "{\"a\":1}".into(),
            usage: Some(Usage {
                prompt_tokens: 3,
                completion_tokens: 4,
            }),
            finish_reason: Some("stop".into()),
        };
        assert_eq!(read(&body(json!("{\"a\":1}"))).unwrap(), expected);
        let parts = json!([
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "text": "hm"},
            {"type": "text", "text": "{\"a\":"},
            {"type": "text", "text": "1}"},
        ]);
        assert_eq!(read(&body(parts)).unwrap(), expected);
    }

    #[test]
    fn what_says_nothing_is_no_answer() {
        for body in [
            json!({}),
            json!({"choices": []}),
            json!({"choices": [{"message": {"content": null, "refusal": "no"}}]}),
            json!({"choices": [{"message": {"content": " \n"}}]}),
            json!({"choices": [{"message": {"content": []}}]}),
            json!({"error": {"message": "planted"}}),
        ] {
            let error = read(&body).unwrap_err();
            assert!(matches!(error, ChatError::Malformed { .. }), "{body}");
            assert!(!error.to_string().contains("planted"));
        }
    }

    #[test]
    fn odd_usage_costs_no_answer() {
        for usage in [
            json!(null),
            json!("many"),
            json!({"prompt_tokens": -1}),
            json!([]),
        ] {
            let body = json!({"choices": [{"message": {"content": "x"}}], "usage": usage});
            assert_eq!(read(&body).unwrap().usage, None);
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_through_and_any_bytes_are_read_without_a_panic(
            text in "\\PC*[a-z]\\PC*",
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let body = json!({"choices": [{"message": {"content": text}}]});
            prop_assert_eq!(read(&body).unwrap().content, text);
            let _ = ChatAnswer::read(&bytes);
        }
    }
}
