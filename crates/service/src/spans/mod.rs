//! Lazy spans: loaded when asked for, once for all who ask, and passed on without being read where that is possible.
//!
//! [`feed`] is a read under way, [`set`] its result, [`scanner`] finds spans in text that arrives, [`repair`] checks
//! them, [`filter`] picks and shortens them.

mod feed;
mod filter;
mod repair;
mod scanner;
mod set;
mod stream;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dashmap::Entry;
use domain::{SpanId, TraceId};

pub use feed::FeedLimits;
pub(crate) use feed::{FeedReader, Gathered, SpanFeed};
pub use filter::{SpanDetail, SpanQuery};
pub(crate) use set::{SpanSet, view};
pub use stream::SpanStream;

use crate::Services;
use crate::answer::{Answer, AnswerBody, CacheStatus, Fingerprint, Origin};
use crate::cache::{Cache, Completeness, Fresh, Freshness, Key, Served};
use crate::error::ServiceError;
use crate::traces::InfoEntry;
use stream::SpanReader;

/// A set larger than this is summarised off the async threads: reading it takes milliseconds.
const SUMMARISED_INLINE_BYTES: usize = 256 << 10;

impl Services {
    /// A trace's spans one after the other, while they arrive. Returns once the first is there, or the end.
    ///
    /// # Errors
    /// [`ServiceError::TraceNotFound`], [`ServiceError::SpansNotFound`] for a trace that is known but has none; upstream
    /// trouble. Later errors come out of the stream.
    pub async fn stream_spans(
        &self,
        id: &TraceId,
        query: SpanQuery,
        freshness: Freshness,
    ) -> Result<(SpanStream, Origin), ServiceError> {
        let (reader, mut query) = (self.span_reader(id, query.detail, freshness).await?, query);
        if reader.value.is_summarised() {
            query.detail = SpanDetail::Full;
        }
        let origin = Origin::from(&reader);
        let mut stream = SpanStream::new(reader.value, query);
        match stream.begin().await {
            Ok(()) => Ok((stream, origin)),
            Err(error) => match self.stale_spans(id, &error) {
                Some(stale) => {
                    let origin = Origin::from(&stale);
                    Ok((stream.restarted(SpanReader::kept(stale.value)), origin))
                }
                None => Err(error.about_trace(id)),
            },
        }
    }

    /// `{"spans":[…]}` with the spans that are wanted: whole from the cache, else while they arrive.
    ///
    /// # Errors
    /// As [`Services::stream_spans`].
    pub async fn list_spans(
        &self,
        id: &TraceId,
        query: SpanQuery,
        freshness: Freshness,
    ) -> Result<Answer, ServiceError> {
        let is_everything = query.is_everything();
        let form = format!("{query:?}");
        let (stream, origin) = self.stream_spans(id, query, freshness).await?;
        let Some(set) = stream.kept_set() else {
            return Ok(Answer {
                body: AnswerBody::Arriving(stream.into_document()),
                origin,
            });
        };
        let fingerprint = set.fingerprint();
        if is_everything {
            return Ok(Answer::whole(vec![set.document()], fingerprint, origin));
        }
        let pieces = stream.kept_document();
        Ok(Answer::whole(
            pieces,
            Fingerprint::of_parts(&form, [fingerprint]),
            origin,
        ))
    }

    /// One span, whole.
    ///
    /// # Errors
    /// [`ServiceError::SpanNotFound`] when the trace has no such span, and as [`Services::stream_spans`].
    pub async fn get_span(
        &self,
        id: &TraceId,
        span_id: SpanId,
        freshness: Freshness,
    ) -> Result<Answer, ServiceError> {
        let (mut stream, origin) = self.stream_spans(id, SpanQuery::default(), freshness).await?;
        let found = match stream.kept_set() {
            Some(set) => set.find(span_id),
            None => stream.find(span_id).await?,
        };
        let span = found.ok_or_else(|| ServiceError::SpanNotFound {
            trace_id: id.clone(),
            span_id,
        })?;
        Ok(Answer::whole(vec![span.clone()], Fingerprint::of(&span), origin))
    }

    /// A trace's spans complete, or a reader where they are too large for that.
    pub(crate) async fn gather_spans(
        &self,
        id: &TraceId,
        freshness: Freshness,
    ) -> Result<Served<Gathered>, ServiceError> {
        let reader = self.open_spans(id, freshness);
        let gathered = match reader.value {
            SpanReader::Kept { set, .. } => Ok(Gathered::Set(set)),
            SpanReader::Live(live) => live.gather().await,
        };
        match gathered {
            Ok(value) => Ok(Served {
                value,
                status: reader.status,
                age: reader.age,
            }),
            Err(error) => match self.stale_spans(id, &error) {
                Some(stale) => {
                    let Served { value, status, age } = stale;
                    Ok(Served {
                        value: Gathered::Set(value),
                        status,
                        age,
                    })
                }
                None => Err(error.about_trace(id)),
            },
        }
    }

    /// Summaries of a trace's spans, kept under their own key.
    pub(crate) async fn span_summaries(
        &self,
        id: &TraceId,
        freshness: Freshness,
    ) -> Result<Served<Arc<SpanSet>>, ServiceError> {
        let (services, wanted) = (self.clone(), id.clone());
        let load = async move {
            let gathered = services.gather_spans(&wanted, freshness).await?;
            let (value, complete) = match gathered.value {
                Gathered::Set(set) => (summarised(Arc::clone(&set)).await?, Some(set)),
                Gathered::Flowing(reader) => (summarised_while_flowing(reader).await?, None),
            };
            let fresh_for = match complete {
                Some(set) => fresh_for(&services.cache, &services.keys.info(&wanted), &set),
                None => services.cache.policy().in_progress_ttl,
            };
            // Never fresher than the spans they were made of.
            Ok(Fresh {
                value,
                fresh_for: fresh_for.saturating_sub(gathered.age),
            })
        };
        self.cache
            .get_or_load(self.keys.span_summaries(id), freshness, load)
            .await
    }

