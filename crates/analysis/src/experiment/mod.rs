//! What a sample of an experiment's traces says: figures, what goes wrong and where it is seen, and what experts should be
//! asked about it.

mod issues;
mod report;
mod schemas;
mod seen;
mod statistics;

use domain::{LabelSchema, LabelSchemaType, Timestamp, TraceId};
use serde::Serialize;

use crate::digest::{Totals, TraceDigest};
use crate::facts::TraceFacts;

pub use issues::{DetectedIssue, Severity};
pub use report::report;
pub use schemas::{Input, Question, RecommendedSchema};
pub use statistics::{AssessmentCount, Statistics};

use seen::Seen;

/// The form of the stored data; grows when what is there means something else.
const VERSION: u32 = 1;

/// Traces that are named in one place.
const EXAMPLES: usize = 5;

/// Whoever says something: what was counted, or a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// It was counted.
    Statistics,
    /// A model says so.
    Model,
}

/// A sample of an experiment while it is gone through. What is kept of each trace is a few hundred bytes.
#[derive(Debug, Default)]
pub struct Sampled {
    totals: Totals,
    traces: Vec<Seen>,
    failed: u64,
}

/// What a summary is about, beside its traces.
#[derive(Debug, Clone)]
pub struct SummaryFacts {
    /// The experiment's id.
    pub experiment_id: String,
    /// What whoever asked wants to know, in their words.
    pub focus: String,
    /// When this was read, in ms since the Unix epoch.
    pub read_at_ms: i64,
}

/// What a sample says; written as `{experiment_id}_analysis_data.json`.
#[derive(Debug, Clone, Serialize)]
pub struct ExperimentAnalysis {
    version: u32,
    experiment_id: String,
    focus: String,
    /// Facts about the analysis itself.
    metadata: Metadata,
    /// Figures of the sample.
    pub statistics: Statistics,
    /// What goes wrong, the worst first.
    pub detected_issues: Vec<DetectedIssue>,
    /// What experts should be asked, the most useful first.
    pub schemas_with_label_types: Vec<RecommendedSchema>,
}

/// Facts about the analysis itself.
#[derive(Debug, Clone, Serialize)]
struct Metadata {
    analysis_timestamp: Timestamp,
    /// The model that was asked; null where none was.
    model_endpoint: Option<String>,
    traces_analyzed: u64,
    /// Traces whose spans could not be read.
    traces_failed: u64,
}

impl Sampled {
    /// Takes in a trace.
    pub fn add(&mut self, facts: &TraceFacts, digest: &TraceDigest) {
        self.totals.add(digest);
        self.traces.push(Seen::of(facts, digest));
    }

    /// Counts a trace whose spans could not be read.
    pub fn add_failed(&mut self) {
        self.failed += 1;
    }

    /// How many were taken in.
    pub fn traces(&self) -> u64 {
        self.totals.traces
    }

    /// What they say.
    pub fn analyse(&self, facts: &SummaryFacts) -> ExperimentAnalysis {
        let detected_issues = issues::detect(&self.totals, &self.traces, facts.read_at_ms);
        ExperimentAnalysis {
            version: VERSION,
            experiment_id: facts.experiment_id.clone(),
            focus: facts.focus.clone(),
            metadata: Metadata {
                analysis_timestamp: Timestamp::from_unix_ms(facts.read_at_ms),
                model_endpoint: None,
                traces_analyzed: self.totals.traces,
                traces_failed: self.failed,
            },
            statistics: Statistics::of(&self.totals, &self.traces),
            schemas_with_label_types: schemas::recommend(&self.totals, &self.traces, &detected_issues),
            detected_issues,
        }
    }

    /// Excerpts of traces for a model, those with trouble first: nothing of them is longer than some hundred characters.
    pub fn excerpts(&self) -> Vec<serde_json::Value> {
        let mut traces: Vec<_> = self.traces.iter().collect();
        traces.sort_by_key(|trace| !trace.is_troubled());
        traces.into_iter().map(Seen::excerpt).collect()
    }
}

impl ExperimentAnalysis {
    /// Notes which model was asked.
    pub fn set_model(&mut self, model: String) {
        self.metadata.model_endpoint = Some(model);
    }

    /// Adds an issue that a model sees.
    pub fn add_issue(&mut self, issue: DetectedIssue) {
        self.detected_issues.push(issue);
        issues::sort(&mut self.detected_issues);
    }

    /// Adds a schema that a model recommends, unless there is one of this key, or it breaks a rule of schemas.
    pub fn add_schema(&mut self, schema: RecommendedSchema) {
        let is_new = self
            .schemas_with_label_types
            .iter()
            .all(|known| known.key != schema.key);
        if is_new && schema.definition.check().is_ok() {
            self.schemas_with_label_types.push(schema);
            schemas::sort(&mut self.schemas_with_label_types);
        }
    }
}

/// A schema that is asked for as feedback, or as an expectation; of no input yet.
fn definition(name: &str, kind: LabelSchemaType, title: &str, instruction: &str) -> LabelSchema {
    LabelSchema {
        name: name.to_owned(),
        kind,
        title: title.to_owned(),
        instruction: Some(instruction.to_owned()),
        enable_comment: true,
        categorical: None,
        categorical_list: None,
        text: None,
        text_list: None,
        numeric: None,
        further: serde_json::Map::new(),
    }
}

/// The first few of these traces.
fn examples<'a>(traces: impl Iterator<Item = &'a Seen>) -> Vec<TraceId> {
    traces.take(EXAMPLES).map(|trace| trace.id.clone()).collect()
}

#[cfg(test)]
mod tests;
