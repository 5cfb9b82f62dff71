//! The words of the field as plain types: no I/O, no async, no HTTP.
//!
//! | word | meaning |
//! |---|---|
//! | Trace | one run of an agent: its [`TraceInfo`] and its spans |
//! | `TraceInfo` | what is known of a trace without its spans: state, times, tags, metadata, assessments |
//! | Span | one step of a trace, kept as the JSON text MLflow stores; [`span`] reads only what it must |
//! | [`Assessment`] | a feedback or an expectation given to a trace by a human, a judge or code |
//! | [`Run`], [`Experiment`] | where traces are grouped |
//!
//! Every type serialises exactly as the HTTP contract spells it, so that a rendered answer can be kept and
//! served as bytes.

mod assessment;
mod experiment;
mod ids;
mod run;
pub mod span;
pub mod span_v2;
mod timestamp;
mod trace;

pub use assessment::{Assessment, AssessmentError, AssessmentSource, AssessmentValue};
pub use experiment::{Experiment, ExperimentTag};
pub use ids::{ExperimentId, InvalidId, RunId, TraceId};
pub use run::{Run, RunData, RunInfo, RunMetric, RunParam, RunTag};
pub use span::SpanId;
pub use timestamp::Timestamp;
pub use trace::{ExperimentLocation, TraceInfo, TraceLocation, TraceState};
