//! Equal work under way is done once.
//!
//! The work runs in its own task: the one who started it may leave without failing the others. When the last one
//! who waits has left, the task is stopped, because nobody wants its result any more.

use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use dashmap::{DashMap, Entry};
use opentelemetry::trace::FutureExt as _;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::waiting::waiting;

/// Whether a caller started the work or joined it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Leader,
    Joined,
}

/// The work under way, by key.
#[derive(Debug)]
pub(crate) struct Flights<K: Eq + Hash, T>(FlightMap<K, T>);

/// Each flight with a number that tells it from an earlier one under the same key.
type FlightMap<K, T> = Arc<DashMap<K, (u64, Weak<Flight<K, T>>)>>;

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

impl<K: Eq + Hash, T> Default for Flights<K, T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// One piece of work under way; dropping the last handle stops it.
#[derive(Debug)]
pub(crate) struct Flight<K: Eq + Hash, T> {
    key: K,
    outcome: watch::Receiver<Option<T>>,
    task: AbortHandle,
    number: u64,
    begun: Instant,
    /// Whether it is waited for by a task of its own.
    is_carried_on: AtomicBool,
    flights: FlightMap<K, T>,
}

impl<K, T> Flights<K, T>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Joins the work under way for `key` if work that began then may be joined, or starts it.
    pub(crate) fn join<F>(
        &self,
        key: &K,
        may_join: impl FnOnce(Instant) -> bool,
        work: impl FnOnce() -> F,
    ) -> (Arc<Flight<K, T>>, Role)
    where
        F: Future<Output = T> + Send + 'static,
    {
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        // Outlives `entry`: dropping the last handle of a flight takes its key out of the map, which is locked here.
        let mut too_old = None;
        let mut entry = match self.0.entry(key.clone()) {
            Entry::Occupied(entry) => {
                match entry.get().1.upgrade() {
                    Some(flight) if may_join(flight.begun) => return (flight, Role::Joined),
                    other => too_old = other,
                }
                entry.into_ref()
            }
            Entry::Vacant(entry) => entry.insert((number, Weak::new())),
        };
        let (tell, outcome) = watch::channel(None);
        let begun = Instant::now();
        let (work, key_of_task, flights) = (work(), key.clone(), Arc::clone(&self.0));
        let flight = async move {
            let result = work.await;
            // First out of the map, so that nobody joins finished work and takes it for new.
            flights.remove_if(&key_of_task, |_, (other, _)| *other == number);
            // Nobody waiting is no error.
            let _ = tell.send(Some(result));
        };
        // In the trace of the one who started it.
        let task = tokio::spawn(flight.with_current_context());
        let flight = Arc::new(Flight {
            key: key.clone(),
            number,
            begun,
            outcome,
            is_carried_on: AtomicBool::new(false),
            task: task.abort_handle(),
            flights: Arc::clone(&self.0),
        });
        *entry = (number, Arc::downgrade(&flight));
        drop(entry);
        drop(too_old);
        (flight, Role::Leader)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl<K, T> Flight<K, T>
where
    K: Eq + Hash + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// Lets the work go on when nobody waits for it: whoever asks next will want its result.
    pub(crate) fn carry_on(self: &Arc<Self>) {
        if !self.is_carried_on.swap(true, Ordering::Relaxed) {
            let flight = Arc::clone(self);
            tokio::spawn(async move { flight.outcome().await });
        }
    }

    /// The result; `None` when the work panicked.
    pub(crate) async fn outcome(&self) -> Option<T> {
        let mut outcome = self.outcome.clone();
        let done = waiting(outcome.wait_for(Option::is_some)).await;
        done.ok()?.clone()
    }
}

impl<K: Eq + Hash, T> Drop for Flight<K, T> {
    fn drop(&mut self) {
        self.task.abort();
        // Only our own entry: new work may have begun under the same key.
        self.flights
            .remove_if(&self.key, |_, (other, _)| *other == self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use tokio::sync::Notify;

    #[derive(Clone, Default)]
    struct Work {
        started: Arc<AtomicUsize>,
        ended: Arc<AtomicUsize>,
        go: Arc<Notify>,
    }

    impl Work {
        async fn run(self) -> usize {
            let nth = self.started.fetch_add(1, Ordering::SeqCst);
            self.go.notified().await;
            self.ended.fetch_add(1, Ordering::SeqCst);
            nth
        }
    }

    #[tokio::test]
    async fn a_hundred_callers_share_one_run_even_when_the_first_leaves() {
        let (flights, work) = (Flights::<u8, usize>::default(), Work::default());
        let (leader, role) = flights.join(&1, |_| true, || work.clone().run());
        assert_eq!(role, Role::Leader);
        let joined: Vec<_> = (0..99)
            .map(|_| flights.join(&1, |_| true, || work.clone().run()))
            .collect();
        assert!(joined.iter().all(|(_, role)| *role == Role::Joined));
        drop(leader);
        work.go.notify_one();
        for (flight, _) in &joined {
            assert_eq!(flight.outcome().await, Some(0));
        }
        assert_eq!(work.started.load(Ordering::SeqCst), 1);
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_stopped() {
        let (flights, work) = (Flights::<u8, usize>::default(), Work::default());
        let (flight, _) = flights.join(&1, |_| true, || work.clone().run());
        tokio::task::yield_now().await;
        drop(flight);
        assert_eq!(flights.len(), 0);
        work.go.notify_one();
        tokio::task::yield_now().await;
        assert_eq!(
            (
                work.started.load(Ordering::SeqCst),
                work.ended.load(Ordering::SeqCst)
            ),
            (1, 0)
        );
        let (again, role) = flights.join(&1, |_| true, || async { 7 });
        assert_eq!((role, again.outcome().await), (Role::Leader, Some(7)));
    }

    #[tokio::test]
    async fn work_that_is_carried_on_needs_nobody_to_wait_for_it() {
        let (flights, work) = (Flights::<u8, usize>::default(), Work::default());
        let (flight, _) = flights.join(&1, |_| true, || work.clone().run());
        flight.carry_on();
        flight.carry_on();
        drop(flight);
        let (joined, role) = flights.join(&1, |_| true, || work.clone().run());
        assert_eq!(role, Role::Joined);
        drop(joined);
        work.go.notify_one();
        while flights.len() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(work.ended.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn work_that_may_not_be_joined_goes_on_for_those_who_wait_for_it() {
        let (flights, work) = (Flights::<u8, usize>::default(), Work::default());
        let (old, _) = flights.join(&1, |_| true, || work.clone().run());
        let (new, role) = flights.join(&1, |_| false, || async { 7 });
        assert_eq!((role, new.outcome().await), (Role::Leader, Some(7)));
        work.go.notify_one();
        assert_eq!(old.outcome().await, Some(0));
        // The last handle may be the one that is turned down.
        let (last, _) = flights.join(&1, |_| true, || work.clone().run());
        let turned_down = flights.join(
            &1,
            move |_| {
                drop(last);
                false
            },
            || async { 8 },
        );
        assert_eq!(turned_down.0.outcome().await, Some(8));
        drop((old, new, turned_down));
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn a_panic_reaches_those_who_wait_and_the_key_is_free_again() {
        let flights = Flights::<u8, usize>::default();
        let (flight, _) = flights.join(&1, |_| true, || async { panic!("the work is broken") });
        assert_eq!(flight.outcome().await, None);
        drop(flight);
        assert_eq!(flights.len(), 0);
    }
}
