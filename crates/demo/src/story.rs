//! What happened at the shop in the past three days: all the traces, and who judged them.

mod agent;
mod conversations;
mod digest;
mod evaluation;
mod languages;
mod questions;
mod review;
mod shop;
mod telling;
mod troubles;
mod turn;

use std::collections::BTreeMap;

use crate::random::Random;
use crate::record::{Experiment, Run, Trace, TraceState};
use crate::story::agent::Told;
use crate::story::telling::Telling;
use crate::story::turn::Conversation;

/// All ids follow from it.
const SEED: u64 = 0x057a_11d0_2026_1124;

const MS_PER_MINUTE: i64 = 60_000;
const NS_PER_MS: i64 = 1_000_000;

/// The newest trace began so long ago, the oldest three days.
const NEWEST_MINUTES: u32 = 3;
const SECOND_MINUTES: u32 = 18;
const OLDEST_MINUTES: u32 = 3 * 24 * 60;

/// How long ago the digest began.
const DIGEST_MINUTES: u32 = 5 * 60;

#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) experiment: Experiment,
    pub(crate) run: Run,
    pub(crate) traces: Vec<Trace>,
    /// Ids of traces worth showing.
    pub(crate) named: BTreeMap<&'static str, String>,
}

/// Tells it as of `now_ns`, with the artifacts in a folder.
pub(crate) fn tell(now_ns: i64, artifacts: &str) -> Story {
    let mut random = Random::new(SEED);
    let told_ms = now_ns / NS_PER_MS;
    let experiment = Experiment {
        id: 1,
        name: "support-agent-demo",
        note: "The customer-support agent of Ostwind, an invented shop for kites. Made by trace-server.",
        artifacts: artifacts.to_owned(),
        created_ms: told_ms - i64::from(OLDEST_MINUTES + 60) * MS_PER_MINUTE,
    };
    let mut told = Past {
        now_ns,
        traces: Vec::new(),
        named: BTreeMap::new(),
    };
    told.conversation(&troubles::IN_PROGRESS, NEWEST_MINUTES, random.next());
    let mut all: Vec<_> = [
        conversations::CONVERSATIONS,
        languages::CONVERSATIONS,
        languages::QUESTIONS,
        questions::QUESTIONS,
        troubles::TROUBLES,
    ]
    .concat();
    // As they came in, not as they are written down.
    all.sort_by_cached_key(|_| random.next());
    let last = u32::try_from(all.len()).unwrap_or(1).saturating_sub(1).max(1);
    for (index, conversation) in (0..).zip(&all) {
        let spread = (OLDEST_MINUTES - SECOND_MINUTES) * index / last;
        told.conversation(conversation, SECOND_MINUTES + spread, random.next());
    }
    told.digest(random.next());
    let run = evaluation::run(&experiment, &mut told.traces, told_ms, &mut random);
    Story {
        experiment,
        run,
        traces: told.traces,
        named: told.named,
    }
}

/// The traces told so far.
struct Past {
    now_ns: i64,
    traces: Vec<Trace>,
    named: BTreeMap<&'static str, String>,
}

impl Past {
    fn ago(&self, minutes: u32) -> i64 {
        self.now_ns - i64::from(minutes) * MS_PER_MINUTE * NS_PER_MS
    }

    fn conversation(&mut self, conversation: &Conversation, minutes_ago: u32, seed: u64) {
        let mut random = Random::new(seed);
        let mut began_ns = self.ago(minutes_ago);
        let session = (conversation.turns.len() > 1).then(|| format!("chat-{:016x}", random.next()));
        for (index, turn) in conversation.turns.iter().enumerate() {
            let mut telling = Telling::begin(Random::new(random.next()), began_ns);
            let earlier = conversation.turns.get(..index).unwrap_or_default();
            let told = agent::tell(earlier, turn, &mut telling);
            let mut trace = trace(agent::NAME, told, began_ns, telling, random.wide());
            trace.session.clone_from(&session);
            trace.user = Some(conversation.user);
            trace.tags = vec![
                ("channel", conversation.channel),
                ("language", conversation.language),
            ];
            review::assess(&mut trace, turn, self.now_ns / NS_PER_MS, &mut random);
            // The customer reads, and types.
            let pause_s = i64::from(random.between(25, 110));
            began_ns = trace.ended_ns.unwrap_or(began_ns) + pause_s * 1_000 * NS_PER_MS;
            self.traces.push(trace);
        }
        if let (Some(name), Some(last)) = (conversation.shown_as, self.traces.last()) {
            self.named.insert(name, last.id());
        }
    }

    fn digest(&mut self, seed: u64) {
        let began_ns = self.ago(DIGEST_MINUTES);
        let mut random = Random::new(seed);
        let mut telling = Telling::begin(Random::new(random.next()), began_ns);
        let told = digest::tell(&mut telling);
        let mut trace = trace(digest::NAME, told, began_ns, telling, random.wide());
        trace.tags = vec![("schedule", "weekly")];
        self.named.insert("big", trace.id());
        self.traces.push(trace);
    }
}

fn trace(name: &'static str, told: Told, began_ns: i64, telling: Telling, number: u128) -> Trace {
    let is_over = told.state != TraceState::InProgress;
    let ended_ns = is_over.then(|| telling.now_ns());
    let spans = telling.finish();
    let root = spans.iter().find(|span| span.parent.is_none());
    Trace {
        number,
        name,
        state: told.state,
        started_ns: root.map_or(began_ns, |root| root.started_ns),
        ended_ns,
        inputs: told.inputs,
        outputs: told.outputs,
        session: None,
        user: None,
        tags: Vec::new(),
        spans,
        assessments: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
