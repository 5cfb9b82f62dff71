//! One cache for all answers: bounded by weight, every entry with its own time, equal loads shared.
//!
//! moka keeps the entries (concurrent, evicts the least useful first, never above the bound for long); the calls
//! under way are in [`crate::coalesce`].

mod about;
mod key;
mod policy;
mod touch;
mod versions;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foldhash::quality::RandomState;
use moka::Expiry;
use moka::notification::RemovalCause;

pub use key::Scope;
pub(crate) use key::{Key, Keys, RawKey};
pub use policy::CachePolicy;
pub(crate) use policy::Completeness;
pub(crate) use touch::{Thing, Touches};
pub(crate) use versions::Versions;

use crate::access::Reach;
use crate::analyses::Artifact;
use crate::answer::CacheStatus;
use crate::coalesce::{Flight, Flights, Role};
use crate::encoded::Encoded;
use crate::error::ServiceError;
use crate::ports::DataVersion;
use crate::records::{Document, UserDocument};
use crate::spans::SpanSet;
use crate::traces::{InfoEntry, InfoList, SearchPage};

/// Bookkeeping of moka and ours per entry, in bytes; measured as resident growth over 100,000 tiny entries.
const ENTRY_OVERHEAD: usize = 400;

/// How a request wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// From the cache where it is fresh.
    Cached,
    /// From the upstream, past the cache (`Cache-Control: no-cache`); the cache learns the answer.
    Bypass,
}

/// A value that can be kept: cheap to clone, its weight known.
pub(crate) trait Cacheable: Clone + Send + Sync + 'static {
    /// Bytes on the heap.
    fn weight(&self) -> usize;
    fn into_kept(self) -> Kept;
    fn from_kept(kept: Kept) -> Option<Self>;
}

macro_rules! kept {
    ($($variant:ident($type:ty)),* $(,)?) => {
        /// A value in the cache.
        #[derive(Debug, Clone)]
        pub(crate) enum Kept { $($variant($type)),* }

        $(impl Cacheable for $type {
            fn weight(&self) -> usize {
                self.as_ref().weight()
            }

            fn into_kept(self) -> Kept {
                Kept::$variant(self)
            }

            fn from_kept(kept: Kept) -> Option<Self> {
                match kept {
                    Kept::$variant(value) => Some(value),
                    _ => None,
                }
            }
        })*
    };
}

kept! {
    Info(Arc<InfoEntry>),
    Infos(Arc<InfoList>),
    Spans(Arc<SpanSet>),
    Page(Arc<SearchPage>),
    Document(Arc<Document>),
    Artifact(Arc<Artifact>),
    User(Arc<UserDocument>),
    Reach(Arc<Reach>),
    Encoded(Arc<Encoded>),
}

#[derive(Debug, Clone)]
struct Entry {
    value: Kept,
    weight: u32,
    /// When the upstream was asked: the answer is at least as new as this.
    asked_at: Instant,
    fresh_for: Duration,
    kept_for: Duration,
    /// A state of the source that is at most as new as the answer.
    version: Option<DataVersion>,
}

impl Entry {
    fn age(&self) -> Duration {
        self.asked_at.elapsed()
    }
}

/// A loaded value and how long it stays fresh.
#[derive(Debug, Clone)]
pub(crate) struct Fresh<V> {
    pub(crate) value: V,
    pub(crate) fresh_for: Duration,
}

/// A value and how it was come by.
#[derive(Debug, Clone)]
pub(crate) struct Served<V> {
    pub(crate) value: V,
    pub(crate) status: CacheStatus,
    pub(crate) age: Duration,
}

impl<V> Served<V> {
    fn from_upstream(value: V, status: CacheStatus) -> Self {
        Self {
            value,
            status,
            age: Duration::ZERO,
        }
    }
}

struct PerEntry;

impl Expiry<RawKey, Entry> for PerEntry {
    fn expire_after_create(&self, _: &RawKey, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.kept_for.saturating_sub(entry.age()))
    }

    fn expire_after_update(
        &self,
        _: &RawKey,
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.kept_for.saturating_sub(entry.age()))
    }
}

/// What a load came to.
type Loaded = Result<Kept, ServiceError>;

/// A load under way.
type Load = Flight<RawKey, Loaded>;

impl Load {
    async fn loaded(&self) -> Loaded {
        // One that panicked has told the log.
        self.outcome().await.unwrap_or(Err(ServiceError::Interrupted))
    }
}

/// The cache. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    entries: moka::sync::Cache<RawKey, Entry, RandomState>,
    flights: Arc<Flights<RawKey, Loaded>>,
    touches: Arc<Touches>,
    versions: Arc<Versions>,
    evicted: Arc<Evicted>,
    policy: CachePolicy,
}

/// Entries that are no longer kept.
#[derive(Debug, Default)]
struct Evicted {
    /// Because there was no room.
    for_room: AtomicU64,
    /// Because their time was over.
    expired: AtomicU64,
}

