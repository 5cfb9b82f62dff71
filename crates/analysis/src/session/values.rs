//! What a rating says, read by the kind of its schema.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use domain::LabelSchema;
use serde::Serialize;
use serde_json::Value;

/// The longest text that is looked at, in characters.
const TEXT_CHARS: usize = 2000;

/// The kind of input that a schema asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Input {
    Categorical,
    CategoricalList,
    Numeric,
    Text,
    TextList,
}

impl Input {
    pub(super) fn of(schema: &LabelSchema) -> Self {
        if schema.categorical.is_some() {
            Self::Categorical
        } else if schema.categorical_list.is_some() {
            Self::CategoricalList
        } else if schema.numeric.is_some() {
            Self::Numeric
        } else if schema.text_list.is_some() {
            Self::TextList
        } else {
            Self::Text
        }
    }
}

/// What a rating says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answer {
    Choice(String),
    Choices(BTreeSet<String>),
    Number(Number),
    Text(String),
}

/// A number, in the order of numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number(pub(super) f64);

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl Answer {
    /// `None` of a value that is no answer to such a question.
    pub(super) fn read(value: &Value, input: Input) -> Option<Self> {
        match input {
            Input::Categorical => word(value).map(Self::Choice),
            Input::CategoricalList => match value {
                Value::Array(words) => words.iter().map(word).collect::<Option<_>>().map(Self::Choices),
                one => word(one).map(|word| Self::Choices([word].into())),
            },
            Input::Numeric => number(value).map(|number| Self::Number(Number(number))),
            Input::Text | Input::TextList => match value {
                Value::Null => None,
                Value::String(text) => Some(Self::Text(cut(text))),
                Value::Array(texts) => {
                    let texts: Vec<_> = texts.iter().filter_map(word).collect();
                    Some(Self::Text(texts.join("; ")))
                }
                other => Some(Self::Text(cut(&other.to_string()))),
            },
        }
    }

    /// The answer in words.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Choice(word) | Self::Text(word) => word.clone(),
            Self::Choices(words) if words.is_empty() => "none".to_owned(),
            Self::Choices(words) => words.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
            Self::Number(number) => number.0.to_string(),
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(number.0),
            _ => None,
        }
    }
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(cut(text)),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    // JSON has no others, but text has.
    number
        .filter(|number: &f64| number.is_finite())
        .map(|number| number + 0.0)
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS).collect()
}
