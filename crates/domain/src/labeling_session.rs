//! A labeling session: some traces, given to some people, to be labeled by some schemas.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{LabelingSessionId, RunId};
use crate::rule::{BrokenRule, MAX_NAME, changed, check_text, lenient, or_default};
use crate::timestamp::Timestamp;

const MAX_USERS: usize = 1000;
const MAX_SCHEMAS: usize = 100;

/// A label schema, by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LabelSchemaRef {
    /// The schema's name.
    #[cfg_attr(feature = "openapi", schema(example = "correctness"))]
    pub name: String,
}

/// Some traces, given to some people, to be labeled by some schemas. Its traces are linked to its MLflow run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LabelingSession {
    /// The session's id.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a"))]
    pub labeling_session_id: LabelingSessionId,
    /// The run that the session's traces are linked to.
    #[serde(default, deserialize_with = "lenient")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "0369c1902ac742509073ee058e6c6756"))]
    pub mlflow_run_id: Option<RunId>,
    /// When it was made (RFC 3339).
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "2026-11-23T18:09:40.120Z"))]
    pub create_time: Option<Timestamp>,
    /// Who made it.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = "dev@example.com"))]
    pub created_by: Option<String>,
    /// When it last changed (RFC 3339). A change that brings this back is refused when it is not true any more.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "2026-11-23T18:09:40.120Z"))]
    pub last_update_time: Option<Timestamp>,
    /// Who changed it last.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = "dev@example.com"))]
    pub last_updated_by: Option<String>,
    /// The session's name.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(required, example = "Week 47"))]
    pub name: String,
    /// Who labels: names or e-mail addresses, in any case. One who asks finds themself spelled as they are known.
    #[serde(default, deserialize_with = "or_default")]
    #[cfg_attr(feature = "openapi", schema(required, example = json!(["ann@example.com"])))]
    pub assigned_users: Vec<String>,
    /// The agent that reviewers chat with; kept as it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>, example = json!({"agent_name": "support"})))]
    pub agent: Option<Value>,
    /// What reviewers are asked.
    #[serde(default, deserialize_with = "or_default")]
    #[cfg_attr(feature = "openapi", schema(required))]
    pub labeling_schemas: Vec<LabelSchemaRef>,
    /// The dataset that its items come from; kept as it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>, example = json!({"dataset_name": "orders"})))]
    pub dataset: Option<Value>,
    /// Further settings; kept as they are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>, example = json!({"disable_multi_turn_chat": true})))]
    pub additional_configs: Option<Value>,
}

/// What a new session is made from, or how one changes. What is `None` is not set, or stays as it is; an inner `None`
/// takes away what was there.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the members of LabelingSession")]
pub struct SessionChange {
    pub name: Option<String>,
    pub assigned_users: Option<Vec<String>>,
    pub labeling_schemas: Option<Vec<LabelSchemaRef>>,
    pub agent: Option<Option<Value>>,
    pub dataset: Option<Option<Value>>,
    pub additional_configs: Option<Option<Value>>,
}

impl SessionChange {
    /// The members that it changes, as a field mask names them.
    pub fn fields(&self) -> Vec<&'static str> {
        let fields = [
            ("name", self.name.is_some()),
            ("assigned_users", self.assigned_users.is_some()),
            ("labeling_schemas", self.labeling_schemas.is_some()),
            ("agent", self.agent.is_some()),
            ("dataset", self.dataset.is_some()),
            ("additional_configs", self.additional_configs.is_some()),
        ];
        changed(fields)
    }

    /// Holds what a user sends to the rules. Names lose the space around them, users and schemas named twice count
    /// once.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn checked(mut self) -> Result<Self, BrokenRule> {
        if let Some(name) = &mut self.name {
            check_text("name", name, MAX_NAME)?;
            *name = name.trim().to_owned();
        }
        if let Some(users) = self.assigned_users.take() {
            let mut seen = HashSet::new();
            let mut kept = Vec::with_capacity(users.len());
            for (index, user) in users.into_iter().enumerate() {
                check_text(&format!("assigned_users[{index}]"), &user, MAX_NAME)?;
                if seen.insert(user_key(&user)) {
                    kept.push(user.trim().to_owned());
                }
            }
            check_count("assigned_users", kept.len(), MAX_USERS)?;
            self.assigned_users = Some(kept);
        }
        if let Some(schemas) = &mut self.labeling_schemas {
            let mut seen = HashSet::new();
            schemas.retain(|schema| seen.insert(schema.name.clone()));
            check_count("labeling_schemas", schemas.len(), MAX_SCHEMAS)?;
        }
        for (field, value) in [
            ("agent", &self.agent),
            ("dataset", &self.dataset),
            ("additional_configs", &self.additional_configs),
        ] {
            if value.iter().flatten().any(|value| !value.is_object()) {
                return Err(BrokenRule::new(field, "must be an object"));
            }
        }
        Ok(self)
    }
}

fn check_count(field: &str, count: usize, max: usize) -> Result<(), BrokenRule> {
    if count > max {
        return Err(BrokenRule::new(field, format!("must be at most {max}")));
    }
    Ok(())
}

/// The form in which two names of one user are equal.
pub fn user_key(name: &str) -> String {
    name.trim().to_lowercase()
}

impl LabelingSession {
    /// Changes what the change names.
    pub fn apply(&mut self, change: SessionChange) {
        let SessionChange {
            name,
            assigned_users,
            labeling_schemas,
            agent,
            dataset,
            additional_configs,
        } = change;
        set(&mut self.name, name);
        set(&mut self.assigned_users, assigned_users);
        set(&mut self.labeling_schemas, labeling_schemas);
        set(&mut self.agent, agent);
        set(&mut self.dataset, dataset);
        set(&mut self.additional_configs, additional_configs);
    }

    /// Spells this user as they are known where they are assigned: the frontend looks for exactly that.
    pub fn spell(&mut self, user: &str) {
        let key = user_key(user);
        for assigned in &mut self.assigned_users {
            if user_key(assigned) == key {
                user.clone_into(assigned);
            }
        }
    }

    /// Whether one of these names is among the assigned users.
    pub fn is_assigned_to<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> bool {
        let keys: HashSet<_> = names.into_iter().map(user_key).collect();
        self.assigned_users
            .iter()
            .any(|user| keys.contains(&user_key(user)))
    }
}

fn set<T>(member: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *member = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_named_twice_count_once_and_in_any_case() {
        let users = ["Ann@Example.com", " ann@example.com ", "bob"].map(str::to_owned);
        let change = SessionChange {
            assigned_users: Some(users.to_vec()),
            ..SessionChange::default()
        };
        let kept = change.checked().unwrap().assigned_users.unwrap();
        assert_eq!(kept, ["Ann@Example.com", "bob"]);
    }

    #[test]
    fn a_broken_rule_names_its_field() {
        let none = SessionChange::default;
        let cases = [
            (
                SessionChange {
                    name: Some("\n".into()),
                    ..none()
                },
                "name",
            ),
            (
                SessionChange {
                    assigned_users: Some(vec!["a".into(), String::new()]),
                    ..none()
                },
                "assigned_users[1]",
            ),
            (
                SessionChange {
                    agent: Some(Some(Value::from(3))),
                    ..none()
                },
                "agent",
            ),
        ];
        for (change, field) in cases {
            assert_eq!(change.checked().unwrap_err().field, field);
        }
    }
}
