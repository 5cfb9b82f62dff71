//! Keeps things of one kind, and answers them as the workspace does.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Object;
use super::kind::Kind;
use crate::databricks::{OWNER, Refusal};

/// What a query says.
pub(super) type Query = HashMap<String, String>;

/// What callers get who do not say how much they want. The real one is unknown; this one shows who does not page.
const PAGE_SIZE: usize = 20;
const MAX_PAGE_SIZE: usize = 1000;
/// Makes page tokens that look like nothing.
const VEIL: u64 = 0x9e37_79b9_7f4a_7c15;

/// Things of one kind, in the order they were made. Each belongs to something else, its parent.
#[derive(Debug)]
pub(super) struct Collection {
    kind: &'static Kind,
    made: u64,
    entries: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    parent: String,
    object: Object,
}

impl Collection {
    pub(super) fn of(kind: &'static Kind) -> Self {
        Self {
            kind,
            made: 0,
            entries: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, parent: &str, mut object: Object) -> Object {
        object.insert(self.kind.id.to_owned(), crate::random_hex().into());
        if self.kind.has_times {
            object.insert("create_time".to_owned(), now().into());
            object.insert("created_by".to_owned(), OWNER.into());
        }
        self.stamp(&mut object);
        self.made += 1;
        let parent = parent.to_owned();
        let entry = Entry {
            parent,
            object: object.clone(),
        };
        self.entries.insert(self.made, entry);
        object
    }

    pub(super) fn get(&self, parent: &str, id: &str) -> Result<&Object, Refusal> {
        Ok(&self.entries[&self.place(parent, id)?].object)
    }

    pub(super) fn all(&self, parent: &str) -> impl Iterator<Item = &Object> {
        let entries = self.entries.values();
        entries
            .filter(move |entry| entry.parent == parent)
            .map(|entry| &entry.object)
    }

    /// Those of a parent that the filter lets through, a page of them.
    pub(super) fn page(
        &self,
        parent: &str,
        query: &Query,
        is_meant: impl Fn(&Object) -> bool,
    ) -> Result<Object, Refusal> {
        let size = query.get("page_size").map_or(Ok(PAGE_SIZE), |size| size.parse());
        let size = size.unwrap_or(0);
        if !(1..=MAX_PAGE_SIZE).contains(&size) {
            let text = format!("page_size must be between 1 and {MAX_PAGE_SIZE}");
            return Err(Refusal::invalid(text));
        }
        let after = query.get("page_token").map_or(Ok(0), |token| unveiled(token))?;
        let mut rest = self
            .entries
            .range(after.saturating_add(1)..)
            .filter(|(_, entry)| entry.parent == parent && is_meant(&entry.object));
        let page: Vec<_> = rest.by_ref().take(size).collect();
        let mut answer = Object::new();
        if let Some((last, _)) = page.last() {
            let objects: Vec<_> = page.iter().map(|(_, entry)| &entry.object).collect();
            answer.insert(self.kind.list.to_owned(), json!(objects));
            if rest.next().is_some() {
                answer.insert("next_page_token".to_owned(), veiled(**last).into());
            }
        }
        Ok(answer)
    }

    /// Sets what is in `change` and nothing else.
    pub(super) fn change(&mut self, parent: &str, id: &str, change: Object) -> Result<Object, Refusal> {
        let place = self.place(parent, id)?;
        let mut object = self.entries[&place].object.clone();
        object.extend(change);
        self.stamp(&mut object);
        let entry = self.entries.get_mut(&place).expect("it was found");
        entry.object.clone_from(&object);
        Ok(object)
    }

    pub(super) fn remove(&mut self, parent: &str, id: &str) -> Result<Object, Refusal> {
        let place = self.place(parent, id)?;
        self.entries.remove(&place);
        Ok(Object::new())
    }

    pub(super) fn remove_all(&mut self, parent: &str) {
        self.entries.retain(|_, entry| entry.parent != parent);
    }

    fn place(&self, parent: &str, id: &str) -> Result<u64, Refusal> {
        let is_it = |entry: &Entry| entry.parent == parent && entry.object[self.kind.id] == id;
        let found = self.entries.iter().find(|(_, entry)| is_it(entry));
        let unknown = || Refusal::unknown(format!("No {} with id {id:?} exists", self.kind.name));
        found.map(|(place, _)| *place).ok_or_else(unknown)
    }

    /// Tells who changed it last, and leaves out what is empty, as the workspace's encoding does.
    fn stamp(&self, object: &mut Object) {
        if self.kind.has_times {
            object.insert("last_update_time".to_owned(), now().into());
            object.insert("last_updated_by".to_owned(), OWNER.into());
        }
        object.retain(|_, value| match value {
            Value::Null => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(list) => !list.is_empty(),
            Value::Object(members) => !members.is_empty(),
            Value::Bool(_) | Value::Number(_) => true,
        });
    }
}

fn veiled(place: u64) -> String {
    format!("{:016x}", place ^ VEIL)
}

fn unveiled(token: &str) -> Result<u64, Refusal> {
    let place = u64::from_str_radix(token, 16).map_err(|_| Refusal::invalid("Invalid page_token"))?;
    Ok(place ^ VEIL)
}

fn now() -> String {
    let now = OffsetDateTime::now_utc();
    let (hour, minute, second, ms) = now.time().as_hms_milli();
    format!("{}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z", now.date())
}
