//! The spans of many traces at once, where the source has a way to read them so.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use domain::TraceId;

use super::set::SpanSet;
use super::{fresh_for, repair};
use crate::Services;
use crate::cache::{Fresh, Freshness};

/// Bytes that one request reads so, of all its traces together; larger ones are read one by one.
const BYTES_AT_ONCE: usize = 16 << 20;

impl Services {
    /// The spans of those traces that are not in the cache, as far as they can be read at once. A trace that is missing
    /// here is read alone, where its trouble, if it has any, is told.
    pub(crate) async fn many_spans(
        &self,
        ids: &[TraceId],
        freshness: Freshness,
    ) -> HashMap<TraceId, Arc<SpanSet>> {
        let is_wanted = |id: &&TraceId| {
            freshness == Freshness::Bypass || self.fresh_set(&self.keys.spans(id), id).is_none()
        };
        let mut wanted: Vec<_> = ids.iter().filter(is_wanted).cloned().collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.len() < 2 {
            return HashMap::new();
        }
        let asked_at = Instant::now();
        let read = self.source.read_many_spans(&wanted, BYTES_AT_ONCE).await;
        let read = read.ok().flatten().unwrap_or_default();
        let joined = read.into_iter().filter_map(|(id, spans)| {
            let spans = self.checked(spans)?;
            let set = Arc::new(SpanSet::join(&spans));
            let fresh = Fresh {
                value: Arc::clone(&set),
                fresh_for: fresh_for(&self.cache, &self.keys.info(&id), &set),
            };
            self.cache.keep(&self.keys.spans(&id), fresh, asked_at);
            Some((id, set))
        });
        joined.collect()
    }

    fn checked(&self, spans: Vec<Bytes>) -> Option<Vec<Bytes>> {
        let is_small = |span: &Bytes| span.len() <= self.feed_limits.span_bytes;
        spans
            .into_iter()
            .map(|span| is_small(&span).then(|| repair::checked(span))?)
            .collect()
    }
}
