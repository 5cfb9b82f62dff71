//! What was written, and when: so that nothing read before is taken for new.
//!
//! A write touches things; an answer is about things. An answer that was asked for before one of its things was last
//! touched is not fresh, and a call under way since before is not joined. So the next read after a write shows it,
//! whoever asks, and all other answers stay as they are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use dashmap::DashMap;
use domain::{RunId, TraceId};
use serde::{Deserialize, Serialize};

/// Touched things that are remembered one by one. When they are more, all answers from before count as touched.
const REMEMBERED: usize = 65_536;

/// Something that can be written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Thing {
    /// A trace's assessments, tags or links.
    Trace(TraceId),
    /// Any trace's assessments: what a search by assessments finds.
    AnyAssessment,
    /// Which traces are linked to any run: what a search by run finds.
    AnyLink,
    /// A run.
    Run(RunId),
    /// Any run: what a search of runs finds.
    AnyRun,
    /// Who is assigned to which traces.
    Assignments,
}

/// When things were last touched.
#[derive(Debug)]
pub(crate) struct Touches {
    began: Instant,
    /// Of anything, in nanoseconds since we began; 0 when nothing was touched yet.
    last: AtomicU64,
    /// Everything before counts as touched.
    floor: AtomicU64,
    things: DashMap<Thing, u64>,
}

impl Default for Touches {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            last: AtomicU64::new(0),
            floor: AtomicU64::new(0),
            things: DashMap::new(),
        }
    }
}

impl Touches {
    /// Notes that these things were written just now.
    pub(crate) fn touch(&self, things: &[Thing]) {
        if things.is_empty() {
            return;
        }
        let now = self.nanos(Instant::now());
        if self.things.len() + things.len() > REMEMBERED {
            self.floor.fetch_max(now, Ordering::SeqCst);
            // What another touches meanwhile is newer than the floor and must stay.
            self.things.retain(|_, at| *at > now);
        }
        for thing in things {
            let mut at = self.things.entry(thing.clone()).or_insert(0);
            *at = now.max(*at);
        }
        self.last.fetch_max(now, Ordering::SeqCst);
    }

    /// Notes that anything may have been written until just now.
    pub(crate) fn touch_everything(&self) {
        let now = self.nanos(Instant::now());
        self.floor.fetch_max(now, Ordering::SeqCst);
        self.last.fetch_max(now, Ordering::SeqCst);
    }

    /// Whether nothing at all was touched since `asked_at`.
    pub(crate) fn none_since(&self, asked_at: Instant) -> bool {
        self.last.load(Ordering::SeqCst) < self.nanos(asked_at)
    }

    /// Whether the thing was not touched since `asked_at`.
    pub(crate) fn is_untouched(&self, thing: &Thing, asked_at: Instant) -> bool {
        let asked_at = self.nanos(asked_at);
        let touched_at = self.things.get(thing).map_or(0, |at| *at);
        self.floor.load(Ordering::SeqCst).max(touched_at) < asked_at
    }

    /// Never 0, which stands for never.
    fn nanos(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.began).as_nanos();
        u64::try_from(since).unwrap_or(u64::MAX - 1) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn trace(number: usize) -> Thing {
        Thing::Trace(format!("tr-{number}").parse().unwrap())
    }

    /// Two instants that differ for sure.
    fn later() -> Instant {
        std::thread::sleep(Duration::from_millis(1));
        Instant::now()
    }

    #[test]
    fn only_what_was_touched_after_it_was_asked_for_is_old() {
        let touches = Touches::default();
        let before = later();
        assert!(touches.none_since(before));
        touches.touch(&[trace(1)]);
        let after = later();
        assert!(!touches.none_since(before) && touches.none_since(after));
        assert!(!touches.is_untouched(&trace(1), before));
        assert!(touches.is_untouched(&trace(1), after));
        assert!(touches.is_untouched(&trace(2), before));
    }

    #[test]
    fn everything_can_be_old() {
        let touches = Touches::default();
        let before = later();
        touches.touch_everything();
        assert!(!touches.none_since(before) && !touches.is_untouched(&trace(1), before));
        let after = later();
        assert!(touches.none_since(after) && touches.is_untouched(&trace(1), after));
    }

    #[test]
    fn more_things_than_are_remembered_make_everything_old() {
        let touches = Touches::default();
        let before = later();
        for number in 0..=REMEMBERED {
            touches.touch(&[trace(number)]);
        }
        assert!(touches.things.len() <= REMEMBERED);
        assert!(!touches.is_untouched(&trace(REMEMBERED + 7), before));
        assert!(!touches.is_untouched(&trace(0), before));
        assert!(touches.is_untouched(&trace(0), later()));
    }
}
