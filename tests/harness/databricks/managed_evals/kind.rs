//! What callers may set, and what a field mask may name.

use serde_json::Value;

use super::Object;
use crate::databricks::Refusal;

/// A member that callers may set, and what tells whether its value is right.
type Member = (&'static str, fn(&Value) -> bool);

/// A kind of thing that is kept.
#[derive(Debug)]
pub(super) struct Kind {
    /// Its name in messages.
    pub(super) name: &'static str,
    /// The member that holds its id.
    pub(super) id: &'static str,
    /// The member that holds many of it.
    pub(super) list: &'static str,
    /// What callers may set.
    pub(super) members: &'static [Member],
    /// Whether it tells who made and changed it, and when.
    pub(super) has_times: bool,
}

impl Kind {
    /// What of this body may be set. What else is in it, as ids and times, says nothing: the public client sends all.
    pub(super) fn read(&self, body: &Object) -> Result<Object, Refusal> {
        let names = self.members.iter().map(|(name, _)| *name);
        self.taken(names, body)
    }

    /// The members that the mask names, as the body has them; null for those that it has not.
    pub(super) fn masked(&self, mask: Option<&String>, body: &Object) -> Result<Object, Refusal> {
        match mask.map(String::as_str) {
            None | Some("") => Err(Refusal::invalid("Missing required field: update_mask")),
            Some(mask) => self.taken(mask.split(','), body),
        }
    }

    fn taken<'a>(&self, names: impl Iterator<Item = &'a str>, body: &Object) -> Result<Object, Refusal> {
        let mut taken = Object::new();
        for name in names {
            let member = self.members.iter().find(|(known, _)| *known == name);
            let Some((_, is_right)) = member else {
                let text = format!("A {} has no member {name:?} that can be changed", self.name);
                return Err(Refusal::invalid(text));
            };
            let value = body.get(name).cloned().unwrap_or_default();
            if !value.is_null() && !is_right(&value) {
                return Err(Refusal::invalid(format!("Invalid value of {name}: {value}")));
            }
            taken.insert(name.to_owned(), value);
        }
        Ok(taken)
    }
}
