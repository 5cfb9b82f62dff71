//! What experts should be asked: what every agent is asked, and what this one's traces give reason to ask.

use domain::{LabelSchema, LabelSchemaType, NumericInput, Options, TextInput, TraceId};
use serde::Serialize;

use super::issues::DetectedIssue;
use super::seen::Seen;
use super::{Source, definition, examples};
use crate::digest::Totals;

/// What experts should be asked.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecommendedSchema {
    /// The name of the label schema.
    #[cfg_attr(feature = "openapi", schema(example = "groundedness"))]
    pub key: String,
    /// The question.
    #[cfg_attr(
        feature = "openapi",
        schema(example = "Is the answer borne out by what was retrieved?")
    )]
    pub name: String,
    /// `FEEDBACK` or `EXPECTATION`.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "FEEDBACK"))]
    pub label_type: LabelSchemaType,
    /// `categorical`, `numeric` or `text`.
    #[cfg_attr(feature = "openapi", schema(example = "categorical"))]
    pub schema_type: &'static str,
    /// How to answer.
    #[cfg_attr(
        feature = "openapi",
        schema(example = "Compare each statement with the documents.")
    )]
    pub description: String,
    /// Why it is worth asking.
    #[cfg_attr(feature = "openapi", schema(example = "40 of 50 traces retrieve documents."))]
    pub rationale: String,
    /// 0 to 100; the more traces give reason to ask, the more.
    #[cfg_attr(feature = "openapi", schema(minimum = 0, maximum = 100, example = 80))]
    pub priority_score: u8,
    /// Traces that give reason to ask.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, example = json!(["tr-6513270e269e0d37f2a74de452e6b438"])))]
    pub grounded_in_traces: Vec<TraceId>,
    /// The same as it can be posted to `/api/label-schemas`.
    pub definition: LabelSchema,
    /// Whether it follows from figures, or a model says so.
    pub source: Source,
}

/// How a question is answered.
#[derive(Debug, Clone)]
pub enum Input {
    /// By one of these.
    Options(Vec<String>),
    /// By a number from the one to the other.
    Numbers(Option<f64>, Option<f64>),
    /// In words.
    Text,
}

impl Input {
    fn words(options: &[&str]) -> Self {
        Self::Options(options.iter().map(|option| (*option).to_owned()).collect())
    }
}

/// A question, before it is known what traces give reason to ask it.
#[derive(Debug, Clone)]
pub struct Question {
    /// The name of the label schema.
    pub key: String,
    /// What the labels are.
    pub label_type: LabelSchemaType,
    /// The question.
    pub name: String,
    /// How to answer.
    pub description: String,
    /// By what it is answered.
    pub input: Input,
}

impl RecommendedSchema {
    /// A question that is worth asking, because of these traces.
    pub fn new(
        question: Question,
        rationale: String,
        priority_score: u8,
        grounded_in_traces: Vec<TraceId>,
        source: Source,
    ) -> Self {
        let Question {
            key,
            label_type,
            name,
            description,
            input,
        } = question;
        let mut definition = definition(&key, label_type, &name, &description);
        let schema_type = match input {
            Input::Options(options) => {
                definition.categorical = Some(Options { options });
                "categorical"
            }
            Input::Numbers(min, max) => {
                let bound = |bound: Option<f64>| bound.and_then(number);
                definition.numeric = Some(NumericInput {
                    min_value: bound(min),
                    max_value: bound(max),
                });
                "numeric"
            }
            Input::Text => {
                definition.text = Some(TextInput { max_length: None });
                "text"
            }
        };
        Self {
            key,
            name,
            label_type,
            schema_type,
            description,
            rationale,
            priority_score: priority_score.min(100),
            grounded_in_traces,
            definition,
            source,
        }
    }
}

/// A whole number as one: 5 and not 5.0.
fn number(bound: f64) -> Option<serde_json::Number> {
    #[expect(clippy::cast_possible_truncation, reason = "within a million")]
    if bound.fract() == 0.0 && bound.abs() < 1e6 {
        return Some((bound as i64).into());
    }
    serde_json::Number::from_f64(bound)
}

/// The most useful first.
pub(super) fn sort(schemas: &mut [RecommendedSchema]) {
    schemas.sort_by_key(|schema| std::cmp::Reverse(schema.priority_score));
}

/// Asks about those traces that give reason to.
struct Asker<'a> {
    traces: &'a [Seen],
    schemas: Vec<RecommendedSchema>,
}

