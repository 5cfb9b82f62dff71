//! Labels that people give to traces: kept in MLflow itself, where its own page and SDK see them.

use std::collections::BTreeMap;

use domain::{
    Assessment, AssessmentId, AssessmentKind, AssessmentSource, AssessmentUpdate, BrokenRule, MAX_NAME,
    NewAssessment, RATIONALE, TraceId, check_storable, check_text,
};
use mlflow_client::is_storable;
use serde_json::value::RawValue;

use crate::Services;
use crate::access::Identity;
use crate::cache::Thing;
use crate::error::ServiceError;
use crate::upstream::UpstreamError;

/// What MLflow calls an assessment by a person.
const HUMAN: &str = "HUMAN";

/// What a label says.
#[derive(Debug, Clone)]
pub struct LabelValue {
    /// Feedback or expectation.
    pub kind: AssessmentKind,
    /// Text, number, bool, list or object, as it was sent.
    pub value: Box<RawValue>,
    /// Why.
    pub rationale: Option<String>,
    /// Further facts, text to text.
    pub metadata: BTreeMap<String, String>,
}

impl LabelValue {
    fn checked(mut self) -> Result<Self, ServiceError> {
        if self.value.get() == "null" {
            let rule = "must be a text, a number, true or false, a list or an object";
            return Err(BrokenRule::new("assessment.value", rule).into());
        }
        if !is_storable(self.kind, &self.value) {
            let rule = "must hold no number that a double does not hold, no half of a character, and not be nested deep";
            return Err(BrokenRule::new("assessment.value", rule).into());
        }
        check_storable(
            "assessment.rationale",
            self.rationale.as_deref().unwrap_or_default(),
        )?;
        for (key, value) in &self.metadata {
            check_text("assessment.metadata", key, MAX_NAME)?;
            check_storable("assessment.metadata", value)?;
        }
        if let Some(rationale) = &self.rationale {
            self.metadata.insert(RATIONALE.to_owned(), rationale.clone());
        }
        Ok(self)
    }
}

impl Services {
    /// Gives a label to a trace, in the name of the user who asks; the new assessment's id.
    ///
    /// # Errors
    /// [`ServiceError::TraceNotFound`], [`ServiceError::Invalid`].
    pub async fn give_label(
        &self,
        trace: TraceId,
        name: String,
        label: LabelValue,
        asking: &Identity,
    ) -> Result<String, ServiceError> {
        check_text("assessment.name", &name, MAX_NAME)?;
        let LabelValue {
            kind,
            value,
            rationale,
            metadata,
        } = label.checked()?;
        let new = NewAssessment {
            name,
            kind,
            value,
            source: AssessmentSource {
                source_type: HUMAN.to_owned(),
                source_id: asking.user_name.clone(),
            },
            rationale,
            metadata,
        };
        let services = self.clone();
        self.write_by_one_call(touched_by_label(&trace), async move {
            let given = services.sink.create_assessment(&trace, &new).await;
            let given = given.map_err(|error| ServiceError::from(error).about_trace(&trace))?;
            Ok(given.assessment_id)
        })
        .await
    }

    /// Changes what a label says: value and rationale, which is emptied when it is not given. Who gave it does not
    /// change.
    ///
    /// # Errors
    /// [`ServiceError::AssessmentNotFound`]; [`ServiceError::AccessDenied`] when a reviewer changes what they did not
    /// give; [`ServiceError::Invalid`] when it is of the other kind.
    pub async fn change_label(
        &self,
        trace: TraceId,
        id: AssessmentId,
        mut label: LabelValue,
        asking: &Identity,
    ) -> Result<String, ServiceError> {
        // The frontend leaves out a comment that was taken back.
        label.rationale.get_or_insert_default();
        let LabelValue {
            kind,
            value,
            rationale,
            metadata,
        } = label.checked()?;
        let update = AssessmentUpdate {
            kind,
            value,
            rationale,
            metadata,
        };
        let (services, asking) = (self.clone(), asking.clone());
        self.write_by_one_call(touched_by_label(&trace), async move {
            let unknown = |error: UpstreamError| match error {
                error if error.is_not_found() => ServiceError::AssessmentNotFound {
                    trace_id: trace.clone(),
                    assessment_id: id.clone(),
                },
                error => error.into(),
            };
            let given = services.sink.get_assessment(&trace, &id).await.map_err(unknown)?;
            check_may_change(&given, update.kind, &asking)?;
            let changed = services.sink.update_assessment(&trace, &id, &update).await;
            Ok(changed.map_err(unknown)?.assessment_id)
        })
        .await
    }
}

fn touched_by_label(trace: &TraceId) -> Vec<Thing> {
    vec![Thing::Trace(trace.clone()), Thing::AnyAssessment]
}

fn check_may_change(given: &Assessment, kind: AssessmentKind, asking: &Identity) -> Result<(), ServiceError> {
    let is_own = given.source.source_type == HUMAN
        && asking.keys().contains(&domain::user_key(&given.source.source_id));
    if !asking.is_developer() && !is_own {
        return Err(ServiceError::AccessDenied(
            "only the one who gave a label may change it, or a developer",
        ));
    }
    let rule = match (given.kind(), kind) {
        (given, asked) if given == Some(asked) => return Ok(()),
        (_, AssessmentKind::Feedback) => "must be the id of a feedback",
        (_, AssessmentKind::Expectation) => "must be the id of an expectation",
    };
    Err(BrokenRule::new("assessment_id", rule).into())
}
