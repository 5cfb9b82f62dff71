//! Assessments of traces. There is no list of them: they come with the trace's info.
//!
//! The routes are those of MLflow 3, and the same on Databricks; on a server too old for them (2.22) every call is
//! [`ClientError::RouteAbsent`].

use domain::{Assessment, AssessmentId, AssessmentKind, AssessmentUpdate, NewAssessment, TraceId};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::client::MlflowClient;
use crate::error::ClientError;
use crate::transport::Call;
use crate::wire::assessment::AssessmentV3;
use crate::wire::assessment_write::{AssessmentWrite, ValueWrite};

const CREATE: &str = "assessments.create";
const UPDATE: &str = "assessments.update";

/// What of an update is sent, in lowerCamelCase (here one word each). MLflow answers 200 to a name it does not know and
/// changes nothing.
fn mask(update: &AssessmentUpdate) -> String {
    let value = match update.kind {
        AssessmentKind::Feedback => "feedback",
        AssessmentKind::Expectation => "expectation",
    };
    let rationale = update.rationale.is_some().then_some("rationale");
    let metadata = (!update.metadata.is_empty()).then_some("metadata");
    let fields: Vec<_> = [Some(value), rationale, metadata].into_iter().flatten().collect();
    fields.join(",")
}

#[derive(Serialize)]
struct CreateBody<'a> {
    assessment: AssessmentWrite<'a>,
}

#[derive(Serialize)]
struct UpdateBody<'a> {
    assessment: AssessmentWrite<'a>,
    update_mask: String,
}

#[derive(Deserialize)]
struct Answer {
    assessment: AssessmentV3,
}

impl MlflowClient {
    /// Gives an assessment to a trace. Not idempotent: each call gives one more.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the server does not know the trace; [`ClientError::Rejected`] when it refuses the
    /// value, or when the value holds a number too large for a double, which is not sent.
    pub async fn create_assessment(
        &self,
        trace: &TraceId,
        new: &NewAssessment,
    ) -> Result<Assessment, ClientError> {
        let assessment = AssessmentWrite {
            trace_id: trace.as_str(),
            assessment_id: None,
            assessment_name: Some(&new.name),
            source: Some(&new.source),
            value: value(CREATE, new.kind, &new.value)?,
            rationale: new.rationale.as_deref(),
            metadata: &new.metadata,
        };
        let path = format!("/api/3.0/mlflow/traces/{trace}/assessments");
        let call = Call::write(CREATE, Method::POST, path, &CreateBody { assessment })?;
        Ok(self.transport().json::<Answer>(&call).await?.assessment.into())
    }

    /// One assessment of a trace.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the server does not know the trace, or no such assessment of it.
    pub async fn get_assessment(
        &self,
        trace: &TraceId,
        id: &AssessmentId,
    ) -> Result<Assessment, ClientError> {
        let call = Call::get("assessments.get", path(trace, id));
        Ok(self.transport().json::<Answer>(&call).await?.assessment.into())
    }

    /// Changes an assessment; as it is then. Idempotent, but for the time of its last change.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the server does not know the trace, or no such assessment of it;
    /// [`ClientError::Rejected`] when it is of the other kind, or as for [`Self::create_assessment`].
    pub async fn update_assessment(
        &self,
        trace: &TraceId,
        id: &AssessmentId,
        update: &AssessmentUpdate,
    ) -> Result<Assessment, ClientError> {
        let body = UpdateBody {
            assessment: AssessmentWrite {
                trace_id: trace.as_str(),
                assessment_id: Some(id.as_str()),
                assessment_name: None,
                source: None,
                value: value(UPDATE, update.kind, &update.value)?,
                rationale: update.rationale.as_deref(),
                metadata: &update.metadata,
            },
            update_mask: mask(update),
        };
        let call = Call::write(UPDATE, Method::PATCH, path(trace, id), &body)?.idempotent();
        Ok(self.transport().json::<Answer>(&call).await?.assessment.into())
    }
}

fn path(trace: &TraceId, id: &AssessmentId) -> String {
    format!("/api/3.0/mlflow/traces/{trace}/assessments/{id}")
}

/// MLflow 3.17.2 cuts a feedback that is nested deeper, and says nothing of it.
const DEEPEST_FEEDBACK: usize = 48;

/// Whether MLflow keeps a value as it is: not one with a number that no double holds, half a character, or nested too
/// deep.
pub fn is_storable(kind: AssessmentKind, value: &RawValue) -> bool {
    let is_shallow = || {
        let value = serde_json::from_str(value.get()).unwrap_or_default();
        kind != AssessmentKind::Feedback || depth(&value) <= DEEPEST_FEEDBACK
    };
    ValueWrite::new(kind, value).is_some() && is_shallow()
}

/// How deep lists and objects are nested; it was read before, so that it is not too deep to be walked.
fn depth(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or_default(),
        serde_json::Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

/// In our words what the server would have said, had it looked.
fn value<'a>(
    operation: &'static str,
    kind: AssessmentKind,
    value: &'a RawValue,
) -> Result<ValueWrite<'a>, ClientError> {
    ValueWrite::new(kind, value).ok_or_else(|| ClientError::Rejected {
        operation,
        status: 400,
        code: "INVALID_PARAMETER_VALUE".to_owned(),
        message: "the value is nested too deep or holds a number too large".to_owned(),
    })
}

#[cfg(test)]
#[path = "assessments_tests.rs"]
mod tests;
