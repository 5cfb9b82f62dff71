//! Analyses: what many traces, or the labels of many people, say together.
//!
//! What is said is computed by the crate `analysis`; here what that needs is read from traces and reviews. Reports
//! are made by jobs and kept in MLflow, as artifacts of runs.

mod artifacts;
mod digests;
mod experiment;
mod model;
mod pages;
mod patterns;
mod session;
mod subject;

use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use artifacts::Artifact;
pub use experiment::SummaryRequest;
pub use model::InsightsRequest;
pub use pages::TracePages;
pub use subject::AnalysisSubject;

/// Now, in ms since the Unix epoch.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
