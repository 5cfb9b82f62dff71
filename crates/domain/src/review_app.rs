//! A review app: what an experiment's traces are reviewed by.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{ExperimentId, ReviewAppId};
use crate::label_schema::LabelSchema;
use crate::rule::{BrokenRule, changed};
use crate::timestamp::Timestamp;

/// What an experiment's traces are reviewed by. There is one for each experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReviewApp {
    /// The review app's id.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "4b2f0d6c8e1a4f7d9c3b5a7e6f8d0c1b"))]
    pub review_app_id: ReviewAppId,
    /// The experiment whose traces are reviewed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "1"))]
    pub experiment_id: ExperimentId,
    /// Agents that reviewers may chat with; kept as they are sent.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required, value_type = Vec<Object>, example = json!([{"agent_name": "support"}])))]
    pub agents: Vec<Value>,
    /// What reviewers can be asked, in the order it is shown.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required))]
    pub labeling_schemas: Vec<LabelSchema>,
    /// When it last changed, where that is known: what a change that must not be lost is held against.
    #[serde(default, skip_serializing)]
    #[cfg_attr(feature = "openapi", schema(ignore))]
    pub last_update_time: Option<Timestamp>,
}

/// A change of a review app; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReviewAppChange {
    /// All agents anew.
    pub agents: Option<Vec<Value>>,
    /// All label schemas anew.
    pub labeling_schemas: Option<Vec<LabelSchema>>,
}

/// The most label schemas of a review app.
const MAX_SCHEMAS: usize = 100;

impl ReviewAppChange {
    /// The members that it changes, as a field mask names them.
    pub fn fields(&self) -> Vec<&'static str> {
        let fields = [
            ("agents", self.agents.is_some()),
            ("labeling_schemas", self.labeling_schemas.is_some()),
        ];
        changed(fields)
    }

    /// Holds what a user sends to the rules; what is as it was stored is not asked about.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self, stored: &[LabelSchema]) -> Result<(), BrokenRule> {
        let schemas = self.labeling_schemas.as_deref().unwrap_or_default();
        check_count(schemas)?;
        for (index, schema) in schemas.iter().enumerate() {
            let at = |field: &str| match field {
                "body" => format!("labeling_schemas[{index}]"),
                field => format!("labeling_schemas[{index}].{field}"),
            };
            if !stored.contains(schema) {
                schema
                    .check()
                    .map_err(|broken| BrokenRule::new(at(&broken.field), broken.rule))?;
            }
            if schemas[..index].iter().any(|before| before.name == schema.name) {
                return Err(BrokenRule::new(
                    at("name"),
                    "must differ from the names before it",
                ));
            }
        }
        for (index, agent) in self.agents.iter().flatten().enumerate() {
            if !agent.is_object() {
                return Err(BrokenRule::new(format!("agents[{index}]"), "must be an object"));
            }
        }
        Ok(())
    }
}

/// Refuses more label schemas than anyone could show.
///
/// # Errors
/// The rule that is broken.
fn check_count(schemas: &[LabelSchema]) -> Result<(), BrokenRule> {
    if schemas.len() > MAX_SCHEMAS {
        let rule = format!("must be at most {MAX_SCHEMAS}");
        return Err(BrokenRule::new("labeling_schemas", rule));
    }
    Ok(())
}

impl ReviewApp {
    /// Adds a label schema.
    ///
    /// # Errors
    /// When there are too many.
    pub fn add_schema(&mut self, schema: LabelSchema) -> Result<(), BrokenRule> {
        self.labeling_schemas.push(schema);
        check_count(&self.labeling_schemas)
    }

    /// The label schema of this name.
    pub fn schema(&self, name: &str) -> Option<&LabelSchema> {
        self.labeling_schemas.iter().find(|schema| schema.name == name)
    }
}
