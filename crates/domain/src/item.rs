//! An item of a labeling session: one trace to be labeled, and how far that has come.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{ItemId, TraceId};
use crate::rule::{BrokenRule, MAX_NAME, changed, check_storable, check_text, lenient, or_default};
use crate::timestamp::Timestamp;

const MAX_LABELS: usize = 200;
/// Labels and rounds of one item together, as JSON text: a page of items is read whole.
const MAX_JSON_BYTES: usize = 1 << 20;
const MAX_COMMENT: usize = 20_000;

/// How far the labeling of an item has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ItemState {
    /// Nobody has begun.
    #[default]
    Pending,
    /// Somebody has begun.
    InProgress,
    /// All labels are given.
    Completed,
    /// It is left out.
    Skipped,
}

impl ItemState {
    /// The word the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Skipped => "SKIPPED",
        }
    }
}

impl std::str::FromStr for ItemState {
    type Err = BrokenRule;

    fn from_str(text: &str) -> Result<Self, BrokenRule> {
        let all = [Self::Pending, Self::InProgress, Self::Completed, Self::Skipped];
        let found = all.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| BrokenRule::new("state", "must be PENDING, IN_PROGRESS, COMPLETED or SKIPPED"))
    }
}

/// What an item is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ItemSource {
    /// The trace; absent where the item comes from a dataset, or from a trace in Unity Catalog (Databricks only).
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "tr-6513270e269e0d37f2a74de452e6b438"))]
    pub trace_id: Option<TraceId>,
    /// What else the server that keeps it knows of it, passed on unread.
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schema(ignore))]
    pub further: Map<String, Value>,
}

impl ItemSource {
    /// An item about this trace.
    pub fn trace(id: TraceId) -> Self {
        Self {
            trace_id: Some(id),
            further: Map::new(),
        }
    }
}

/// A label as it stands on an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Label {
    /// Text, number, bool, list or object.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value))]
    pub value: Value,
    /// Said beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = "Answers the question."))]
    pub comment: Option<String>,
    /// What else the server that keeps it knows of it, passed on unread.
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schema(ignore))]
    pub further: Map<String, Value>,
}

/// One trace of a labeling session, and how far its labeling has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Item {
    /// The item's id.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"))]
    pub item_id: ItemId,
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
    #[cfg_attr(feature = "openapi", schema(example = "ann@example.com"))]
    pub last_updated_by: Option<String>,
    /// What it is about.
    #[serde(default, deserialize_with = "or_default")]
    #[cfg_attr(feature = "openapi", schema(required))]
    pub source: ItemSource,
    /// How far it has come.
    #[serde(default, deserialize_with = "stored_state")]
    #[cfg_attr(feature = "openapi", schema(required))]
    pub state: ItemState,
    /// Rounds of chat with an agent; kept as they are sent.
    #[serde(default, deserialize_with = "or_default")]
    #[cfg_attr(feature = "openapi", schema(required, value_type = Vec<Object>, example = json!([])))]
    pub chat_rounds: Vec<Value>,
    /// Labels that stand on the item itself, by name. Labels given by feedback and expectation stand on the trace.
    #[serde(default, deserialize_with = "or_default")]
    #[cfg_attr(feature = "openapi", schema(required, example = json!({"tone": {"value": "friendly", "comment": "throughout"}})))]
    pub labels: BTreeMap<String, Label>,
    /// Said about the item as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = "The customer was asked twice."))]
    pub comment: Option<String>,
    /// The trace's request in short.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = "Where is my order 4711?"))]
    pub request_preview: Option<String>,
    /// The trace's response in short.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(example = "It arrives on Friday."))]
    pub response_preview: Option<String>,
}

/// A state that another server stored; one of its own counts as pending.
fn stored_state<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<ItemState, D::Error> {
    Ok(lenient(deserializer)?.unwrap_or_default())
}

/// How an item changes. What is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ItemChange {
    /// The state anew.
    pub state: Option<ItemState>,
    /// Labels by name: set one by one, so that two reviewers do not take each other's away; `None` takes one away.
    pub labels: Option<BTreeMap<String, Option<Label>>>,
    /// The comment anew; an inner `None` takes it away.
    pub comment: Option<Option<String>>,
    /// All rounds anew.
    pub chat_rounds: Option<Vec<Value>>,
}

impl ItemChange {
    /// The members that it changes, as a field mask names them.
    pub fn fields(&self) -> Vec<&'static str> {
        let fields = [
            ("state", self.state.is_some()),
            ("labels", self.labels.is_some()),
            ("comment", self.comment.is_some()),
            ("chat_rounds", self.chat_rounds.is_some()),
        ];
        changed(fields)
    }

    /// Holds what a user sends to the rules.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self) -> Result<(), BrokenRule> {
        for (name, label) in self.labels.iter().flatten() {
            let field = format!("labels.{}", name.escape_debug());
            check_text(&field, name, MAX_NAME)?;
            if label.as_ref().is_some_and(|label| label.value.is_null()) {
                return Err(BrokenRule::new(format!("{field}.value"), "is required"));
            }
        }
        for comment in self.comment.iter().flatten() {
            check_storable("comment", comment)?;
            if comment.chars().count() > MAX_COMMENT {
                let rule = format!("must be at most {MAX_COMMENT} characters long");
                return Err(BrokenRule::new("comment", rule));
            }
        }
        if self.chat_rounds.iter().flatten().any(|round| !round.is_object()) {
            return Err(BrokenRule::new("chat_rounds", "must be a list of objects"));
        }
        Ok(())
    }
}

