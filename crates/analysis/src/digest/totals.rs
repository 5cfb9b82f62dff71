//! Many traces together.

use std::collections::BTreeMap;

use domain::TraceState;

use super::bounded::Bounded;
use super::calls::{Calling, Tool};
use super::figures::{Cost, Figures, Tokens};
use super::talk::Form;
use super::{MAX_NAMES, MAX_TYPES, TraceDigest};
use crate::stats::Sample;

const MAX_TOOLS: usize = 200;
const MAX_FIELDS: usize = 200;
const MAX_CONVERSATIONS: usize = 1000;

/// Many traces together; in which order they were taken in does not count.
#[derive(Debug, Clone)]
pub struct Totals {
    /// Traces.
    pub traces: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that run.
    pub running: u64,
    /// How long they took, in ms.
    pub times: Sample,
    /// Spans of all of them.
    pub spans: u64,
    /// Spans of which not all was read.
    pub spans_unread: u64,
    /// Spans by type.
    pub types: Bounded<Figures>,
    /// Spans by name.
    pub names: Bounded<u64>,
    /// Calls by tool.
    pub tools: Bounded<Tool>,
    /// Depths of all trees together.
    pub depths: u64,
    /// The greatest of them.
    pub deepest: u32,
    /// Traces by how they call tools.
    pub callings: BTreeMap<Calling, u64>,
    /// Traces by the form of what they are given.
    pub input_forms: BTreeMap<Form, u64>,
    /// Traces by the form of what they give.
    pub output_forms: BTreeMap<Form, u64>,
    /// Members of what they are given, and in how many.
    pub input_fields: Bounded<u64>,
    /// Members of what they give, and in how many.
    pub output_fields: Bounded<u64>,
    /// Traces in which a user says something.
    pub talks: u64,
    /// Traces in which a user says something more than once.
    pub long_talks: u64,
    /// Traces of each conversation (`mlflow.trace.session`).
    pub conversations: Bounded<u64>,
    /// Messages of users in all of them.
    pub turns: u64,
    /// Lengths of what users said last, in characters.
    pub request_chars: Sample,
    /// Lengths of what was answered, in characters.
    pub response_chars: Sample,
    /// Traces that retrieve.
    pub retrieving: u64,
    /// Traces of more than one agent.
    pub many_agents: u64,
    /// Traces of an agent.
    pub agents: u64,
    /// Traces of a chain.
    pub chains: u64,
    /// Tokens of all of which they are known.
    pub tokens: Tokens,
    /// Those.
    pub traces_with_tokens: u64,
    /// Costs of all of which they are known.
    pub cost: Cost,
    /// Those.
    pub traces_with_cost: u64,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            traces: 0,
            failed: 0,
            running: 0,
            times: Sample::default(),
            spans: 0,
            spans_unread: 0,
            types: Bounded::new(MAX_TYPES),
            names: Bounded::new(MAX_NAMES),
            tools: Bounded::new(MAX_TOOLS),
            depths: 0,
            deepest: 0,
            callings: BTreeMap::new(),
            input_forms: BTreeMap::new(),
            output_forms: BTreeMap::new(),
            input_fields: Bounded::new(MAX_FIELDS),
            output_fields: Bounded::new(MAX_FIELDS),
            talks: 0,
            long_talks: 0,
            conversations: Bounded::new(MAX_CONVERSATIONS),
            turns: 0,
            request_chars: Sample::default(),
            response_chars: Sample::default(),
            retrieving: 0,
            many_agents: 0,
            agents: 0,
            chains: 0,
            tokens: Tokens::default(),
            traces_with_tokens: 0,
            cost: Cost::default(),
            traces_with_cost: 0,
        }
    }
}

impl Totals {
    /// Traces that are turns of a conversation of several.
    pub fn turns_of_conversations(&self) -> u64 {
        self.conversations
            .known()
            .map(|(_, traces)| traces)
            .filter(|traces| **traces > 1)
            .sum()
    }

    /// Takes in a trace.
    pub fn add(&mut self, trace: &TraceDigest) {
        self.traces += 1;
        self.failed += u64::from(trace.state == TraceState::Error);
        self.running += u64::from(trace.state == TraceState::InProgress);
        #[expect(clippy::cast_precision_loss, reason = "285,000 years in ms")]
        if let Some(ms) = trace.duration_ms {
            self.times.add(ms as f64);
        }
        self.spans += trace.spans;
        self.spans_unread += trace.spans_unread;
        for (kind, figures) in trace.types.iter() {
            self.types.entry(kind).add(figures);
        }
        for (name, count) in trace.names.iter() {
            *self.names.entry(name) += count;
        }
        for (name, tool) in trace.calls.tools.iter() {
            self.tools.entry(name).add(tool);
        }
        self.depths += u64::from(trace.depth);
        self.deepest = self.deepest.max(trace.depth);
        *self.callings.entry(trace.calls.calling()).or_default() += 1;
        self.retrieving += u64::from(trace.retrievals > 0);
        let of_type = |kind: &str| trace.types.get(kind).map_or(0, |figures| figures.count);
        self.agents += u64::from(of_type("AGENT") > 0);
        self.many_agents += u64::from(of_type("AGENT") > 1);
        self.chains += u64::from(of_type("CHAIN") > 0);
        self.add_talk(trace);
        if let Some(tokens) = trace.total_tokens() {
            self.tokens = self.tokens.and(tokens);
            self.traces_with_tokens += 1;
        }
        if let Some(cost) = trace.total_cost() {
            self.cost = self.cost.and(cost);
            self.traces_with_cost += 1;
        }
    }

    fn add_talk(&mut self, trace: &TraceDigest) {
        let talk = &trace.talk;
        for (all, form) in [
            (&mut self.input_forms, talk.input),
            (&mut self.output_forms, talk.output),
        ] {
            *all.entry(form.unwrap_or(Form::Empty)).or_default() += 1;
        }
        for (all, fields) in [
            (&mut self.input_fields, &talk.input_fields),
            (&mut self.output_fields, &talk.output_fields),
        ] {
            for field in fields {
                *all.entry(field) += 1;
            }
        }
        if let Some(conversation) = &trace.conversation {
            *self.conversations.entry(conversation) += 1;
        }
        self.talks += u64::from(talk.user_messages > 0);
        self.long_talks += u64::from(talk.user_messages > 1);
        self.turns += talk.user_messages as u64;
        #[expect(clippy::cast_precision_loss, reason = "a count of characters in memory")]
        for (all, chars) in [
            (&mut self.request_chars, talk.request_chars),
            (&mut self.response_chars, talk.response_chars),
        ] {
            if let Some(chars) = chars {
                all.add(chars as f64);
            }
        }
    }
}
