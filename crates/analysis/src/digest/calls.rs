//! Calls of tools: what with, how often, one after the other or side by side.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use domain::span::SpanView;
use serde_json::Value;

use super::bounded::Bounded;
use super::figures::Figures;

const MAX_TOOLS: usize = 200;
const MAX_PARAMETERS: usize = 50;
const PARAMETER_CHARS: usize = 100;

/// Calls of which it is known when they were, and what with.
const MAX_CALLS: usize = 10_000;

/// A tool.
#[derive(Debug, Clone, Default)]
pub struct Tool {
    /// Its calls.
    pub figures: Figures,
    /// Names of what it is called with.
    pub parameters: BTreeSet<String>,
}

impl Tool {
    fn add_parameters<'a>(&mut self, names: impl Iterator<Item = &'a String>) {
        for name in names {
            if self.parameters.len() < MAX_PARAMETERS {
                self.parameters
                    .insert(name.chars().take(PARAMETER_CHARS).collect());
            }
        }
    }

    /// Takes in what is known of it elsewhere.
    pub(super) fn add(&mut self, other: &Self) {
        self.figures.add(&other.figures);
        self.add_parameters(other.parameters.iter());
    }
}

/// How a trace calls its tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Calling {
    /// Not at all.
    None,
    /// Once.
    Single,
    /// One after the other.
    Sequential,
    /// Some side by side.
    Parallel,
}

/// The call that a trace repeats most, with the same inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatedCall {
    /// The tool.
    pub tool: String,
    /// How often.
    pub times: u32,
}

/// Calls of tools of a trace.
#[derive(Debug, Clone)]
pub struct Calls {
    /// By the tool's name.
    pub tools: Bounded<Tool>,
    /// When they were, in ns since the Unix epoch.
    times: Vec<(u64, u64)>,
    /// How often each was made with the same inputs.
    same: HashMap<u64, u32>,
    repeated: Option<RepeatedCall>,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            tools: Bounded::new(MAX_TOOLS),
            times: Vec::new(),
            same: HashMap::new(),
            repeated: None,
        }
    }
}

impl Calls {
    pub(super) fn add(&mut self, span: &SpanView<'_>, inputs: Option<&Value>, figures: &Figures) {
        let tool = self.tools.entry(span.name());
        tool.figures.add(figures);
        let members = inputs.and_then(Value::as_object);
        tool.add_parameters(members.into_iter().flat_map(|members| members.keys()));
        if let (Some(start), Some(end)) = (span.start_ns(), span.end_ns())
            && self.times.len() < MAX_CALLS
        {
            self.times.push((start, end));
        }
        if let Some(inputs) = inputs {
            self.repeat(span.name(), inputs);
        }
    }

    fn repeat(&mut self, tool: &str, inputs: &Value) {
        let mut hasher = DefaultHasher::new();
        // Members are in the order of their names: equal inputs have equal texts.
        (tool, inputs.to_string()).hash(&mut hasher);
        let key = hasher.finish();
        if self.same.len() >= MAX_CALLS && !self.same.contains_key(&key) {
            return;
        }
        let times = self.same.entry(key).or_insert(0);
        *times += 1;
        if self.repeated.as_ref().is_none_or(|most| *times > most.times) {
            self.repeated = Some(RepeatedCall {
                tool: tool.to_owned(),
                times: *times,
            });
        }
    }

    /// The call that is repeated most.
    pub fn repeated(&self) -> Option<&RepeatedCall> {
        self.repeated.as_ref()
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.tools.iter().map(|(_, tool)| tool.figures.count).sum()
    }

    /// How they were made.
    pub fn calling(&self) -> Calling {
        match self.count() {
            0 => return Calling::None,
            1 => return Calling::Single,
            _ => {}
        }
        let mut times = self.times.clone();
        times.sort_unstable();
        if times.windows(2).any(|pair| pair[1].0 < pair[0].1) {
            Calling::Parallel
        } else {
            Calling::Sequential
        }
    }
}
