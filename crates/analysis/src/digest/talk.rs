//! What was said: by whom how often, how long, in which form.

use std::collections::BTreeSet;

use domain::chat;
use serde_json::Value;

use super::Part;

const MAX_FIELDS: usize = 50;
const FIELD_CHARS: usize = 100;

/// The form of what a trace is given, or gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// Messages of a conversation, or a model's choices.
    Messages,
    /// A text.
    Text,
    /// An object of other members.
    Object,
    /// A list of other things.
    List,
    /// Nothing.
    Empty,
    /// A number, yes or no.
    Other,
    /// More than is read, or no JSON.
    Unread,
}

impl Form {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Text => "text",
            Self::Object => "object",
            Self::List => "list",
            Self::Empty => "empty",
            Self::Other => "other",
            Self::Unread => "unread",
        }
    }

    fn of(part: &Part) -> Self {
        let value = match part {
            Part::Absent => return Self::Empty,
            Part::Unread => return Self::Unread,
            Part::Read(value) => value,
        };
        let is_message = |message: &Value| message.get("role").is_some() || message.get("type").is_some();
        if chat::messages(value).is_some_and(|messages| messages.iter().any(is_message))
            || value.get("choices").is_some()
        {
            return Self::Messages;
        }
        match value {
            Value::Null => Self::Empty,
            Value::String(text) if text.trim().is_empty() => Self::Empty,
            Value::String(_) => Self::Text,
            Value::Object(members) if members.is_empty() => Self::Empty,
            Value::Object(_) => Self::Object,
            Value::Array(list) if list.is_empty() => Self::Empty,
            Value::Array(_) => Self::List,
            Value::Bool(_) | Value::Number(_) => Self::Other,
        }
    }
}

/// What was said in a trace.
#[derive(Debug, Clone, Default)]
pub struct Talk {
    /// The form of what its root was given; `None` before a root was seen.
    pub input: Option<Form>,
    /// The form of what its root gave.
    pub output: Option<Form>,
    /// Members of what the root was given.
    pub input_fields: BTreeSet<String>,
    /// Members of what the root gave.
    pub output_fields: BTreeSet<String>,
    /// Messages of the user, in the longest conversation that a span was given.
    pub user_messages: usize,
    /// Messages of the agent there.
    pub assistant_messages: usize,
    /// The length of what the user said last, in characters.
    pub request_chars: Option<usize>,
    /// The length of what was answered, in characters.
    pub response_chars: Option<usize>,
}

impl Talk {
    pub(super) fn add(&mut self, inputs: &Part, outputs: &Part, is_root: bool) {
        let (form, outcome) = (Form::of(inputs), Form::of(outputs));
        let (inputs, outputs) = (inputs.value(), outputs.value());
        let messages = inputs.and_then(chat::messages).unwrap_or_default();
        let of = |is: fn(&Value) -> bool| messages.iter().filter(|message| is(message)).count();
        let (user, assistant) = (of(chat::is_of_user), of(chat::is_of_assistant));
        if user + assistant > self.user_messages + self.assistant_messages {
            (self.user_messages, self.assistant_messages) = (user, assistant);
        }
        let length = |text: String| text.chars().count();
        let request = inputs.and_then(chat::request).map(length);
        let response = outputs.and_then(response).map(length);
        if is_root {
            self.input = Some(form);
            self.output = Some(outcome);
            add_fields(&mut self.input_fields, inputs);
            add_fields(&mut self.output_fields, outputs);
            // What the root says is what the user sees.
            self.request_chars = request.or(self.request_chars);
            self.response_chars = response.or(self.response_chars);
        } else {
            self.request_chars = self.request_chars.or(request);
            self.response_chars = self.response_chars.or(response);
        }
    }
}

/// What was answered, in the forms of models, of agents that hand on their messages, and as plain text.
fn response(outputs: &Value) -> Option<String> {
    let last = || {
        let messages = chat::messages(outputs)?;
        let of_assistant = messages
            .iter()
            .rev()
            .find(|message| chat::is_of_assistant(message))?;
        chat::content(of_assistant.get("content")?)
    };
    let text = || outputs.as_str().map(str::to_owned);
    let member = || {
        let names = ["content", "answer", "response", "output", "output_text"];
        names.iter().find_map(|name| chat::content(outputs.get(name)?))
    };
    chat::response(outputs)
        .or_else(last)
        .or_else(text)
        .or_else(member)
}

fn add_fields(fields: &mut BTreeSet<String>, value: Option<&Value>) {
    for name in value
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|members| members.keys())
    {
        if fields.len() < MAX_FIELDS {
            fields.insert(name.chars().take(FIELD_CHARS).collect());
        }
    }
}
