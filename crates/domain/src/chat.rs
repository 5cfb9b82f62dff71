//! What agents and chat models are given and give, in the forms of those who make them: `OpenAI`, Anthropic, `LangChain`.

use serde_json::Value;

/// The messages of a conversation: under `messages` or `input`, or the list itself.
pub fn messages(inputs: &Value) -> Option<&[Value]> {
    let messages = inputs
        .get("messages")
        .or_else(|| inputs.get("input"))
        .unwrap_or(inputs);
    messages.as_array().map(Vec::as_slice)
}

/// Whether a message is of the user.
pub fn is_of_user(message: &Value) -> bool {
    has_role(message, "user", "human")
}

/// Whether a message is of the agent, or its model.
pub fn is_of_assistant(message: &Value) -> bool {
    has_role(message, "assistant", "ai")
}

fn has_role(message: &Value, role: &str, kind: &str) -> bool {
    let is = |key: &str, word: &str| message.get(key).and_then(Value::as_str) == Some(word);
    is("role", role) || is("type", kind)
}

/// What the user said last.
pub fn request(inputs: &Value) -> Option<String> {
    let last = messages(inputs)?
        .iter()
        .rev()
        .find(|message| is_of_user(message))?;
    content(last.get("content")?)
}

/// What was answered: the first choice of a model, what it generated, or a text.
pub fn response(outputs: &Value) -> Option<String> {
    ["/choices/0/message/content", "/generations/0/0/text", "/text"]
        .iter()
        .find_map(|pointer| outputs.pointer(pointer).and_then(content))
}

/// A message's content: text, or a list of parts of which the text ones count. Nothing is none.
pub fn content(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let text = |part: &Value| part.get("text").and_then(Value::as_str).map(str::to_owned);
            parts.iter().filter_map(text).collect::<Vec<_>>().join(" ")
        }
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}
