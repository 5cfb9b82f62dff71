//! A map that takes only so many keys.

use std::collections::BTreeMap;

/// What further keys are counted under.
const OTHERS: &str = "(others)";

/// The longest key, in characters.
const KEY_CHARS: usize = 200;

/// A map of so many keys at most, and one for all others together. In the order of its keys.
#[derive(Debug, Clone)]
pub struct Bounded<V> {
    limit: usize,
    values: BTreeMap<String, V>,
}

impl<V: Default> Bounded<V> {
    /// An empty map that takes so many keys.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            values: BTreeMap::new(),
        }
    }

    /// The value of this key, or of all others.
    pub fn entry(&mut self, key: &str) -> &mut V {
        let end = key.char_indices().nth(KEY_CHARS).map_or(key.len(), |(at, _)| at);
        let key = &key[..end];
        let is_known = self.values.contains_key(key);
        let key = if is_known || self.values.len() < self.limit {
            key
        } else {
            OTHERS
        };
        self.values.entry(key.to_owned()).or_default()
    }

    /// The value of this key.
    pub fn get(&self, key: &str) -> Option<&V> {
        self.values.get(key)
    }

    /// All of them, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Those that are counted by themselves.
    pub fn known(&self) -> impl Iterator<Item = (&str, &V)> {
        self.iter().filter(|(key, _)| *key != OTHERS)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}
