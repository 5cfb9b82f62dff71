//! How long a request waits for others: MLflow, a workspace, or somebody else's call of them. What it waits for side by side
//! counts once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

tokio::task_local! {
    static WATCHED: Waiting;
}

/// What one request has waited so far. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Waiting(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// So many things are waited for now.
    now: u32,
    /// Since then.
    since: Option<Instant>,
    /// Before that.
    waited: Duration,
}

impl Waiting {
    /// Watches how long this waits for others.
    pub async fn of<T>(&self, work: impl Future<Output = T>) -> T {
        WATCHED.scope(self.clone(), work).await
    }

    /// The same for one poll of what is answered bit by bit.
    pub fn of_poll<T>(&self, poll: impl FnOnce() -> T) -> T {
        WATCHED.sync_scope(self.clone(), poll)
    }

    /// How long it has waited.
    pub fn so_far(&self) -> Duration {
        let state = self.state();
        state.waited + state.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for others; counted where a request is watched.
pub(crate) async fn waiting<T>(work: impl Future<Output = T>) -> T {
    let _wait = WATCHED.try_with(Wait::begin).ok();
    work.await
}

/// Ends when it is dropped: who waits may be dropped too.
struct Wait(Waiting);

impl Wait {
    fn begin(watched: &Waiting) -> Self {
        let mut state = watched.state();
        if state.now == 0 {
            state.since = Some(Instant::now());
        }
        state.now += 1;
        drop(state);
        Self(watched.clone())
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.now -= 1;
        if state.now == 0 {
            let waited = state.since.take().map_or(Duration::ZERO, |since| since.elapsed());
            state.waited += waited;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{sleep, timeout};

    #[tokio::test]
    async fn what_is_waited_for_side_by_side_counts_once_and_work_does_not() {
        let watched = Waiting::default();
        let pause = Duration::from_millis(100);
        let begun = Instant::now();
        let work = async {
            tokio::join!(
                waiting(sleep(pause)),
                waiting(sleep(pause)),
                waiting(sleep(pause / 2))
            );
            std::thread::sleep(pause);
            // One that is given up counts until then.
            let _ = timeout(pause, waiting(std::future::pending::<()>())).await;
        };
        watched.of(work).await;
        let (waited, all) = (watched.so_far(), begun.elapsed());
        assert!(
            waited >= pause * 2 && waited + pause <= all,
            "{waited:?} of {all:?}"
        );
        waiting(sleep(pause / 10)).await;
        assert_eq!(watched.so_far(), waited, "nobody watches this");
    }
}
