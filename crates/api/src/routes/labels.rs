//! Labels that people give to traces: feedback and expectations.

use std::collections::BTreeMap;

use axum::Json as JsonAnswer;
use domain::{AssessmentId, AssessmentKind, TraceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use service::{Identity, LabelValue, Services};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};

use super::problems::{BodyProblems, UnknownProblems, UpstreamProblems};
use crate::extract::{Asking, Json, PathId, Served};
use crate::problem::Problem;

/// Any JSON but null.
fn label_value() -> Object {
    use Type::{Array, Boolean, Number, Object, String};
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([String, Number, Boolean, Array, Object]))
        .description(Some("Text, number, true or false, list or object."))
        .examples(["yes"])
        .build()
}

/// A label to be given.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewLabel {
    /// What is assessed: the label schema's name.
    #[schema(max_length = 250, example = "correctness")]
    name: String,
    /// Text, number, true or false, list or object.
    #[schema(schema_with = label_value)]
    value: Box<RawValue>,
    /// Why.
    #[schema(example = "Answers the question.")]
    rationale: Option<String>,
    /// Further facts, text to text.
    #[schema(value_type = Option<BTreeMap<String, String>>, example = json!({"page": "labeling"}))]
    metadata: Option<BTreeMap<String, Value>>,
}

/// A label to be given.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewLabelBody {
    /// The label.
    assessment: NewLabel,
}

/// What a label says from now on.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ChangedLabel {
    /// Text, number, true or false, list or object.
    #[schema(schema_with = label_value)]
    value: Box<RawValue>,
    /// Why; emptied unless given.
    #[schema(example = "Answers the question.")]
    rationale: Option<String>,
    /// Further facts, text to text; those that are not named stay.
    #[schema(value_type = Option<BTreeMap<String, String>>, example = json!({"page": "labeling"}))]
    metadata: Option<BTreeMap<String, Value>>,
}

/// A label to be changed.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ChangedLabelBody {
    /// The assessment that the label is.
    #[schema(value_type = String, example = "a-62f7d4f6e9a04b7c8a6c9d9f0c1e2b3a")]
    assessment_id: AssessmentId,
    /// What it says from now on.
    assessment: ChangedLabel,
}

/// A label that was given or changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct GivenLabel {
    /// Always true: what went wrong is a problem.
    success: bool,
    /// The same in words.
    #[schema(example = "the feedback is given")]
    message: &'static str,
    /// The assessment that the label is.
    #[schema(example = "a-62f7d4f6e9a04b7c8a6c9d9f0c1e2b3a")]
    assessment_id: String,
}

fn label(
    kind: AssessmentKind,
    value: Box<RawValue>,
    rationale: Option<String>,
    metadata: Option<BTreeMap<String, Value>>,
) -> LabelValue {
    // MLflow keeps texts only.
    let text = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let metadata = metadata.unwrap_or_default().into_iter();
    LabelValue {
        kind,
        value,
        rationale,
        metadata: metadata.map(|(key, value)| (key, text(value))).collect(),
    }
}

async fn give(
    kind: AssessmentKind,
    message: &'static str,
    (services, identity, trace): (Services, Identity, TraceId),
    NewLabelBody { assessment }: NewLabelBody,
) -> Result<JsonAnswer<GivenLabel>, Problem> {
    let NewLabel {
        name,
        value,
        rationale,
        metadata,
    } = assessment;
    let label = label(kind, value, rationale, metadata);
    let assessment_id = services.give_label(trace, name, label, &identity).await?;
    Ok(JsonAnswer(GivenLabel {
        success: true,
        message,
        assessment_id,
    }))
}

