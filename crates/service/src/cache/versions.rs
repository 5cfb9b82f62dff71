//! States of the source over time, where it can tell them: an answer whose time is over, from a state that is still the
//! present one, is as good as a new one.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use crate::ports::DataVersion;

/// A look that is so old still counts as the present: answers renewed by it say their age.
const PRESENT: Duration = Duration::from_millis(100);

/// An answer that is loaded may be taken for one of a state seen so long before: at worst it is loaded once more.
const RECENT: Duration = Duration::from_secs(1);

/// A look that takes longer is given up: the load that waits for it must not wait for that.
const PATIENCE: Duration = Duration::from_secs(1);

/// Looks that are remembered, for the answers that are being loaded meanwhile.
const REMEMBERED: usize = 16;

/// A look at the source.
#[derive(Debug, Clone)]
struct Look {
    begun: Instant,
    ended: Instant,
    version: DataVersion,
}

/// Asks for the present state.
type Ask = dyn Fn() -> BoxFuture<'static, Option<DataVersion>> + Send + Sync;

/// What was seen of the source's states.
pub(crate) struct Versions {
    ask: Box<Ask>,
    looks: Mutex<VecDeque<Look>>,
    /// When a look went wrong: for a moment nobody tries again.
    failed_at: Mutex<Option<Instant>>,
    /// Those who want to look at once wait for one of them.
    turn: tokio::sync::Mutex<()>,
}

impl Versions {
    /// States as they are told, where they can be; who fails to tell is asked again.
    pub(crate) fn told_by(
        ask: impl Fn() -> BoxFuture<'static, Option<DataVersion>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            ask: Box::new(ask),
            looks: Mutex::default(),
            failed_at: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// The present state and when it was asked for; `None` where the source cannot tell.
    pub(super) async fn present(&self) -> Option<(Instant, DataVersion)> {
        self.look(PRESENT).await.map(|look| (look.begun, look.version))
    }

    /// A state from a moment ago: what is asked for from now on is at least as new.
    pub(super) async fn recent(&self) -> Option<DataVersion> {
        self.look(RECENT).await.map(|look| look.version)
    }

    /// Whether the source tells its states.
    pub(super) fn are_told(&self) -> bool {
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        !looks.is_empty()
    }

    /// The last state that was seen before an answer was asked for: whatever has been written since is another one.
    pub(super) fn before(&self, asked_at: Instant) -> Option<DataVersion> {
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let last = looks.iter().rev().find(|look| look.ended <= asked_at);
        last.map(|look| look.version.clone())
    }

    async fn look(&self, max_age: Duration) -> Option<Look> {
        if let Some(look) = self.last(max_age) {
            return Some(look);
        }
        let arrived = Instant::now();
        let _turn = self.turn.lock().await;
        // One that another began meanwhile is as good as our own, however long it took.
        let meanwhile = self.last(arrived.elapsed().max(max_age));
        if meanwhile.is_some() {
            return meanwhile;
        }
        let failed_at = || self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        if failed_at().is_some_and(|at| at.elapsed() < RECENT) {
            return None;
        }
        let begun = Instant::now();
        let told = tokio::time::timeout(PATIENCE, (self.ask)()).await;
        let Ok(Some(version)) = told else {
            *failed_at() = Some(Instant::now());
            return None;
        };
        let look = Look {
            begun,
            ended: Instant::now(),
            version,
        };
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.len() == REMEMBERED {
            looks.pop_front();
        }
        looks.push_back(look.clone());
        Some(look)
    }

    fn last(&self, max_age: Duration) -> Option<Look> {
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks
            .back()
            .filter(|look| look.begun.elapsed() < max_age)
            .cloned()
    }
}

impl std::fmt::Debug for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Versions")
            .field("looks", &self.looks)
            .finish_non_exhaustive()
    }
}