impl Cache {
    pub(crate) fn new(policy: CachePolicy, versions: Versions) -> Self {
        let evicted = Arc::new(Evicted::default());
        let counts = Arc::clone(&evicted);
        let count = move |_, _, why| {
            match why {
                RemovalCause::Size => counts.for_room.fetch_add(1, Ordering::Relaxed),
                RemovalCause::Expired => counts.expired.fetch_add(1, Ordering::Relaxed),
                RemovalCause::Explicit | RemovalCause::Replaced => 0,
            };
        };
        let entries = moka::sync::Cache::builder()
            .eviction_listener(count)
            .max_capacity(policy.max_bytes)
            .weigher(|_, entry: &Entry| entry.weight)
            .expire_after(PerEntry)
            .build_with_hasher(RandomState::default());
        Self {
            entries,
            flights: Arc::default(),
            touches: Arc::default(),
            versions: Arc::new(versions),
            evicted,
            policy,
        }
    }

    /// What was written, and when.
    pub(crate) fn touches(&self) -> Arc<Touches> {
        Arc::clone(&self.touches)
    }

    pub(crate) fn policy(&self) -> &CachePolicy {
        &self.policy
    }

    /// How long an answer stays fresh that changes seldom. Where a look tells whether anything was written, it is looked at as
    /// often as a search: then it costs no more, and what others write shows as soon.
    pub(crate) fn seldom(&self, ttl: Duration) -> Duration {
        if self.versions.are_told() {
            ttl.min(self.policy.search_ttl)
        } else {
            ttl
        }
    }

    /// A fresh value, without loading.
    pub(crate) fn fresh<V: Cacheable>(&self, key: &Key<V>) -> Option<Served<V>> {
        let entry = self.entries.get(&key.raw)?;
        let age = entry.age();
        if age >= entry.fresh_for || !self.touches.leave_current(&key.raw, &entry) {
            return None;
        }
        Some(Served {
            value: V::from_kept(entry.value)?,
            status: CacheStatus::Hit,
            age,
        })
    }

    /// A fresh value, without loading more than the source's state.
    pub(crate) async fn fresh_or_renewed<V: Cacheable>(&self, key: &Key<V>) -> Option<Served<V>> {
        match self.fresh(key) {
            None => self.renewed(key).await,
            fresh => fresh,
        }
    }

    /// A value whose time is over, when nothing at all was written to the source since: it is kept for another time.
    async fn renewed<V: Cacheable>(&self, key: &Key<V>) -> Option<Served<V>> {
        let entry = Some(&key.raw).filter(|key| key.is_of_source_state());
        let entry = self.entries.get(entry?)?;
        let of_entry = entry.version.as_ref()?;
        let (seen_at, present) = self.versions.present().await?;
        if *of_entry != present || !self.touches.leave_current(&key.raw, &entry) {
            return None;
        }
        let renewed = Entry {
            asked_at: seen_at,
            ..entry.clone()
        };
        self.entries.entry_by_ref(&key.raw).and_compute_with(|kept| {
            // Only itself: what another kept meanwhile may be gone again for a reason.
            let is_same = kept.is_some_and(|kept| kept.value().asked_at == entry.asked_at);
            if is_same {
                moka::ops::compute::Op::Put(renewed)
            } else {
                moka::ops::compute::Op::Nop
            }
        });
        Some(Served {
            value: V::from_kept(entry.value)?,
            status: CacheStatus::Hit,
            age: seen_at.elapsed(),
        })
    }

    /// A value past its time, to stand in for an upstream in trouble.
    pub(crate) fn stale<V: Cacheable>(&self, key: &Key<V>) -> Option<Served<V>> {
        let entry = self.standing_in(key)?;
        let age = entry.age();
        Some(Served {
            value: V::from_kept(entry.value)?,
            status: CacheStatus::Stale,
            age,
        })
    }

    /// How long a new value is waited for while this one could stand in; `None` where none could.
    pub(crate) fn patience<V: Cacheable>(&self, key: &Key<V>) -> Option<Duration> {
        let entry = self.standing_in(key)?;
        Some(self.policy.patience(entry.age().saturating_sub(entry.fresh_for)))
    }

    /// What may stand in for a new value. One from before a write may not: the one who wrote would not find it.
    fn standing_in<V>(&self, key: &Key<V>) -> Option<Entry> {
        let entry = self.entries.get(&key.raw)?;
        let may_stand_in = key.raw.may_outlive_its_time() && self.touches.leave_current(&key.raw, &entry);
        may_stand_in.then_some(entry)
    }

    /// How much longer the value that is kept stays fresh; nothing when it is not the one that is meant.
    pub(crate) fn freshness_left<V: Cacheable>(
        &self,
        key: &Key<V>,
        is_meant: impl FnOnce(&V) -> bool,
    ) -> Duration {
        let Some(entry) = self.entries.get(&key.raw) else {
            return Duration::ZERO;
        };
        let left = entry.fresh_for.saturating_sub(entry.age());
        V::from_kept(entry.value)
            .filter(is_meant)
            .map_or(Duration::ZERO, |_| left)
    }