async fn change(
    kind: AssessmentKind,
    message: &'static str,
    (services, identity, trace): (Services, Identity, TraceId),
    body: ChangedLabelBody,
) -> Result<JsonAnswer<GivenLabel>, Problem> {
    let ChangedLabel {
        value,
        rationale,
        metadata,
    } = body.assessment;
    let label = label(kind, value, rationale, metadata);
    let id = body.assessment_id;
    let assessment_id = services.change_label(trace, id, label, &identity).await?;
    Ok(JsonAnswer(GivenLabel {
        success: true,
        message,
        assessment_id,
    }))
}

/// Gives a feedback to a trace, in the name of the user who asks.
#[utoipa::path(
    post,
    path = "/{trace_id}/feedback",
    tag = "labels",
    params(("trace_id" = String, Path, description = "The trace's id", example = "tr-6513270e269e0d37f2a74de452e6b438")),
    request_body = NewLabelBody,
    responses(
        (status = 200, description = "The feedback is given", body = GivenLabel),
        UnknownProblems,
        BodyProblems,
        UpstreamProblems
    )
)]
pub async fn give_feedback(
    Asking(identity): Asking,
    PathId(trace): PathId<TraceId>,
    Served(services): Served,
    Json(body): Json<NewLabelBody>,
) -> Result<JsonAnswer<GivenLabel>, Problem> {
    let to = (services, identity, trace);
    give(AssessmentKind::Feedback, "the feedback is given", to, body).await
}

/// Changes a feedback. A reviewer may change their own.
#[utoipa::path(
    patch,
    path = "/{trace_id}/feedback",
    tag = "labels",
    params(("trace_id" = String, Path, description = "The trace's id", example = "tr-6513270e269e0d37f2a74de452e6b438")),
    request_body = ChangedLabelBody,
    responses(
        (status = 200, description = "The feedback is changed", body = GivenLabel),
        UnknownProblems,
        BodyProblems,
        UpstreamProblems
    )
)]
pub async fn change_feedback(
    Asking(identity): Asking,
    PathId(trace): PathId<TraceId>,
    Served(services): Served,
    Json(body): Json<ChangedLabelBody>,
) -> Result<JsonAnswer<GivenLabel>, Problem> {
    let to = (services, identity, trace);
    change(AssessmentKind::Feedback, "the feedback is changed", to, body).await
}

/// Gives an expectation to a trace, in the name of the user who asks.
#[utoipa::path(
    post,
    path = "/{trace_id}/expectation",
    tag = "labels",
    params(("trace_id" = String, Path, description = "The trace's id", example = "tr-6513270e269e0d37f2a74de452e6b438")),
    request_body = NewLabelBody,
    responses(
        (status = 200, description = "The expectation is given", body = GivenLabel),
        UnknownProblems,
        BodyProblems,
        UpstreamProblems
    )
)]
pub async fn give_expectation(
    Asking(identity): Asking,
    PathId(trace): PathId<TraceId>,
    Served(services): Served,
    Json(body): Json<NewLabelBody>,
) -> Result<JsonAnswer<GivenLabel>, Problem> {
    let to = (services, identity, trace);
    give(AssessmentKind::Expectation, "the expectation is given", to, body).await
}

/// Changes an expectation. A reviewer may change their own.
#[utoipa::path(
    patch,
    path = "/{trace_id}/expectation",
    tag = "labels",
    params(("trace_id" = String, Path, description = "The trace's id", example = "tr-6513270e269e0d37f2a74de452e6b438")),
    request_body = ChangedLabelBody,
    responses(
        (status = 200, description = "The expectation is changed", body = GivenLabel),
        UnknownProblems,
        BodyProblems,
        UpstreamProblems
    )
)]
pub async fn change_expectation(
    Asking(identity): Asking,
    PathId(trace): PathId<TraceId>,
    Served(services): Served,
    Json(body): Json<ChangedLabelBody>,
) -> Result<JsonAnswer<GivenLabel>, Problem> {
    let to = (services, identity, trace);
    change(
        AssessmentKind::Expectation,
        "the expectation is changed",
        to,
        body,
    )
    .await
}
