//! The words of the field as plain types: no I/O, no async, no HTTP.
//!
//! | word | meaning |
//! |---|---|
//! | Trace | one run of an agent: its [`TraceInfo`] and its spans |
//! | `TraceInfo` | what is known of a trace without its spans: state, times, tags, metadata, assessments |
//! | Span | one step of a trace, kept as the JSON text MLflow stores; [`span`] reads only what it must |
//! | [`Assessment`] | a feedback or an expectation given to a trace by a human, a judge or code |
//! | [`Run`], [`Experiment`] | where traces are grouped |
//! | [`ReviewApp`] | what an experiment's traces are reviewed by: its label schemas |
//! | [`LabelSchema`] | one question to reviewers, and the kind of input it is answered with |
//! | [`LabelingSession`] | some traces, given to some people, to be labeled by some schemas |
//! | [`Item`] | one trace of a labeling session, and how far its labeling has come |
//! | [`Job`] | an analysis that goes on when whoever asked for it has left |
//!
//! Every type serialises exactly as the HTTP contract spells it, so that a rendered answer can be kept and
//! served as bytes.

mod assessment;
pub mod chat;
#[cfg(feature = "doors")]
pub mod doors;
mod experiment;
mod ids;
mod item;
mod job;
mod json_check;
mod label_schema;
mod labeling_session;
mod review_app;
mod rule;
mod run;
mod search;
pub mod span;
pub mod span_text;
pub mod span_v2;
mod timestamp;
mod trace;

pub use assessment::{
    Assessment, AssessmentError, AssessmentKind, AssessmentSource, AssessmentUpdate, AssessmentValue,
    NewAssessment, RATIONALE,
};
pub use experiment::{Experiment, ExperimentTag};
pub use ids::{
    AssessmentId, ExperimentId, InvalidId, ItemId, LabelingSessionId, ReviewAppId, RunId, TraceId,
};
pub use item::{Item, ItemChange, ItemSource, ItemState, Label};
pub use job::{Job, JobKind, JobStatus};
pub use label_schema::{LabelSchema, LabelSchemaType, NumericInput, Options, TextInput, TextListInput};
pub use labeling_session::{LabelSchemaRef, LabelingSession, SessionChange, user_key};
pub use review_app::{ReviewApp, ReviewAppChange};
pub use rule::{BrokenRule, MAX_NAME, check_storable, check_text};
pub use run::{NewRun, Run, RunData, RunInfo, RunMetric, RunParam, RunStatus, RunTag, RunUpdate};
pub use search::{RunPage, SearchRuns, SearchTraces, TracePage};
pub use span::SpanId;
pub use timestamp::Timestamp;
pub use trace::{ExperimentLocation, TraceInfo, TraceLocation, TraceState};
