//! The spans of many traces at once, where the source has a way to read them so.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use domain::TraceId;
use tokio::sync::Semaphore;

use super::set::SpanSet;
use super::{INLINE_BYTES, fresh_for};
use crate::Services;
use crate::cache::{Fresh, Freshness};
use crate::traces::SpanInclusion;

/// Bytes that one read so takes in, of all its traces together; what does not fit is read one by one.
const BYTES_AT_ONCE: usize = 8 << 20;

/// Such reads at once, of all requests together.
const AT_ONCE: usize = 4;

/// Turns to read many traces' spans at once, which bound what all such reads hold in memory.
#[derive(Debug)]
pub(crate) struct ManyReads(Semaphore);

impl Default for ManyReads {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Services {
    /// The spans of those traces that are not in the cache, as far as they can be read at once. A trace that is missing
    /// here is read alone, where its trouble, if it has any, is told.
    pub(crate) async fn many_spans(
        &self,
        ids: &[TraceId],
        inclusion: SpanInclusion,
        freshness: Freshness,
    ) -> HashMap<TraceId, Arc<SpanSet>> {
        if self.not_kept(ids, inclusion, freshness).len() < 2 {
            return HashMap::new();
        }
        let Ok(_turn) = self.many_reads.0.acquire().await else {
            return HashMap::new();
        };
        // The one before may have read just these.
        let wanted = self.not_kept(ids, inclusion, freshness);
        if wanted.len() < 2 {
            return HashMap::new();
        }
        let asked_at = Instant::now();
        let bytes = BYTES_AT_ONCE.min(self.feed_limits.shared_bytes);
        let read = self.source.read_many_spans(&wanted, bytes).await;
        let sets = self.joined(read.ok().flatten().unwrap_or_default()).await;
        for (id, set) in &sets {
            let fresh = Fresh {
                value: Arc::clone(set),
                fresh_for: fresh_for(&self.cache, &self.keys.info(id), set),
            };
            self.cache.keep(&self.keys.spans(id), fresh, asked_at);
        }
        sets
    }

    /// Each once.
    fn not_kept(&self, ids: &[TraceId], inclusion: SpanInclusion, freshness: Freshness) -> Vec<TraceId> {
        let is_kept = |id: &TraceId| {
            let keys = [self.keys.spans(id), self.keys.span_summaries(id)];
            let serving = if inclusion == SpanInclusion::Summary {
                &keys[..]
            } else {
                &keys[..1]
            };
            serving.iter().any(|key| self.fresh_set(key, id).is_some())
        };
        let is_wanted = |id: &&TraceId| freshness == Freshness::Bypass || !is_kept(id);
        let mut wanted: Vec<_> = ids.iter().filter(is_wanted).cloned().collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    /// Sets of those whose spans can all be read.
    async fn joined(&self, read: HashMap<TraceId, Vec<Bytes>>) -> HashMap<TraceId, Arc<SpanSet>> {
        let bytes: usize = read.values().flatten().map(Bytes::len).sum();
        let limit = self.feed_limits.span_bytes;
        let join = move || {
            let joined = read.into_iter().filter_map(|(id, spans)| {
                let is_small = |span: &Bytes| span.len() <= limit;
                spans
                    .iter()
                    .all(is_small)
                    .then(|| (id, Arc::new(SpanSet::join(&spans))))
            });
            joined.collect()
        };
        if bytes <= INLINE_BYTES {
            return join();
        }
        tokio::task::spawn_blocking(join).await.unwrap_or_default()
    }
}
