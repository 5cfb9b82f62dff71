//! Lazy spans: loaded when asked for, once for all who ask, and passed on without being read where that is possible.
//!
//! [`feed`] is a read under way, [`set`] its result, [`arrival`] and [`scanner`] find spans in what arrives, [`filter`]
//! picks and shortens them.

mod arrival;
mod feed;
mod filter;
mod many;
mod scanner;
mod set;
mod stream;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dashmap::Entry;
use domain::{SpanId, TraceId};
use tokio::time::timeout;

#[cfg(feature = "doors")]
pub(crate) use arrival::Arrival;
pub use feed::FeedLimits;
pub(crate) use feed::{FeedReader, Gathered, Place, SpanFeed};
pub use filter::{SpanDetail, SpanQuery};
pub(crate) use many::ManyReads;
#[cfg(feature = "doors")]
pub(crate) use scanner::SpanScanner;
pub(crate) use set::{SpanSet, view};
pub use stream::SpanStream;

use crate::Services;
use crate::answer::{Answer, AnswerBody, CacheStatus, Fingerprint, Origin};
use crate::cache::{Cache, Completeness, Fresh, Freshness, Key, Served};
use crate::error::ServiceError;
use crate::traces::InfoEntry;
use stream::SpanReader;

/// Spans larger than this altogether are gone through off the async threads: it takes milliseconds.
const INLINE_BYTES: usize = 256 << 10;

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
        let (origin, patience) = (
            Origin::from(&reader),
            self.patience_with(&reader.value, id, freshness),
        );
        let mut stream = SpanStream::new(reader.value, query);
        let begun = match patience {
            Some(patience) => timeout(patience, stream.begin()).await.ok(),
            None => Some(stream.begin().await),
        };
        let stale = match &begun {
            Some(Ok(())) => return Ok((stream, origin)),
            Some(Err(error)) => self.stale_spans(id, freshness, error),
            None => {
                self.renew_spans(id);
                self.cache.stale(&self.keys.spans(id))
            }
        };
        match (stale, begun) {
            (Some(stale), _) => {
                let origin = Origin::from(&stale);
                Ok((stream.restarted(SpanReader::kept(stale.value)), origin))
            }
            (None, Some(Err(error))) => Err(error.about_trace(id)),
            // They were written to meanwhile.
            (None, _) => match stream.begin().await {
                Ok(()) => Ok((stream, origin)),
                Err(error) => Err(error.about_trace(id)),
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
        let form = query.clone();
        let (stream, origin) = self.stream_spans(id, query, freshness).await?;
        let Some(set) = stream.kept_set() else {
            return Ok(Answer {
                body: AnswerBody::Arriving(stream.into_document()),
                origin,
            });
        };
        let fingerprint = set.fingerprint();
        if stream.takes_everything() {
            return Ok(Answer::whole(vec![set.document()], fingerprint, origin));
        }
        let pieces = stream.kept_document();
        Ok(Answer::whole(
            pieces,
            Fingerprint::of_parts(&format!("{form:?}"), [fingerprint]),
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

    /// A trace's spans complete, or what [`Place`] says where they are too large for that.
    pub(crate) async fn gather_spans(
        &self,
        id: &TraceId,
        place: Place,
        freshness: Freshness,
    ) -> Result<Served<Gathered>, ServiceError> {
        let reader = self.open_spans(id, freshness);
        let patience = self.patience_with(&reader.value, id, freshness);
        let mut gathering = pin!(gathered(reader, id, place));
        let stale = match patience {
            None => return gathering.await,
            Some(patience) => match timeout(patience, &mut gathering).await {
                Ok(Err(error)) => self.stale_spans(id, freshness, &error).ok_or(error)?,
                Ok(gathered) => return gathered,
                Err(_) => {
                    self.renew_spans(id);
                    match self.cache.stale(&self.keys.spans(id)) {
                        Some(stale) => stale,
                        // They were written to meanwhile.
                        None => return gathering.await,
                    }
                }
            },
        };
        Ok(Served {
            value: Gathered::Set(stale.value),
            status: stale.status,
            age: stale.age,
        })
    }

    /// How long a reader is waited for; `None` where it is ready, or nothing is kept that could stand in.
    fn patience_with(&self, reader: &SpanReader, id: &TraceId, freshness: Freshness) -> Option<Duration> {
        match (reader, freshness) {
            (SpanReader::Live(_), Freshness::Cached) => self.cache.patience(&self.keys.spans(id)),
            _ => None,
        }
    }

    /// Reads the spans to their end though nobody waits for them: whoever asks next has them, or is told why not.
    fn renew_spans(&self, id: &TraceId) {
        // Joined before the one who waited in vain leaves: it is the same read.
        if let SpanReader::Live(reader) = self.open_spans(id, Freshness::Cached).value {
            tokio::spawn(reader.gather(Place::GivenUp));
        }
    }

    /// Summaries of a trace's spans, kept under their own key for as long as the spans they were made of are fresh.
    ///
    /// # Errors
    /// [`ServiceError::TooManySpans`] when even the summaries are too large to be held; they can still be streamed.
    pub(crate) async fn span_summaries(
        &self,
        id: &TraceId,
        freshness: Freshness,
    ) -> Result<Served<Arc<SpanSet>>, ServiceError> {
        let (services, wanted, key) = (self.clone(), id.clone(), self.keys.span_summaries(id));
        let load = async move {
            // No old spans stand in: what is made of them would be kept as new.
            let reader = services.open_spans(&wanted, freshness);
            let gathered = gathered(reader, &wanted, Place::Kept).await?;
            let (value, fresh_for) = match gathered.value {
                Gathered::Set(set) => {
                    let left = services.freshness_of(&wanted, &set);
                    (summarised(set).await?, left)
                }
                Gathered::Flowing(reader) => (
                    summarised_while_flowing(reader, services.feed_limits.shared_bytes).await?,
                    services.cache.policy().in_progress_ttl,
                ),
                Gathered::TooLarge => return Err(ServiceError::Interrupted),
            };
            Ok(Fresh { value, fresh_for })
        };
        let is_outdated = self.cache.fresh(&key).is_some() && self.fresh_set(&key, id).is_none();
        let of_summaries = if is_outdated { Freshness::Bypass } else { freshness };
        match self.cache.get_or_load(key, of_summaries, load).await {
            Err(error) => match self.stale_spans(id, freshness, &error) {
                Some(Served { value, status, age }) => Ok(Served {
                    value: summarised(value).await?,
                    status,
                    age,
                }),
                None => Err(error),
            },
            served => served,
        }
    }

    /// Summaries of spans that were just read, kept for who asks next.
    pub(crate) async fn summaries_of(
        &self,
        id: &TraceId,
        set: Arc<SpanSet>,
    ) -> Result<Arc<SpanSet>, ServiceError> {
        let asked_at = Instant::now();
        let fresh_for = self.freshness_of(id, &set);
        let value = summarised(set).await?;
        let fresh = Fresh {
            value: Arc::clone(&value),
            fresh_for,
        };
        self.cache.keep(&self.keys.span_summaries(id), fresh, asked_at);
        Ok(value)
    }

    /// How much longer these spans are fresh, if they are those that are kept.
    fn freshness_of(&self, id: &TraceId, set: &Arc<SpanSet>) -> Duration {
        self.cache
            .freshness_left(&self.keys.spans(id), |kept| Arc::ptr_eq(kept, set))
    }

    fn stale_spans(
        &self,
        id: &TraceId,
        freshness: Freshness,
        error: &ServiceError,
    ) -> Option<Served<Arc<SpanSet>>> {
        let may_stand_in = freshness == Freshness::Cached && error.may_be_covered_by_stale();
        may_stand_in
            .then(|| self.cache.stale(&self.keys.spans(id)))
            .flatten()
    }

    /// A set from the cache, unless what is known of its trace by now says that more spans may have come.
    pub(crate) fn fresh_set(&self, key: &Key<Arc<SpanSet>>, id: &TraceId) -> Option<Served<Arc<SpanSet>>> {
        let served = self.cache.fresh(key)?;
        let is_outdated = self.cache.fresh(&self.keys.info(id)).is_some_and(|info| {
            self.cache
                .policy()
                .spans(completeness_beside(&info.value, &served.value))
                <= served.age
        });
        (!is_outdated).then_some(served)
    }

    async fn span_reader(
        &self,
        id: &TraceId,
        detail: SpanDetail,
        freshness: Freshness,
    ) -> Result<Served<SpanReader>, ServiceError> {
        let is_kept = || {
            [self.keys.span_summaries(id), self.keys.spans(id)]
                .iter()
                .any(|key| self.fresh_set(key, id).is_some())
        };
        if detail == SpanDetail::Summary && freshness == Freshness::Cached && is_kept() {
            match self.span_summaries(id, freshness).await {
                Err(ServiceError::TooManySpans) => {}
                summaries => {
                    let Served { value, status, age } = summaries?;
                    return Ok(Served {
                        value: SpanReader::summaries(value),
                        status,
                        age,
                    });
                }
            }
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
            let Served { value, status, age } = self.fresh_set(&key, id)?;
            Some(Served {
                value: SpanReader::kept(value),
                status,
                age,
            })
        };
        if freshness == Freshness::Cached
            && let Some(hit) = from_cache()
        {
            return hit;
        }
        let (feed, reader) = SpanFeed::new(id.clone(), self.feed_limits, Arc::clone(&self.flows));
        if freshness == Freshness::Cached {
            // Nothing is started while the entry is locked: what is started takes it out again at its end.
            match self.feeds.entry(key.raw().clone()) {
                Entry::Occupied(mut entry) => {
                    if let Some(reader) = entry.get().join() {
                        return live(reader, CacheStatus::Coalesced);
                    }
                    entry.insert(Arc::clone(&feed));
                }
                Entry::Vacant(entry) => {
                    // A read may have ended between our look and this lock; it is kept before it is gone from here.
                    if let Some(hit) = from_cache() {
                        return hit;
                    }
                    entry.insert(Arc::clone(&feed));
                }
            }
        }
        self.start_feed(id, key, &feed);
        live(reader, CacheStatus::Miss)
    }

    fn start_feed(&self, id: &TraceId, key: Key<Arc<SpanSet>>, feed: &Arc<SpanFeed>) {
        let (source, wanted) = (self.source(), id.clone());
        let open = async move { source.open_spans(&wanted).await.map_err(Into::into) };
        let (cache, feeds, asked_at) = (self.cache.clone(), Arc::clone(&self.feeds), Instant::now());
        let (info, this) = (self.keys.info(id), Arc::downgrade(feed));
        feed.start(open, move |set| {
            if let Some(set) = set {
                let fresh = Fresh {
                    value: Arc::clone(set),
                    fresh_for: fresh_for(&cache, &info, set),
                };
                cache.keep(&key, fresh, asked_at);
            }
            // Only itself: another read may have taken its place.
            feeds.remove_if(key.raw(), |_, feed| {
                std::ptr::eq(Arc::as_ptr(feed), this.as_ptr())
            });
        });
    }
}

/// All that a reader reads, or what [`Place`] says where that is too large.
async fn gathered(
    reader: Served<SpanReader>,
    id: &TraceId,
    place: Place,
) -> Result<Served<Gathered>, ServiceError> {
    let value = match reader.value {
        SpanReader::Kept { set, .. } => Gathered::Set(set),
        SpanReader::Live(live) => live.gather(place).await.map_err(|error| error.about_trace(id))?,
    };
    Ok(Served {
        value,
        status: reader.status,
        age: reader.age,
    })
}

/// How long these spans stay fresh, by what is known of their trace.
fn fresh_for(cache: &Cache, info: &Key<Arc<InfoEntry>>, set: &SpanSet) -> Duration {
    let completeness = match cache.fresh(info) {
        Some(info) => completeness_beside(&info.value, set),
        // MLflow stores a span when it ends, and the root ends last.
        None if set.views().any(|span| span.is_root()) && set.views().all(|span| span.is_ended()) => {
            Completeness::Unknown
        }
        None => Completeness::Growing,
    };
    cache.policy().spans(completeness)
}

fn completeness_beside(info: &InfoEntry, set: &SpanSet) -> Completeness {
    let has_all = info
        .expected_span_count()
        .is_none_or(|expected| set.len() >= expected);
    if info.state().is_finished() && has_all {
        Completeness::Complete
    } else {
        Completeness::Growing
    }
}

async fn summarised(set: Arc<SpanSet>) -> Result<Arc<SpanSet>, ServiceError> {
    let is_small = set.document().len() <= INLINE_BYTES;
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

async fn summarised_while_flowing(
    mut reader: FeedReader,
    limit: usize,
) -> Result<Arc<SpanSet>, ServiceError> {
    let (mut summaries, mut bytes) = (Vec::new(), 0);
    while let Some(spans) = reader.next().await {
        for span in spans? {
            let summary = filter::summary(&span);
            bytes += summary.len();
            summaries.push(summary);
            if bytes > limit {
                return Err(ServiceError::TooManySpans);
            }
        }
    }
    Ok(Arc::new(SpanSet::join(&summaries)))
}
