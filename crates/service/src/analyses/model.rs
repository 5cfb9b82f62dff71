//! What a model sees in what was counted: asked for where it is wanted, and never needed.

use std::collections::HashSet;

use analysis::insights::{Finding, Insights, InsightsOutcome};
use domain::{BrokenRule, TraceId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Services;
use crate::error::ServiceError;
use crate::insights::{self, Insight, InsightError, Prompt, Question, Validated};

/// Whether a model is asked what it sees, and which.
#[derive(Debug, Clone)]
pub struct InsightsRequest {
    /// Whether one is asked at all.
    pub are_wanted: bool,
    /// Which; the configured one unless named.
    pub model_endpoint: Option<String>,
}

/// Of what is said of figures, as much of the room for data at most; the rest is for excerpts.
const FIGURES_SHARE: u32 = 2;

impl Services {
    /// Refuses a model that cannot be asked.
    pub(super) fn check_insights(&self, wanted: &InsightsRequest) -> Result<(), BrokenRule> {
        match &wanted.model_endpoint {
            Some(name) => self.check_model_name(name),
            None => Ok(()),
        }
    }

    /// Asks a model about figures and as many excerpts as its budget has room for.
    ///
    /// # Errors
    /// Why there is no answer, in words that may stand in a report.
    pub(super) async fn ask_about<T: DeserializeOwned + Validated>(
        &self,
        wanted: &InsightsRequest,
        prompt: &Prompt,
        figures: Value,
        excerpts: Vec<Value>,
    ) -> Result<Insight<T>, String> {
        if !wanted.are_wanted {
            return Err("none were asked for".to_owned());
        }
        let room = prompt.room_for_data(self.model_policy().token_budget);
        let figures = insights::fit(vec![figures], room / FIGURES_SHARE).pop();
        let excerpts = insights::fit(excerpts, room - room / FIGURES_SHARE);
        let known: HashSet<String> = excerpts
            .iter()
            .filter_map(|excerpt| excerpt.get("trace_id")?.as_str().map(str::to_owned))
            .collect();
        let question = Question {
            prompt,
            data: &json!({"statistics": figures, "traces": excerpts}),
            known: &known,
            model: wanted.model_endpoint.as_deref(),
        };
        insights::ask(self, &question).await.map_err(|error| match error {
            InsightError::NotConfigured => error.to_string(),
            error => format!("the model was asked in vain ({error})"),
        })
    }
}

/// What a model says of a session, as it is shown.
pub(super) fn shown(outcome: Result<Insight<insights::SessionInsights>, String>) -> InsightsOutcome {
    match outcome {
        Ok(Insight { content, model, .. }) => InsightsOutcome::Given(Insights {
            model,
            summary: content.summary,
            findings: content
                .findings
                .into_iter()
                .map(|finding| Finding {
                    title: finding.title,
                    detail: finding.detail,
                    trace_ids: trace_ids(&finding.trace_ids),
                })
                .collect(),
            recommendations: content.recommendations,
        }),
        Err(why) => InsightsOutcome::Absent(why),
    }
}

/// The data of an analysis, and what a model says of it; or why none does.
pub(super) fn with_insights(
    found: &impl Serialize,
    insights: &InsightsOutcome,
) -> Result<Value, ServiceError> {
    let mut data = serde_json::to_value(found).map_err(|error| {
        tracing::error!(%error, "an analysis could not be rendered");
        ServiceError::Interrupted
    })?;
    data["insights"] = match insights {
        InsightsOutcome::Given(insights) => json!(insights),
        InsightsOutcome::Absent(why) => json!({ "absent_because": why }),
    };
    Ok(data)
}

/// Those of these that are ids: each was among those that the model was told.
pub(super) fn trace_ids(told: &[String]) -> Vec<TraceId> {
    told.iter().filter_map(|id| id.parse().ok()).collect()
}
