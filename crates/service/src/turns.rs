//! Turns: those who do the same at once do it one after the other.

use std::hash::{DefaultHasher, Hash, Hasher};

use tokio::sync::{Mutex, MutexGuard};

/// Locks by key: a few for all keys, by hash, so that their number is bounded. Two keys may share a lock, which costs
/// only time.
#[derive(Debug)]
pub(crate) struct Turns([Mutex<()>; 64]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(())))
    }
}

impl Turns {
    /// Waits for one's turn; it is over when the guard is dropped.
    pub(crate) async fn wait(&self, key: &impl Hash) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
        let nth = hasher.finish() as usize % self.0.len();
        self.0[nth].lock().await
    }
}
