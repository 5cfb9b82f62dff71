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

use domain::RunId;
use serde_json::Value;

use crate::Services;
use crate::answer::Origin;
use crate::cache::Freshness;
use crate::error::ServiceError;
pub(crate) use artifacts::Artifact;
pub use experiment::SummaryRequest;
pub use model::InsightsRequest;
pub use pages::TracePages;
pub use subject::AnalysisSubject;

/// A report as it is kept.
struct KeptReport {
    /// In Markdown; nothing where there is none.
    content: Option<String>,
    /// What it was made from, as the crate `analysis` wrote it, or another server by the same names; null where there is none.
    data: Value,
    origin: Origin,
}

impl Services {
    /// A report and its data, read side by side.
    async fn kept_report(
        &self,
        run: Option<&RunId>,
        report: &str,
        data: &str,
        freshness: Freshness,
    ) -> Result<KeptReport, ServiceError> {
        let Some(run) = run else {
            return Ok(KeptReport {
                content: None,
                data: Value::Null,
                origin: Origin::ASKED,
            });
        };
        let (report, data) = tokio::try_join!(
            self.artifact(run, report, freshness),
            self.artifact(run, data, freshness)
        )?;
        let origin = Origin::from(&report).and(Origin::from(&data));
        let data = data.value.text().and_then(|text| serde_json::from_str(text).ok());
        Ok(KeptReport {
            content: report.value.text().map(str::to_owned),
            data: data.unwrap_or_default(),
            origin,
        })
    }
}

/// Now, in ms since the Unix epoch.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
