//! What a model says of an experiment's traces.

use std::collections::HashSet;

use analysis::experiment::Severity;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::answer::{Validated, tidy_line, tidy_lines, tidy_name, tidy_text, tidy_traces};
use super::prompt::Prompt;

/// Asks what goes wrong in an experiment, and what experts should be asked.
pub const EXPERIMENT_SUMMARY: Prompt = Prompt {
    name: "experiment_summary",
    system: include_str!("prompts/experiment_summary.md"),
    schema,
    max_output_tokens: 5000,
};

/// Of each list so many are kept, of options of a question more.
const MAX_LISTED: usize = 10;
const MAX_OPTIONS: usize = 20;

/// What goes wrong in an experiment, and what experts should be asked, as a model sees it. All texts are plain: whoever shows
/// them escapes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentInsights {
    /// The whole, in some sentences; at most 1500 characters.
    pub summary: String,
    /// At most 10 kinds of trouble, the worst first.
    pub issues: Vec<Issue>,
    /// At most 10 questions for experts, the most useful first.
    pub schemas: Vec<SuggestedSchema>,
}

/// A kind of trouble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Lower case letters, digits and `_`, at most 60.
    pub issue_type: String,
    /// What it means for users.
    pub severity: Severity,
    /// At most 120 characters.
    pub title: String,
    /// At most 800 characters.
    pub description: String,
    /// At most 10 traces that show it, all of the data.
    pub example_traces: Vec<String>,
}

/// A question for experts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuggestedSchema {
    /// Lower case letters, digits and `_`, at most 60; each once.
    pub key: String,
    /// The question as experts read it; at most 120 characters.
    pub name: String,
    /// What its labels are.
    pub label_type: SuggestedLabel,
    /// How it is answered.
    pub schema_type: SuggestedInput,
    /// Of a categorical one, at least two: the answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<String>>,
    /// Of a numeric one: the least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Of a numeric one: the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// How to answer; at most 800 characters.
    pub description: String,
    /// Why it is worth asking; at most 800 characters.
    pub rationale: String,
    /// From 0 to 100.
    #[serde(deserialize_with = "score")]
    pub priority_score: u8,
    /// At most 10 traces that led to it, all of the data.
    pub grounded_in_traces: Vec<String>,
}

/// What a label is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SuggestedLabel {
    /// A judgement of what the agent did.
    Feedback,
    /// What it should have done.
    Expectation,
}

/// How a question is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SuggestedInput {
    /// By one of its options.
    Categorical,
    /// By a number.
    Numeric,
    /// In words.
    Text,
}

/// Models write 85 as 85.0, too.
fn score<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let score = f64::deserialize(deserializer)?.clamp(0.0, 100.0).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
    Ok(score as u8)
}

impl Validated for ExperimentInsights {
    fn tidy(&mut self, known: &HashSet<String>) {
        tidy_text(&mut self.summary, 1500);
        for issue in &mut self.issues {
            issue.tidy(known);
        }
        self.issues
            .retain(|issue| !issue.issue_type.is_empty() && !issue.title.is_empty());
        self.issues.truncate(MAX_LISTED);
        for schema in &mut self.schemas {
            schema.tidy(known);
        }
        let mut seen = HashSet::new();
        self.schemas.retain(|schema| {
            !schema.key.is_empty() && !schema.name.is_empty() && seen.insert(schema.key.clone())
        });
        self.schemas.truncate(MAX_LISTED);
    }

    fn validate(&self) -> Result<(), String> {
        if self.summary.is_empty() {
            return Err("summary is empty".to_owned());
        }
        self.schemas.iter().try_for_each(SuggestedSchema::validate)
    }
}

impl Issue {
    fn tidy(&mut self, known: &HashSet<String>) {
        tidy_name(&mut self.issue_type, 60);
        tidy_line(&mut self.title, 120);
        tidy_text(&mut self.description, 800);
        tidy_traces(&mut self.example_traces, known, MAX_LISTED);
    }
}

impl SuggestedSchema {
    fn tidy(&mut self, known: &HashSet<String>) {
        tidy_name(&mut self.key, 60);
        tidy_line(&mut self.name, 120);
        tidy_text(&mut self.description, 800);
        tidy_text(&mut self.rationale, 800);
        tidy_traces(&mut self.grounded_in_traces, known, MAX_LISTED);
        if self.schema_type != SuggestedInput::Categorical {
            self.options = None;
        }
        if self.schema_type != SuggestedInput::Numeric {
            (self.min, self.max) = (None, None);
        }
        if let Some(options) = &mut self.options {
            let mut seen = HashSet::new();
            tidy_lines(options, 120, usize::MAX);
            options.retain(|option| seen.insert(option.clone()));
            options.truncate(MAX_OPTIONS);
        }
    }

    fn validate(&self) -> Result<(), String> {
        let options = self.options.as_ref().map_or(0, Vec::len);
        if self.schema_type == SuggestedInput::Categorical && options < 2 {
            return Err(format!(
                "schema {} is categorical and has no two options",
                self.key
            ));
        }
        if let (Some(min), Some(max)) = (self.min, self.max)
            && min >= max
        {
            return Err(format!("the min of schema {} is not below its max", self.key));
        }
        Ok(())
    }
}

fn schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["summary", "issues", "schemas"],
        "properties": {
            "summary": {"type": "string"},
            "issues": {"type": "array", "items": issue_schema()},
            "schemas": {"type": "array", "items": question_schema()},
        },
    })
}

fn issue_schema() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["issue_type", "severity", "title", "description", "example_traces"],
        "properties": {
            "issue_type": text,
            "severity": {"type": "string", "enum": ["low", "medium", "high", "critical"]},
            "title": text,
            "description": text,
            "example_traces": {"type": "array", "items": text},
        },
    })
}

fn question_schema() -> Value {
    let text = json!({"type": "string"});
    let number = json!({"type": ["number", "null"]});
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": [
            "key", "name", "label_type", "schema_type", "options", "min", "max", "description", "rationale",
            "priority_score", "grounded_in_traces",
        ],
        "properties": {
            "key": text,
            "name": text,
            "label_type": {"type": "string", "enum": ["FEEDBACK", "EXPECTATION"]},
            "schema_type": {"type": "string", "enum": ["categorical", "numeric", "text"]},
            "options": {"type": ["array", "null"], "items": text},
            "min": number,
            "max": number,
            "description": text,
            "rationale": text,
            "priority_score": {"type": "integer"},
            "grounded_in_traces": {"type": "array", "items": text},
        },
    })
}