impl Item {
    /// Changes what the change names.
    ///
    /// # Errors
    /// When more would stand on the item than can be kept.
    pub fn apply(&mut self, change: ItemChange) -> Result<(), BrokenRule> {
        let ItemChange {
            state,
            labels,
            comment,
            chat_rounds,
        } = change;
        let may_grow = labels.is_some() || chat_rounds.is_some();
        if let Some(state) = state {
            self.state = state;
        }
        for (name, label) in labels.into_iter().flatten() {
            match label {
                Some(label) => self.labels.insert(name, label),
                None => self.labels.remove(&name),
            };
        }
        if let Some(comment) = comment {
            self.comment = comment;
        }
        if let Some(rounds) = chat_rounds {
            self.chat_rounds = rounds;
        }
        // What another server let grow beyond that may still be completed.
        if may_grow { self.check_size() } else { Ok(()) }
    }

    fn check_size(&self) -> Result<(), BrokenRule> {
        if self.labels.len() > MAX_LABELS {
            return Err(BrokenRule::new("labels", format!("must be at most {MAX_LABELS}")));
        }
        // What was read as JSON can be written as JSON.
        let json = serde_json::to_vec(&(&self.labels, &self.chat_rounds)).unwrap_or_default();
        if json.len() > MAX_JSON_BYTES {
            let rule = format!("must be at most {MAX_JSON_BYTES} bytes, chat_rounds included");
            return Err(BrokenRule::new("labels", rule));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item() -> Item {
        serde_json::from_value(json!({"item_id": "i", "source": {"trace_id": "tr-1"}})).unwrap()
    }

    fn label(value: &Value) -> Label {
        serde_json::from_value(json!({ "value": value })).unwrap()
    }

    fn labels(name: &str, value: Option<&Value>) -> ItemChange {
        ItemChange {
            labels: Some([(name.to_owned(), value.map(label))].into()),
            ..ItemChange::default()
        }
    }

    #[test]
    fn labels_are_set_one_by_one() {
        let mut item = item();
        item.apply(labels("a", Some(&json!(1)))).unwrap();
        item.apply(labels("b", Some(&json!(["x", {"y": null}])))).unwrap();
        item.apply(labels("a", None)).unwrap();
        assert_eq!(
            item.labels,
            [("b".to_owned(), label(&json!(["x", {"y": null}])))].into()
        );
        assert_eq!(item.state, ItemState::Pending);
    }

    #[test]
    fn an_item_does_not_grow_without_bound() {
        let mut item = item();
        for nth in 0..MAX_LABELS {
            item.apply(labels(&nth.to_string(), Some(&json!(nth)))).unwrap();
        }
        assert_eq!(
            item.apply(labels("one more", Some(&json!(1)))).unwrap_err().field,
            "labels"
        );
        let huge = json!("x".repeat(MAX_JSON_BYTES));
        assert_eq!(
            self::item().apply(labels("a", Some(&huge))).unwrap_err().field,
            "labels"
        );
    }

    #[test]
    fn what_another_server_stored_is_read_as_far_as_we_know_it() {
        let stored = json!({"item_id": "i", "source": {"trace_id": "trace:/c.s/0123", "x": 1}, "labels": null,
            "state": "STATE_UNSPECIFIED", "chat_rounds": null});
        let item: Item = serde_json::from_value(stored).unwrap();
        assert_eq!((item.source.trace_id, item.state), (None, ItemState::Pending));
        assert!(serde_json::from_value::<ItemState>(json!("STATE_UNSPECIFIED")).is_err());
    }

    #[test]
    fn a_new_item_has_all_members_the_client_reads() {
        let written = serde_json::to_value(item()).unwrap();
        assert_eq!(
            written,
            json!({
                "item_id": "i", "create_time": null, "created_by": null, "last_update_time": null,
                "last_updated_by": null, "source": {"trace_id": "tr-1"}, "state": "PENDING", "chat_rounds": [],
                "labels": {}, "request_preview": null, "response_preview": null,
            })
        );
    }

    #[test]
    fn states_are_read_as_they_are_written() {
        for state in [
            ItemState::Pending,
            ItemState::InProgress,
            ItemState::Completed,
            ItemState::Skipped,
        ] {
            assert_eq!(state.as_str().parse(), Ok(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        assert!("DONE".parse::<ItemState>().is_err());
    }

    #[test]
    fn a_broken_rule_names_its_field() {
        let broken = labels("", Some(&json!(1))).check().unwrap_err();
        assert_eq!(broken.field, "labels.");
        let broken = labels("a", Some(&Value::Null)).check().unwrap_err();
        assert_eq!(broken.field, "labels.a.value");
        let comment = ItemChange {
            comment: Some(Some("a\0".into())),
            ..ItemChange::default()
        };
        assert_eq!(comment.check().unwrap_err().field, "comment");
        let rounds = ItemChange {
            chat_rounds: Some(vec![json!(1)]),
            ..ItemChange::default()
        };
        assert_eq!(rounds.check().unwrap_err().field, "chat_rounds");
    }
}
