//! What reviewers are asked about a trace, and with which kind of input.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::rule::{BrokenRule, MAX_NAME, check_text, or_default};

const MAX_TITLE: usize = 500;
const MAX_OPTIONS: usize = 100;
/// What the API calls an `int32` holds no more.
const MAX_LIMIT: u32 = i32::MAX.cast_unsigned();

/// What the label becomes in MLflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LabelSchemaType {
    /// A judgement of what the agent did.
    Feedback,
    /// What the agent should have done.
    Expectation,
    /// Something else that another server stored; users cannot choose it.
    #[default]
    #[serde(rename = "TYPE_UNSPECIFIED", other)]
    Unspecified,
}

/// Options to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Options {
    /// 1 to 100 different texts, in the order they are shown.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 100, example = json!(["yes", "no"])))]
    pub options: Vec<String>,
}

/// Free text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TextInput {
    /// Characters at most; no limit unless given.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "limit")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, example = 500))]
    pub max_length: Option<u32>,
}

/// Several free texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TextListInput {
    /// Characters of each at most; no limit unless given.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "limit")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, example = 100))]
    pub max_length_each: Option<u32>,
    /// Texts at most; no limit unless given.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "limit")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, example = 5))]
    pub max_count: Option<u32>,
}

/// A number. The bounds keep the form they came in (`1` stays `1`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NumericInput {
    /// The least value; no bound unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<f64>, example = 1))]
    pub min_value: Option<Number>,
    /// The greatest value; no bound unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<f64>, example = 5))]
    pub max_value: Option<Number>,
}

/// What reviewers are asked about a trace. Exactly one of the five kinds of input is there.
///
/// What another server stored is read as it is; [`LabelSchema::check`] holds what users send to the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LabelSchema {
    /// The label's name: unique in its review app, and the name of the assessments given by it.
    #[cfg_attr(feature = "openapi", schema(max_length = 250, example = "correctness"))]
    pub name: String,
    /// What the label becomes in MLflow.
    #[serde(rename = "type", default)]
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub kind: LabelSchemaType,
    /// The question as it is shown.
    #[serde(default)]
    #[cfg_attr(
        feature = "openapi",
        schema(required = true, max_length = 500, example = "Is the answer correct?")
    )]
    pub title: String,
    /// How to answer it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = "Compare with the order in the shop."))]
    pub instruction: Option<String>,
    /// Whether a comment may be given beside the value.
    #[serde(default, deserialize_with = "or_default")]
    pub enable_comment: bool,
    /// One of some options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categorical: Option<Options>,
    /// Any of some options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categorical_list: Option<Options>,
    /// Free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextInput>,
    /// Several free texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_list: Option<TextListInput>,
    /// A number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numeric: Option<NumericInput>,
    /// What else the server that keeps it knows of it, passed on unread.
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schema(ignore))]
    pub further: Map<String, Value>,
}

/// Protobuf writes whole numbers of 64 bits as text.
fn limit<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let number = match Option::deserialize(deserializer)? {
        None => return Ok(None),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_u64().and_then(|number| u32::try_from(number).ok()),
    };
    let broken = || serde::de::Error::custom("must be a whole number");
    number.map(Some).ok_or_else(broken)
}

impl LabelSchema {
    /// Holds a schema that a user sends to the rules.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self) -> Result<(), BrokenRule> {
        self.check_name()?;
        self.check_members()
    }

    fn check_name(&self) -> Result<(), BrokenRule> {
        check_text("name", &self.name, MAX_NAME)?;
        // It stands in the path of its own address, where the frontend does not encode these, and browsers take dots
        // away.
        if self.name.contains(['/', '?', '#']) || matches!(self.name.as_str(), "." | "..") {
            return Err(BrokenRule::new(
                "name",
                "must hold no '/', '?' or '#', and be more than dots",
            ));
        }
        Ok(())
    }

    /// Holds all but the name to the rules: one that was given elsewhere may stay.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check_members(&self) -> Result<(), BrokenRule> {
        if self.kind == LabelSchemaType::Unspecified {
            return Err(BrokenRule::new("type", "must be FEEDBACK or EXPECTATION"));
        }
        check_text("title", &self.title, MAX_TITLE)?;
        let inputs = [
            self.categorical.is_some(),
            self.categorical_list.is_some(),
            self.text.is_some(),
            self.text_list.is_some(),
            self.numeric.is_some(),
        ];
        if inputs.into_iter().filter(|is_there| *is_there).count() != 1 {
            let rule = "must have exactly one of categorical, categorical_list, text, text_list, numeric";
            return Err(BrokenRule::new("body", rule));
        }
        check_options("categorical.options", self.categorical.as_ref())?;
        check_options("categorical_list.options", self.categorical_list.as_ref())?;
        let (text, list) = (self.text.as_ref(), self.text_list.as_ref());
        check_limit("text.max_length", text.and_then(|text| text.max_length))?;
        check_limit(
            "text_list.max_length_each",
            list.and_then(|list| list.max_length_each),
        )?;
        check_limit("text_list.max_count", list.and_then(|list| list.max_count))?;
        let bounds = self.numeric.as_ref().map(|numeric| {
            let bound = |number: &Option<Number>| number.as_ref().and_then(Number::as_f64);
            (bound(&numeric.min_value), bound(&numeric.max_value))
        });
        match bounds {
            Some((Some(min), Some(max))) if min > max => Err(BrokenRule::new(
                "numeric.max_value",
                "must not be less than numeric.min_value",
            )),
            _ => Ok(()),
        }
    }
}