impl Asker<'_> {
    /// Asks a question about the traces that are so; nothing where none is. Its score grows from `base` by up to 40 with
    /// their part.
    fn ask(&mut self, base: u8, because: &str, is_so: impl Fn(&Seen) -> bool, question: Question) {
        let reasons: Vec<&Seen> = self.traces.iter().filter(|trace| is_so(trace)).collect();
        if reasons.is_empty() {
            return;
        }
        let part = reasons.len() * 40 / self.traces.len().max(1);
        let rationale = format!("{} of {} traces {because}.", reasons.len(), self.traces.len());
        let score = base.saturating_add(u8::try_from(part).unwrap_or(40));
        let grounded = examples(reasons.into_iter());
        let schema = RecommendedSchema::new(question, rationale, score, grounded, Source::Statistics);
        self.schemas.push(schema);
    }
}

fn feedback(key: &str, name: &str, description: &str, input: Input) -> Question {
    Question {
        key: key.to_owned(),
        label_type: LabelSchemaType::Feedback,
        name: name.to_owned(),
        description: description.to_owned(),
        input,
    }
}

const GRADES: [&str; 3] = ["yes", "partly", "no"];

pub(super) fn recommend(
    totals: &Totals,
    traces: &[Seen],
    issues: &[DetectedIssue],
) -> Vec<RecommendedSchema> {
    let mut asker = Asker {
        traces,
        schemas: Vec::new(),
    };
    let is_finished = |trace: &Seen| trace.state.is_finished();
    let correctness = feedback(
        "answer_correctness",
        "Is the answer correct?",
        "Judge the last answer by what the user asked. Partly: what is said is right, and something is missing or beside the point.",
        Input::words(&GRADES),
    );
    asker.ask(50, "have ended and can be judged", is_finished, correctness);
    let expected = Question {
        label_type: LabelSchemaType::Expectation,
        ..feedback(
            "expected_response",
            "What should the answer have been?",
            "Write what a good answer says: later versions of the agent are held against it.",
            Input::Text,
        )
    };
    asker.ask(
        30,
        "have ended; what they should have said serves to evaluate the next version",
        is_finished,
        expected,
    );
    about_tools(&mut asker);
    about_answers(&mut asker);
    if issues.iter().any(|issue| issue.issue_type == "slow_traces") || totals.long_talks > 0 {
        let helpful = feedback(
            "helpfulness",
            "How helpful is the conversation as a whole?",
            "1: the user is no further than before; 5: nothing is left to ask.",
            Input::Numbers(Some(1.0), Some(5.0)),
        );
        asker.ask(
            25,
            "have ended and can be judged as a whole",
            is_finished,
            helpful,
        );
    }
    sort(&mut asker.schemas);
    asker.schemas
}

fn about_tools(asker: &mut Asker<'_>) {
    let choice = feedback(
        "tool_choice",
        "Were the right tools called?",
        "Look at which tools were called, in which order and what with. Partly: the right ones, and others for nothing.",
        Input::words(&GRADES),
    );
    asker.ask(35, "call tools", |trace| trace.calls > 0, choice);
    let handling = feedback(
        "error_handling",
        "Is trouble dealt with well?",
        "When a tool or a model failed: was the user told the truth, and given another way?",
        Input::words(&["well", "poorly", "not at all"]),
    );
    asker.ask(45, "meet errors", |trace| !trace.errors.is_empty(), handling);
    let efficiency = feedback(
        "efficiency",
        "Does it get there without detours?",
        "Look for calls that were repeated, or whose answers were not used.",
        Input::words(&GRADES),
    );
    let repeats = |trace: &Seen| trace.repeated.as_ref().is_some_and(|call| call.times > 2);
    asker.ask(35, "make the same call three times or more", repeats, efficiency);
}

fn about_answers(asker: &mut Asker<'_>) {
    let grounded = feedback(
        "groundedness",
        "Is the answer borne out by what was retrieved?",
        "Compare each statement with the documents. No: something is said that none of them says.",
        Input::words(&GRADES),
    );
    asker.ask(45, "retrieve documents", |trace| trace.retrievals > 0, grounded);
    let relevance = feedback(
        "retrieval_relevance",
        "Is what was retrieved what was needed?",
        "Look at the documents alone: could the question be answered by them?",
        Input::words(&GRADES),
    );
    asker.ask(
        40,
        "retrieve and find nothing",
        |trace| trace.empty_retrievals > 0,
        relevance,
    );
    let completeness = feedback(
        "completeness",
        "Is the answer whole?",
        "No: it breaks off, or leaves out a part of the question.",
        Input::words(&GRADES),
    );
    let is_partial = |trace: &Seen| trace.is_unanswered || trace.cut_answers > 0;
    asker.ask(
        45,
        "give nothing, or an answer that was cut off",
        is_partial,
        completeness,
    );
    let context = feedback(
        "context_retention",
        "Does it remember what was said before?",
        "Look whether the user had to say something twice.",
        Input::words(&GRADES),
    );
    asker.ask(
        35,
        "have more than one message of the user",
        |trace| trace.turns > 1,
        context,
    );
}
