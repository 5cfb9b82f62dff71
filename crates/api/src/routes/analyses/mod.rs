//! Analyses: patterns of traces, summaries of experiments, analyses of labeling sessions.
//!
//! What takes long is a job: triggered, watched at `…/status` and `…/status/stream`, cancelled by DELETE of its status.

pub mod experiments;
pub mod patterns;
pub mod sessions;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use domain::Job;
use futures::StreamExt;
use http::{HeaderValue, header};
use serde::Serialize;
use service::{AnalysisSubject, Identity, InsightsRequest, Services};

use crate::problem::Problem;
use crate::state::AppState;
use crate::stream::{Ending, KEEP_ALIVE};

/// Of a name of a model so many characters are read: it is refused or shown.
const MAX_MODEL: usize = 200;

/// Where a job stands, as all of them tell it.
#[derive(Debug)]
struct Standing {
    status: &'static str,
    message: String,
    run_id: Option<String>,
    report_path: Option<String>,
}

impl From<Option<Job>> for Standing {
    fn from(job: Option<Job>) -> Self {
        job.map_or_else(
            || Self {
                status: "not_found",
                message: "none has been asked for".to_owned(),
                run_id: None,
                report_path: None,
            },
            |job| Self {
                status: job.status.shown(),
                message: job.message,
                run_id: job.run_id.map(|id| id.to_string()),
                report_path: job.report_path,
            },
        )
    }
}

/// Where the latest job about this stands.
async fn standing(services: &Services, subject: &AnalysisSubject) -> Result<Standing, Problem> {
    Ok(services.analysis_job(subject).await?.into())
}

/// Cancels the job about this that is under way; where it stands then.
async fn cancelled(
    services: &Services,
    subject: &AnalysisSubject,
    identity: &Identity,
) -> Result<Standing, Problem> {
    Ok(services
        .cancel_analysis(subject, &identity.user_name)
        .await?
        .into())
}

/// Each change of a job as an event `status`, until it is over; then the stream ends. An event `error` where it cannot be
/// told.
async fn events<T: Serialize>(
    services: &Services,
    subject: &AnalysisSubject,
    shown: impl Fn(Standing) -> T + Send + 'static,
    state: &AppState,
) -> Result<Response, Problem> {
    let updates = services.analysis_job_updates(subject).await?;
    let updates = Ending::new(updates, state.ending().clone());
    let events = updates.map(move |job| match job {
        Ok(job) => Event::default().event("status").json_data(shown(job.into())),
        Err(error) => {
            tracing::warn!(%error, "a job cannot be watched any more");
            let told =
                serde_json::json!({"error": {"code": error.code(), "message": error.public_message()}});
            Event::default().event("error").json_data(told)
        }
    });
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok((no_store, sse).into_response())
}

/// Whether a model is asked, and which.
fn insights(are_wanted: bool, model_endpoint: Option<String>) -> Result<InsightsRequest, Problem> {
    let model_endpoint = model_endpoint.filter(|name| !name.trim().is_empty());
    if model_endpoint
        .as_ref()
        .is_some_and(|name| name.chars().count() > MAX_MODEL)
    {
        let rule = format!("must be at most {MAX_MODEL} characters long");
        return Err(Problem::invalid_field("model_endpoint", rule));
    }
    Ok(InsightsRequest {
        are_wanted,
        model_endpoint,
    })
}