    fn stale_spans(&self, id: &TraceId, error: &ServiceError) -> Option<Served<Arc<SpanSet>>> {
        error
            .may_be_covered_by_stale()
            .then(|| self.cache.stale(&self.keys.spans(id)))
            .flatten()
    }

    async fn span_reader(
        &self,
        id: &TraceId,
        detail: SpanDetail,
        freshness: Freshness,
    ) -> Result<Served<SpanReader>, ServiceError> {
        let has_spans = || self.cache.fresh(&self.keys.spans(id)).is_some();
        let has_summaries = || self.cache.fresh(&self.keys.span_summaries(id)).is_some();
        let is_summary = detail == SpanDetail::Summary && freshness == Freshness::Cached;
        if is_summary && (has_summaries() || has_spans()) {
            let Served { value, status, age } = self.span_summaries(id, freshness).await?;
            return Ok(Served {
                value: SpanReader::summaries(value),
                status,
                age,
            });
        }
        Ok(self.open_spans(id, freshness))
    }

    /// Spans from the cache, from a read under way, or from a new one.
    fn open_spans(&self, id: &TraceId, freshness: Freshness) -> Served<SpanReader> {
        let key = self.keys.spans(id);
        let live = |reader, status| Served {
            value: SpanReader::Live(reader),
            status,
            age: Duration::ZERO,
        };
        let from_cache = || {
            let Served { value, status, age } = self.cache.fresh(&key)?;
            Some(Served {
                value: SpanReader::kept(value),
                status,
                age,
            })
        };
        if freshness == Freshness::Bypass {
            return live(self.start_feed(id, &key, false).1, CacheStatus::Miss);
        }
        if let Some(hit) = from_cache() {
            return hit;
        }
        match self.feeds.entry(key.raw().clone()) {
            Entry::Occupied(mut entry) => {
                if let Some(reader) = entry.get().join() {
                    return live(reader, CacheStatus::Coalesced);
                }
                let (feed, reader) = self.start_feed(id, &key, true);
                entry.insert(feed);
                live(reader, CacheStatus::Miss)
            }
            Entry::Vacant(entry) => {
                // A read may have ended between our look and this lock; it is kept before it is gone from here.
                if let Some(hit) = from_cache() {
                    return hit;
                }
                let (feed, reader) = self.start_feed(id, &key, true);
                entry.insert(feed);
                live(reader, CacheStatus::Miss)
            }
        }
    }

    fn start_feed(
        &self,
        id: &TraceId,
        key: &Key<Arc<SpanSet>>,
        is_shared: bool,
    ) -> (Arc<SpanFeed>, FeedReader) {
        let (feed, reader) = SpanFeed::new(self.feed_limits);
        let (source, wanted) = (self.source(), id.clone());
        let open = async move { source.open_spans(&wanted).await.map_err(Into::into) };
        let (cache, feeds, asked_at) = (self.cache.clone(), Arc::clone(&self.feeds), Instant::now());
        let (key, info, this) = (key.clone(), self.keys.info(id), Arc::downgrade(&feed));
        feed.start(open, move |set| {
            if let Some(set) = set {
                let fresh = Fresh {
                    value: Arc::clone(set),
                    fresh_for: fresh_for(&cache, &info, set),
                };
                cache.keep(&key, fresh, asked_at);
            }
            if is_shared {
                feeds.remove_if(key.raw(), |_, feed| {
                    std::ptr::eq(Arc::as_ptr(feed), this.as_ptr())
                });
            }
        });
        (feed, reader)
    }
}

/// How long these spans stay fresh, by what is known of their trace.
fn fresh_for(cache: &Cache, info: &Key<Arc<InfoEntry>>, set: &SpanSet) -> Duration {
    let info = cache.fresh(info);
    let completeness = match info.as_ref().map(|info| &info.value) {
        Some(info) if !info.state().is_finished() => Completeness::Growing,
        Some(info)
            if info
                .expected_span_count()
                .is_some_and(|expected| set.len() < expected) =>
        {
            Completeness::Growing
        }
        Some(_) => Completeness::Complete,
        None if set.len() > 0 && set.views().all(|span| span.is_ended()) => Completeness::Unknown,
        None => Completeness::Growing,
    };
    cache.policy().spans(completeness)
}

async fn summarised(set: Arc<SpanSet>) -> Result<Arc<SpanSet>, ServiceError> {
    let is_small = set.document().len() <= SUMMARISED_INLINE_BYTES;
    let summarise = move || {
        let summaries: Vec<Bytes> = set.iter().map(|span| filter::summary(&span)).collect();
        Arc::new(SpanSet::join(&summaries))
    };
    if is_small {
        return Ok(summarise());
    }
    tokio::task::spawn_blocking(summarise)
        .await
        .map_err(|_| ServiceError::Interrupted)
}

async fn summarised_while_flowing(mut reader: FeedReader) -> Result<Arc<SpanSet>, ServiceError> {
    let mut summaries = Vec::new();
    while let Some(spans) = reader.next().await {
        summaries.extend(spans?.iter().map(|span| filter::summary(span)));
    }
    Ok(Arc::new(SpanSet::join(&summaries)))
}
