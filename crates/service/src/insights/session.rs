//! What a model says of a labeling session's labels.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{Validated, tidy_line, tidy_lines, tidy_text, tidy_traces};
use super::prompt::Prompt;

/// Asks what a labeling session's labels say of the agent.
pub const SESSION_ANALYSIS: Prompt = Prompt {
    name: "session_analysis",
    system: include_str!("prompts/session_analysis.md"),
    schema,
    max_output_tokens: 2500,
};

/// What a labeling session's labels say of the agent, as a model sees it. All texts are plain: whoever shows them escapes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionInsights {
    /// The whole, in some sentences; at most 1500 characters.
    pub summary: String,
    /// At most 8 patterns, the most important first.
    pub findings: Vec<Finding>,
    /// At most 8 things to do, of 400 characters at most.
    pub recommendations: Vec<String>,
}

/// A pattern in the labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// At most 120 characters.
    pub title: String,
    /// At most 800 characters.
    pub detail: String,
    /// At most 5 traces that show it, all of the data.
    pub trace_ids: Vec<String>,
}

impl Validated for SessionInsights {
    fn tidy(&mut self, known: &HashSet<String>) {
        tidy_text(&mut self.summary, 1500);
        for finding in &mut self.findings {
            tidy_line(&mut finding.title, 120);
            tidy_text(&mut finding.detail, 800);
            tidy_traces(&mut finding.trace_ids, known, 5);
        }
        self.findings.retain(|finding| !finding.title.is_empty());
        self.findings.truncate(8);
        tidy_lines(&mut self.recommendations, 400, 8);
    }

    fn validate(&self) -> Result<(), String> {
        if self.summary.is_empty() {
            return Err("summary is empty".to_owned());
        }
        Ok(())
    }
}

fn schema() -> Value {
    let text = json!({"type": "string"});
    let texts = json!({"type": "array", "items": text});
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["summary", "findings", "recommendations"],
        "properties": {
            "summary": text,
            "findings": {"type": "array", "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["title", "detail", "trace_ids"],
                "properties": {"title": text, "detail": text, "trace_ids": texts},
            }},
            "recommendations": texts,
        },
    })
}
