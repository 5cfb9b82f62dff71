//! What is kept: experiment, run, traces, spans and assessments, as MLflow knows them.

use crate::json::{Json, object};

#[derive(Debug)]
pub(crate) struct Experiment {
    pub(crate) id: i64,
    pub(crate) name: &'static str,
    pub(crate) note: &'static str,
    /// The folder of all artifacts; each experiment has one of its own in it.
    pub(crate) artifacts: String,
    pub(crate) created_ms: i64,
}

impl Experiment {
    pub(crate) fn artifact_location(&self) -> String {
        format!("{}/{}", self.artifacts, self.id)
    }
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) name: &'static str,
    pub(crate) experiment_id: i64,
    pub(crate) artifact_uri: String,
    pub(crate) user: &'static str,
    pub(crate) started_ms: i64,
    pub(crate) ended_ms: i64,
    pub(crate) params: Vec<(&'static str, String)>,
    pub(crate) metrics: Vec<(&'static str, f64)>,
    pub(crate) tags: Vec<(&'static str, String)>,
    pub(crate) links: Vec<Link>,
}

/// A trace of a run.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: String,
    pub(crate) trace_id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TraceState {
    Ok,
    Error,
    InProgress,
}

impl TraceState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Error => "ERROR",
            Self::InProgress => "IN_PROGRESS",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Trace {
    /// The number that the id is the text of.
    pub(crate) number: u128,
    pub(crate) name: &'static str,
    pub(crate) state: TraceState,
    pub(crate) started_ns: i64,
    /// `None` while it is in progress.
    pub(crate) ended_ns: Option<i64>,
    /// What was asked; the root span has it too, once it is stored.
    pub(crate) inputs: Json,
    pub(crate) outputs: Option<Json>,
    pub(crate) session: Option<String>,
    pub(crate) user: Option<&'static str>,
    pub(crate) tags: Vec<(&'static str, &'static str)>,
    /// In the order they ended.
    pub(crate) spans: Vec<Span>,
    pub(crate) assessments: Vec<Assessment>,
}

impl Trace {
    pub(crate) fn id(&self) -> String {
        format!("tr-{:032x}", self.number)
    }

    pub(crate) fn started_ms(&self) -> i64 {
        self.started_ns / 1_000_000
    }

    /// `None` if it is not stored yet.
    pub(crate) fn root(&self) -> Option<&Span> {
        self.spans.iter().find(|span| span.parent.is_none())
    }

    /// Of all spans together; `None` if no model was called.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let all = self.spans.iter().filter_map(|span| span.usage);
        all.reduce(|sum, one| Usage {
            input_tokens: sum.input_tokens + one.input_tokens,
            output_tokens: sum.output_tokens + one.output_tokens,
            input_cost: sum.input_cost + one.input_cost,
            output_cost: sum.output_cost + one.output_cost,
        })
    }
}

#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) id: u64,
    pub(crate) parent: Option<u64>,
    pub(crate) name: &'static str,
    /// MLflow's span type.
    pub(crate) kind: &'static str,
    pub(crate) started_ns: i64,
    pub(crate) ended_ns: i64,
    pub(crate) inputs: Json,
    pub(crate) outputs: Option<Json>,
    /// What the application or an integration noted besides.
    pub(crate) attributes: Vec<(&'static str, Json)>,
    pub(crate) events: Vec<Event>,
    pub(crate) model: Option<&'static str>,
    pub(crate) usage: Option<Usage>,
    /// What it failed with.
    pub(crate) error: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: &'static str,
    pub(crate) time_ns: i64,
    pub(crate) attributes: Json,
}

/// Tokens of a call of a model, and what they cost in USD.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) input_tokens: i64,
    pub(crate) output_tokens: i64,
    pub(crate) input_cost: f64,
    pub(crate) output_cost: f64,
}

impl Usage {
    pub(crate) fn total_tokens(&self) -> i64 {
        self.input_tokens + self.output_tokens
    }

    pub(crate) fn total_cost(&self) -> f64 {
        self.input_cost + self.output_cost
    }

    pub(crate) fn tokens(&self) -> Json {
        object! {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "total_tokens": self.total_tokens(),
        }
    }

    pub(crate) fn cost(&self) -> Json {
        object! {
            "input_cost": self.input_cost,
            "output_cost": self.output_cost,
            "total_cost": self.total_cost(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AssessmentType {
    Feedback,
    Expectation,
}

impl AssessmentType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Feedback => "feedback",
            Self::Expectation => "expectation",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Assessment {
    pub(crate) id: String,
    pub(crate) name: &'static str,
    pub(crate) kind: AssessmentType,
    /// JSON text.
    pub(crate) value: String,
    /// What the judge failed with: JSON text.
    pub(crate) error: Option<String>,
    pub(crate) source_type: &'static str,
    pub(crate) source_id: &'static str,
    pub(crate) rationale: Option<&'static str>,
    pub(crate) created_ms: i64,
    pub(crate) run_id: Option<String>,
    pub(crate) span_id: Option<u64>,
    /// JSON text.
    pub(crate) metadata: Option<String>,
    pub(crate) overrides: Option<String>,
    /// Not overridden by another.
    pub(crate) is_valid: bool,
}

impl Assessment {
    /// What MLflow reckons with, and whether the value is a number itself.
    pub(crate) fn aggregate(&self) -> (Option<f64>, bool) {
        match self.value.as_str() {
            "true" | "\"yes\"" => (Some(1.0), false),
            "false" | "\"no\"" => (Some(0.0), false),
            value => {
                let number = value.parse::<f64>().ok();
                (number, number.is_some())
            }
        }
    }
}