    /// Keeps a value that the upstream was asked for at `asked_at`, unless a newer one is kept already.
    pub(crate) fn keep<V: Cacheable>(&self, key: &Key<V>, fresh: Fresh<V>, asked_at: Instant) {
        let version = self.versions.before(asked_at);
        self.keep_of(key, fresh, asked_at, version);
    }

    fn keep_of<V: Cacheable>(
        &self,
        key: &Key<V>,
        fresh: Fresh<V>,
        asked_at: Instant,
        version: Option<DataVersion>,
    ) {
        if fresh.fresh_for.is_zero() || self.policy.max_bytes == 0 {
            return;
        }
        let weight =
            u32::try_from(fresh.value.weight() + key.raw.weight() + ENTRY_OVERHEAD).unwrap_or(u32::MAX);
        let entry = Entry {
            value: fresh.value.into_kept(),
            weight,
            asked_at,
            fresh_for: fresh.fresh_for,
            kept_for: fresh.fresh_for
                + if key.raw.may_outlive_its_time() {
                    self.policy.stale_if_error
                } else {
                    Duration::ZERO
                },
            version,
        };
        self.entries
            .entry_by_ref(&key.raw)
            .and_compute_with(|kept| match kept {
                Some(kept) if kept.value().asked_at > asked_at => moka::ops::compute::Op::Nop,
                _ => moka::ops::compute::Op::Put(entry),
            });
    }

    /// Serves a value from the cache, else from a load that all who ask meanwhile share.
    ///
    /// The load goes on when the one who started it leaves, as long as someone waits for it; one that began before a
    /// write that it may not have seen is not joined. Its error reaches all who wait and is not kept; while the upstream
    /// is in trouble, or slower than an older value is worth waiting, that one stands in.
    pub(crate) async fn get_or_load<V, F>(
        &self,
        key: Key<V>,
        freshness: Freshness,
        load: F,
    ) -> Result<Served<V>, ServiceError>
    where
        V: Cacheable,
        F: Future<Output = Result<Fresh<V>, ServiceError>> + Send + 'static,
    {
        if freshness == Freshness::Bypass {
            return Ok(Served::from_upstream(
                self.load_and_keep(&key, load).await?,
                CacheStatus::Miss,
            ));
        }
        if let Some(hit) = self.fresh_or_renewed(&key).await {
            return Ok(hit);
        }
        let (cache, key_of_load) = (self.clone(), key.clone());
        let may_join = |begun| self.touches.leave_joinable(&key.raw, begun);
        let (flight, role) = self.flights.join(&key.raw, may_join, || async move {
            // Another load may have ended between our look and our start.
            match cache.fresh(&key_of_load) {
                Some(hit) => Ok(hit.value.into_kept()),
                None => cache.load_and_keep(&key_of_load, load).await.map(V::into_kept),
            }
        });
        let Some(outcome) = self.in_time(&key, &flight).await else {
            match self.stale(&key) {
                Some(stale) => {
                    flight.carry_on();
                    return Ok(stale);
                }
                // It was written to meanwhile.
                None => return Self::served(flight.loaded().await, role),
            }
        };
        match Self::served(outcome, role) {
            Err(error) if error.may_be_covered_by_stale() => self.stale(&key).ok_or(error),
            served => served,
        }
    }

    /// What a load comes to, if it does before an older value is the better answer.
    async fn in_time<V: Cacheable>(&self, key: &Key<V>, flight: &Load) -> Option<Loaded> {
        match self.patience(key) {
            Some(patience) => tokio::time::timeout(patience, flight.loaded()).await.ok(),
            None => Some(flight.loaded().await),
        }
    }

    fn served<V: Cacheable>(loaded: Loaded, role: Role) -> Result<Served<V>, ServiceError> {
        let status = match role {
            Role::Leader => CacheStatus::Miss,
            Role::Joined => CacheStatus::Coalesced,
        };
        let value = V::from_kept(loaded?).ok_or(ServiceError::Interrupted)?;
        Ok(Served::from_upstream(value, status))
    }

    async fn load_and_keep<V: Cacheable>(
        &self,
        key: &Key<V>,
        load: impl Future<Output = Result<Fresh<V>, ServiceError>>,
    ) -> Result<V, ServiceError> {
        let version = if key.raw.is_of_source_state() {
            self.versions.recent().await
        } else {
            None
        };
        let asked_at = Instant::now();
        let fresh = load.await?;
        let value = fresh.value.clone();
        self.keep_of(key, fresh, asked_at, version);
        Ok(value)
    }

    /// How many entries had to make room, and of how many the time was over.
    pub(crate) fn evictions(&self) -> (u64, u64) {
        let Evicted { for_room, expired } = &*self.evicted;
        (for_room.load(Ordering::Relaxed), expired.load(Ordering::Relaxed))
    }

    /// Weight of all entries in bytes, and their number.
    pub(crate) fn size(&self) -> (u64, u64) {
        self.entries.run_pending_tasks();
        (self.entries.weighted_size(), self.entries.entry_count())
    }
}

#[cfg(test)]
mod tests;
