//! A question, and its body on the wire.

use serde_json::{Value, json};

/// A question for a model.
#[derive(Clone)]
pub struct ChatRequest {
    /// The model's name, as its server knows it.
    pub model: String,
    /// What is asked of it.
    pub system: String,
    /// What it is asked about.
    pub user: String,
    /// The name of the answer's schema: letters, digits, `_` and `-`.
    pub schema_name: &'static str,
    /// The JSON schema that the answer must follow, as OpenAI's strict mode takes it: every property required, no others.
    pub schema: Value,
    /// The longest answer, in tokens.
    pub max_output_tokens: u32,
}

impl std::fmt::Debug for ChatRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatRequest")
            .field("model", &self.model)
            .field("system_bytes", &self.system.len())
            .field("user_bytes", &self.user.len())
            .field("schema_name", &self.schema_name)
            .field("max_output_tokens", &self.max_output_tokens)
            .finish_non_exhaustive()
    }
}

/// What of the format a server does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Manners {
    /// `response_format`: older servers, and some models behind serving endpoints.
    pub(crate) without_format: bool,
    /// `max_tokens`, which newer models of OpenAI know as `max_completion_tokens` alone.
    pub(crate) new_limit: bool,
    /// `temperature`, which models that reason do not take.
    pub(crate) without_temperature: bool,
}

impl Manners {
    /// What to leave out next, for a server that refused with these words; `None` when there is nothing more.
    pub(crate) fn after(self, refusal: &str) -> Option<Self> {
        if !self.new_limit && refusal.contains("max_completion_tokens") {
            return Some(Self {
                new_limit: true,
                ..self
            });
        }
        if !self.without_temperature && refusal.contains("temperature") {
            return Some(Self {
                without_temperature: true,
                ..self
            });
        }
        (!self.without_format).then_some(Self {
            without_format: true,
            ..self
        })
    }

    /// The question's body.
    pub(crate) fn body(self, request: &ChatRequest) -> Value {
        let mut body = json!({
            "model": request.model,
            "messages": [
                {"role": "system", "content": request.system},
                {"role": "user", "content": request.user},
            ],
        });
        let limit = if self.new_limit {
            "max_completion_tokens"
        } else {
            "max_tokens"
        };
        body[limit] = request.max_output_tokens.into();
        if !self.without_temperature {
            body["temperature"] = 0.into();
        }
        if !self.without_format {
            let schema = json!({"name": request.schema_name, "strict": true, "schema": request.schema});
            body["response_format"] = json!({"type": "json_schema", "json_schema": schema});
        }
        body
    }
}
