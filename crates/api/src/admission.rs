//! How much is taken on at once, and what becomes of more: it is turned away at once, with a hint when to come back.
//!
//! - Requests are worked on up to a number; so many more wait for their turn, for a short while. Health and metrics are
//!   answered whatever else is done.
//! - Large answers hold memory until their reader has taken them: so many are sent at once. (How many traces that are too large to
//!   be kept pass through is bounded where they do, in `service`.)
//! - Connections are taken up to a number. A few more are heard in an anteroom, long enough to answer whether we live.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::problem::Problem;

/// How long a request waits for its turn. Who waited so long is better told to come back.
const TURN_PATIENCE: Duration = Duration::from_secs(5);

/// Answers from this size on count as large, in bytes.
const LARGE_ANSWER: u64 = 256 << 10;

/// Connections beyond all others that are heard.
const ANTEROOM: usize = 32;

/// How much is taken on at once.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionLimits {
    /// Requests that are worked on.
    pub requests: usize,
    /// Requests that wait for their turn.
    pub waiting: usize,
    /// Large answers that are sent.
    pub large_answers: usize,
    /// Connections.
    pub connections: usize,
}

/// Keeps count of what is taken on.
#[derive(Debug)]
pub struct Admission {
    limits: AdmissionLimits,
    requests: Semaphore,
    waiting: Semaphore,
    large_answers: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    anteroom: Arc<Semaphore>,
    is_leaving: AtomicBool,
    turned_away: [AtomicU64; Turned::ALL.len()],
}

/// What was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// A request that found no place to wait, or waited too long.
    Request,
    /// A large answer that could not be sent.
    LargeAnswer,
    /// A connection.
    Connection,
}

impl Turned {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Request, Self::LargeAnswer, Self::Connection];

    /// The word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::LargeAnswer => "large_answer",
            Self::Connection => "connection",
        }
    }
}

/// A connection's place; given back when it is dropped.
#[derive(Debug)]
pub enum Place {
    /// Among those that are served.
    Inside(OwnedSemaphorePermit),
    /// Among the few more that are only told whether we live.
    Anteroom(OwnedSemaphorePermit),
}

/// Marks a request that came by the anteroom.
#[derive(Debug, Clone, Copy)]
pub struct FromAnteroom;

impl Admission {
    /// Nothing is taken on yet.
    pub fn new(limits: AdmissionLimits) -> Self {
        Self {
            limits,
            requests: Semaphore::new(limits.requests),
            waiting: Semaphore::new(limits.waiting),
            large_answers: Arc::new(Semaphore::new(limits.large_answers)),
            connections: Arc::new(Semaphore::new(limits.connections)),
            anteroom: Arc::new(Semaphore::new(ANTEROOM)),
            is_leaving: AtomicBool::new(false),
            turned_away: [const { AtomicU64::new(0) }; Turned::ALL.len()],
        }
    }

    /// A turn to work on a request.
    ///
    /// # Errors
    /// 503 when too many wait already, and to one that waited too long.
    pub async fn turn(&self) -> Result<SemaphorePermit<'_>, Problem> {
        if let Ok(turn) = self.requests.try_acquire() {
            return Ok(turn);
        }
        let in_time = match self.waiting.try_acquire() {
            Ok(_waiting) => timeout(TURN_PATIENCE, self.requests.acquire()).await.ok(),
            Err(_) => None,
        };
        // The semaphore is never closed.
        in_time
            .and_then(Result::ok)
            .ok_or_else(|| self.turn_away(Turned::Request))
    }

    /// A place for an answer of so many bytes while it is sent; none is needed for a small one.
    ///
    /// # Errors
    /// 503 when none came free in time.
    pub async fn sending(&self, bytes: u64) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        if bytes < LARGE_ANSWER {
            return Ok(None);
        }
        let place = timeout(TURN_PATIENCE, Arc::clone(&self.large_answers).acquire_owned()).await;
        // The semaphore is never closed.
        let place = place.ok().and_then(Result::ok);
        place.map(Some).ok_or_else(|| self.turn_away(Turned::LargeAnswer))
    }

    /// Connections that can be open at once.
    pub fn most_connections(&self) -> usize {
        self.limits.connections + ANTEROOM
    }

    /// A place for a connection; `None` when there is none at all.
    pub fn place(&self) -> Option<Place> {
        let free = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        let place = free(&self.connections).map(Place::Inside);
        place.or_else(|| {
            self.count(Turned::Connection);
            free(&self.anteroom).map(Place::Anteroom)
        })
    }

    /// From now on whoever is answered is told to ask elsewhere.
    pub fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
    }

    /// Whether the server is about to end.
    pub fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed)
    }

    /// Turns a request away.
    pub fn turn_away(&self, what: Turned) -> Problem {
        self.count(what);
        Problem::overloaded()
    }

    fn count(&self, what: Turned) {
        self.turned_away[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that are worked on, and that wait; answers that are sent; connections that are open.
    pub fn taken_on(&self) -> AdmissionLimits {
        let taken = |limit: usize, places: &Semaphore| limit.saturating_sub(places.available_permits());
        AdmissionLimits {
            requests: taken(self.limits.requests, &self.requests),
            waiting: taken(self.limits.waiting, &self.waiting),
            large_answers: taken(self.limits.large_answers, &self.large_answers),
            connections: taken(self.limits.connections, &self.connections),
        }
    }

    /// How many were turned away so far.
    pub fn turned_away(&self, what: Turned) -> u64 {
        self.turned_away[what as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission() -> Admission {
        Admission::new(AdmissionLimits {
            requests: 1,
            waiting: 1,
            large_answers: 1,
            connections: 1,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn one_works_one_waits_and_the_third_is_turned_away_at_once() {
        let admission = admission();
        let first = admission.turn().await.unwrap();
        let second = admission.turn();
        let third = async {
            tokio::task::yield_now().await;
            let begun = tokio::time::Instant::now();
            assert!(admission.turn().await.is_err());
            assert_eq!(begun.elapsed(), Duration::ZERO);
            assert_eq!(admission.taken_on().waiting, 1);
            drop(first);
        };
        let (second, ()) = tokio::join!(second, third);
        assert_eq!(admission.taken_on().requests, 1);
        drop(second.unwrap());
        assert_eq!(admission.turned_away(Turned::Request), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_turn_for_long() {
        let admission = admission();
        let _first = admission.turn().await.unwrap();
        let begun = tokio::time::Instant::now();
        assert!(admission.turn().await.is_err());
        assert_eq!(begun.elapsed(), TURN_PATIENCE);
        assert_eq!(admission.taken_on().waiting, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn only_large_answers_take_places() {
        let admission = admission();
        let large = admission.sending(LARGE_ANSWER).await.unwrap();
        assert!(large.is_some() && admission.sending(LARGE_ANSWER - 1).await.unwrap().is_none());
        assert!(admission.sending(LARGE_ANSWER).await.is_err());
        drop(large);
        assert!(admission.sending(LARGE_ANSWER).await.is_ok());
    }

    #[test]
    fn beyond_the_anteroom_there_is_no_place() {
        let admission = admission();
        let places: Vec<_> = (0..=ANTEROOM).map(|_| admission.place().unwrap()).collect();
        assert!(matches!(places[0], Place::Inside(_)));
        assert!(
            places[1..]
                .iter()
                .all(|place| matches!(place, Place::Anteroom(_)))
        );
        assert!(admission.place().is_none());
        drop(places);
        assert!(matches!(admission.place(), Some(Place::Inside(_))));
    }
}