fn check_options(field: &str, options: Option<&Options>) -> Result<(), BrokenRule> {
    let Some(Options { options }) = options else {
        return Ok(());
    };
    if options.is_empty() || options.len() > MAX_OPTIONS {
        return Err(BrokenRule::new(
            field,
            format!("must be a list of 1 to {MAX_OPTIONS}"),
        ));
    }
    let mut seen = HashSet::new();
    for (index, option) in options.iter().enumerate() {
        let field = format!("{field}[{index}]");
        check_text(&field, option, MAX_TITLE)?;
        if !seen.insert(option) {
            return Err(BrokenRule::new(field, "must differ from the options before it"));
        }
    }
    Ok(())
}

fn check_limit(field: &str, limit: Option<u32>) -> Result<(), BrokenRule> {
    match limit {
        Some(0) => Err(BrokenRule::new(field, "must be at least 1")),
        Some(limit) if limit > MAX_LIMIT => {
            Err(BrokenRule::new(field, format!("must be at most {MAX_LIMIT}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema(members: &Value) -> LabelSchema {
        let mut schema = json!({"name": "n", "type": "FEEDBACK", "title": "t"});
        schema
            .as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        serde_json::from_value(schema).unwrap()
    }

    #[test]
    fn every_kind_of_input_is_taken_and_written_as_it_came() {
        for input in [
            json!({"categorical": {"options": ["yes", "no"]}}),
            json!({"categorical_list": {"options": ["größe"]}}),
            json!({"text": {"max_length": 500}}),
            json!({"text": {}}),
            json!({"text_list": {"max_length_each": 100, "max_count": 5}}),
            json!({"numeric": {"min_value": 1, "max_value": 5.5}}),
        ] {
            let schema = schema(&input);
            assert_eq!(schema.check(), Ok(()), "{input}");
            let written = serde_json::to_value(&schema).unwrap();
            let (kind, value) = input.as_object().unwrap().iter().next().unwrap();
            assert_eq!(&written[kind], value);
            assert_eq!(written["enable_comment"], false);
            assert_eq!(written.as_object().unwrap().len(), 5, "{written}");
        }
    }

    #[test]
    fn a_broken_rule_names_its_field() {
        for (input, field) in [
            (json!({}), "body"),
            (json!({"text": {}, "numeric": {}, "categorical": null}), "body"),
            (json!({"text": {}, "name": " "}), "name"),
            (json!({"text": {}, "name": "a/b"}), "name"),
            (json!({"text": {}, "name": "tone?"}), "name"),
            (json!({"text": {}, "name": ".."}), "name"),
            (json!({"text": {}, "type": "OPINION"}), "type"),
            (json!({"text": {}, "name": "a\u{0}b"}), "name"),
            (json!({"text": {}, "name": "n".repeat(251)}), "name"),
            (json!({"text": {}, "title": ""}), "title"),
            (json!({"categorical": {"options": []}}), "categorical.options"),
            (
                json!({"categorical": {"options": ["a", "b", "a"]}}),
                "categorical.options[2]",
            ),
            (
                json!({"categorical_list": {"options": ["a", ""]}}),
                "categorical_list.options[1]",
            ),
            (json!({"text": {"max_length": 0}}), "text.max_length"),
            (json!({"text_list": {"max_count": 0}}), "text_list.max_count"),
            (json!({"text": {"max_length": 1_u32 << 31}}), "text.max_length"),
            (
                json!({"numeric": {"min_value": 2, "max_value": 1}}),
                "numeric.max_value",
            ),
        ] {
            assert_eq!(schema(&input).check().unwrap_err().field, field, "{input}");
        }
    }

    #[test]
    fn what_an_older_client_sends_as_null_counts_as_not_sent() {
        let schema =
            schema(&json!({"text": {}, "numeric": null, "enable_comment": null, "instruction": null}));
        assert_eq!(schema.check(), Ok(()));
        assert!(!schema.enable_comment);
    }

    #[test]
    fn what_the_keeping_server_knows_besides_is_not_lost() {
        let stored = json!({
            "name": "n", "type": "EXPECTATION", "title": "t", "enable_comment": true,
            "pass_fail": {"positive_label": "Pass"},
        });
        let schema: LabelSchema = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(serde_json::to_value(schema).unwrap(), stored);
        let odd: LabelSchema =
            serde_json::from_value(json!({"name": "n", "text": {"max_length": "500"}})).unwrap();
        assert_eq!(odd.text.unwrap().max_length, Some(500));
        assert_eq!(serde_json::to_value(odd.kind).unwrap(), "TYPE_UNSPECIFIED");
    }
}
