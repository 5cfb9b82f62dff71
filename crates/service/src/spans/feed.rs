//! A trace's spans while they arrive: one read of the upstream, any number of readers, bounded memory.
//!
//! A feed begins *sharing*: it keeps every span, readers may join and begin at the first, and what is complete goes
//! into the cache. Once more bytes came (or are announced) than may be shared it is *flowing*: nobody joins any more,
//! spans that all readers have passed are dropped, and the upstream is read only as fast as the slowest reader reads.
//! When the last reader leaves, the read stops.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::TraceId;
use opentelemetry::trace::FutureExt as _;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::arrival::Arrival;
use super::set::SpanSet;
use crate::error::{ServiceError, UnreadableSpans};
use crate::ports::SpanBody;
use crate::waiting::waiting;

/// Bounds on spans that arrive.
#[derive(Debug, Clone, Copy)]
pub struct FeedLimits {
    /// Spans of a trace are shared between readers, and cached, up to this many bytes of text.
    pub shared_bytes: usize,
    /// Beyond that, this many bytes are read ahead of the slowest reader.
    pub window_bytes: usize,
    /// A larger span is refused.
    pub span_bytes: usize,
    /// A reader that holds the others up for longer is cut off.
    pub patience: Duration,
    /// So many feeds may be flowing at once: each holds a read of the upstream for as long as its readers take.
    pub flows: usize,
}

/// How long a feed waits for its turn to flow.
const TURN_PATIENCE: Duration = Duration::from_secs(5);

impl Default for FeedLimits {
    fn default() -> Self {
        Self {
            shared_bytes: 8 << 20,
            window_bytes: 1 << 20,
            span_bytes: 64 << 20,
            patience: Duration::from_mins(1),
            flows: 64,
        }
    }
}

#[derive(Debug)]
enum End {
    /// All spans came; `Some` when they fit into a set.
    Complete(Option<Arc<SpanSet>>),
    Failed(ServiceError),
}

#[derive(Debug, Clone, Copy)]
enum Reader {
    /// Has read the spans before this index.
    At(usize),
    /// Wants all spans or none: takes part as long as they may be shared.
    WantsAll,
    CutOff,
}

#[derive(Debug)]
struct State {
    spans: VecDeque<Bytes>,
    /// Index of the first span that is still kept.
    first: usize,
    kept_bytes: usize,
    total_bytes: usize,
    is_flowing: bool,
    /// Goes on without readers, because the cache wants the result.
    is_wanted: bool,
    readers: Vec<Option<Reader>>,
    end: Option<End>,
    task: Option<AbortHandle>,
}

/// A trace's spans while they arrive.
#[derive(Debug)]
pub(crate) struct SpanFeed {
    trace: TraceId,
    limits: FeedLimits,
    /// Turns to flow, of all feeds.
    flows: Arc<Semaphore>,
    state: Mutex<State>,
    /// Spans came, or the end.
    news: Notify,
    /// A reader moved on or left.
    room: Notify,
}

impl SpanFeed {
    /// A feed and its first reader.
    pub(crate) fn new(trace: TraceId, limits: FeedLimits, flows: Arc<Semaphore>) -> (Arc<Self>, FeedReader) {
        let state = State {
            spans: VecDeque::new(),
            first: 0,
            kept_bytes: 0,
            total_bytes: 0,
            is_flowing: false,
            is_wanted: false,
            readers: vec![Some(Reader::At(0))],
            end: None,
            task: None,
        };
        let feed = Arc::new(Self {
            trace,
            limits,
            flows,
            state: Mutex::new(state),
            news: Notify::new(),
            room: Notify::new(),
        });
        let reader = FeedReader {
            feed: Arc::clone(&feed),
            slot: 0,
        };
        (feed, reader)
    }

    /// No code that holds the lock can panic half-way through a change, so a poisoned lock is a whole one.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader at the first span; `None` when it is too late to join.
    pub(crate) fn join(self: &Arc<Self>) -> Option<FeedReader> {
        let mut state = self.state();
        let is_left = state.end.is_none() && !state.has_readers() && !state.is_wanted;
        if state.is_flowing || is_left || matches!(state.end, Some(End::Failed(_))) {
            return None;
        }
        state.readers.push(Some(Reader::At(0)));
        let slot = state.readers.len() - 1;
        drop(state);
        Some(FeedReader {
            feed: Arc::clone(self),
            slot,
        })
    }

    /// Starts the read. `closed` runs once when nobody can join any more: with the set when the spans are complete
    /// and fit into one.
    pub(crate) fn start<O, C>(self: &Arc<Self>, open: O, closed: C)
    where
        O: Future<Output = Result<SpanBody, ServiceError>> + Send + 'static,
        C: FnOnce(Option<&Arc<SpanSet>>) + Send + 'static,
    {
        let feed = Arc::clone(self);
        let guard = EndGuard {
            feed: Arc::clone(self),
            closed: Some(closed),
        };
        let read = async move {
            let mut guard = guard;
            let end = match feed.read(open, &mut guard).await {
                Ok(set) => End::Complete(set),
                Err(error) => End::Failed(error),
            };
            guard.end(end);
        };
        let task = tokio::spawn(read.with_current_context());
        self.state().task = Some(task.abort_handle());
    }

    async fn read<C: FnOnce(Option<&Arc<SpanSet>>)>(
        &self,
        open: impl Future<Output = Result<SpanBody, ServiceError>>,
        guard: &mut EndGuard<C>,
    ) -> Result<Option<Arc<SpanSet>>, ServiceError> {
        let body = open.await?;
        let (limit, mut flow) = (self.limits.span_bytes, None);
        if body.largest_span.is_some_and(|bytes| bytes > limit as u64) {
            return Err(UnreadableSpans::SpanTooLarge { limit }.into());
        }
        if body
            .content_length
            .is_some_and(|length| length > self.limits.shared_bytes as u64)
        {
            flow = Some(self.begin_flowing(guard).await?);
        }
        let mut arrival = Arrival::new(body.pieces, self.trace.clone(), limit);
        while let Some(found) = arrival.next().await {
            let found = found?;
            if !found.is_empty() && self.publish(found) {
                flow = Some(self.begin_flowing(guard).await?);
            }
            self.wait_for_room().await?;
        }
        arrival.finish()?;
        drop(flow);
        let mut state = self.state();
        if state.is_flowing {
            return Ok(None);
        }
        let set = Arc::new(SpanSet::join(state.spans.make_contiguous()));
        // Readers go on in the set's text, and the pieces it was copied from are freed.
        state.spans = set.iter().collect();
        Ok(Some(set))
    }

    /// Appends spans; says whether that made the feed too large to share.
    fn publish(&self, found: &mut Vec<Bytes>) -> bool {
        let mut state = self.state();
        let bytes: usize = found.iter().map(Bytes::len).sum();
        state.kept_bytes += bytes;
        state.total_bytes += bytes;
        state.spans.extend(found.drain(..));
        let is_too_large = !state.is_flowing && state.total_bytes > self.limits.shared_bytes;
        drop(state);
        self.news.notify_waiters();
        is_too_large
    }

    /// From now on spans are dropped once all readers have passed them; holds the turn to do so. Fails when there is nobody to
    /// read them: the cache, which may have been waited for, cannot take them any more. And when too many flow already.
    async fn begin_flowing<C: FnOnce(Option<&Arc<SpanSet>>)>(
        &self,
        guard: &mut EndGuard<C>,
    ) -> Result<OwnedSemaphorePermit, ServiceError> {
        let turn = timeout(TURN_PATIENCE, Arc::clone(&self.flows).acquire_owned()).await;
        // The semaphore is never closed.
        let turn = turn.ok().and_then(Result::ok).ok_or(ServiceError::TooManyFlows)?;
        let has_readers = {
            let mut state = self.state();
            state.is_flowing = true;
            state.is_wanted = false;
            for reader in state.readers.iter_mut().flatten() {
                if matches!(reader, Reader::WantsAll) {
                    *reader = Reader::CutOff;
                }
            }
            state.drop_passed_spans();
            state.slowest().is_some()
        };
        guard.close(None);
        self.news.notify_waiters();
        if has_readers {
            Ok(turn)
        } else {
            Err(ServiceError::Interrupted)
        }
    }

    /// Waits while the window is full; the slowest reader is waited for only so long.
    async fn wait_for_room(&self) -> Result<(), ServiceError> {
        loop {
            let mut room = pin!(self.room.notified());
            room.as_mut().enable();
            {
                let state = self.state();
                if !state.is_flowing || state.kept_bytes < self.limits.window_bytes {
                    return Ok(());
                }
            }
            if timeout(self.limits.patience, room).await.is_err() {
                let has_readers = {
                    let mut state = self.state();
                    state.cut_off_slowest();
                    state.slowest().is_some()
                };
                self.news.notify_waiters();
                if !has_readers {
                    return Err(ServiceError::TooSlow(self.limits.patience));
                }
            }
        }
    }
}

impl State {
    fn has_readers(&self) -> bool {
        self.readers.iter().any(Option::is_some)
    }

    /// Where the slowest reader stands.
    fn slowest(&self) -> Option<usize> {
        self.readers.iter().flatten().filter_map(Reader::position).min()
    }

    /// Forgets the spans that every reader has passed.
    fn drop_passed_spans(&mut self) {
        let keep_from = self.slowest().unwrap_or(self.first + self.spans.len());
        while self.first < keep_from {
            let Some(span) = self.spans.pop_front() else {
                return;
            };
            self.first += 1;
            self.kept_bytes -= span.len();
        }
    }

    fn cut_off_slowest(&mut self) {
        let Some(slowest) = self.slowest() else {
            return;
        };
        for reader in self.readers.iter_mut().flatten() {
            if reader.position() == Some(slowest) {
                *reader = Reader::CutOff;
            }
        }
        self.drop_passed_spans();
    }
}

impl Reader {
    fn position(&self) -> Option<usize> {
        match self {
            Self::At(index) => Some(*index),
            Self::WantsAll | Self::CutOff => None,
        }
    }
}

/// Ends the feed whatever becomes of its task: an abort or a panic must not leave readers waiting.
struct EndGuard<C: FnOnce(Option<&Arc<SpanSet>>)> {
    feed: Arc<SpanFeed>,
    closed: Option<C>,
}

impl<C: FnOnce(Option<&Arc<SpanSet>>)> EndGuard<C> {
    fn close(&mut self, set: Option<&Arc<SpanSet>>) {
        if let Some(closed) = self.closed.take() {
            closed(set);
        }
    }

    /// The cache learns the set before anyone can find the feed gone.
    fn end(&mut self, end: End) {
        let set = match &end {
            End::Complete(set) => set.as_ref(),
            End::Failed(_) => None,
        };
        self.close(set);
        self.feed.state().end.get_or_insert(end);
        self.feed.news.notify_waiters();
    }
}

impl<C: FnOnce(Option<&Arc<SpanSet>>)> Drop for EndGuard<C> {
    fn drop(&mut self) {
        self.end(End::Failed(ServiceError::Interrupted));
    }
}

/// What becomes of a reader's place at the first span while it gathers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It reads from there when the spans are too large.
    Kept,
    /// It reads nothing when they are.
    GivenUp,
}

/// What a feed turned out to be.
#[derive(Debug)]
pub(crate) enum Gathered {
    /// Complete.
    Set(Arc<SpanSet>),
    /// Too large to be gathered; the reader stands at the first span.
    Flowing(FeedReader),
    /// Too large to be gathered, and no place was kept.
    TooLarge,
}

/// One reader of a feed. Dropping it makes room; dropping the last stops the read.
#[derive(Debug)]
pub(crate) struct FeedReader {
    feed: Arc<SpanFeed>,
    slot: usize,
}

impl FeedReader {
    /// Waits until spans are there, the end, or a failure, and takes what is there.
    pub(crate) async fn next(&mut self) -> Option<Result<Vec<Bytes>, ServiceError>> {
        loop {
            let mut news = pin!(self.feed.news.notified());
            news.as_mut().enable();
            if let Some(outcome) = self.take() {
                return outcome;
            }
            waiting(news).await;
        }
    }

    /// `None`: nothing yet. `Some(None)`: the end.
    #[expect(clippy::option_option, reason = "nothing yet and the end are two things")]
    fn take(&self) -> Option<Option<Result<Vec<Bytes>, ServiceError>>> {
        let mut state = self.feed.state();
        let Some(Reader::At(at)) = state.readers[self.slot] else {
            return Some(Some(Err(ServiceError::TooSlow(self.feed.limits.patience))));
        };
        let spans: Vec<Bytes> = state
            .spans
            .iter()
            .skip(at.saturating_sub(state.first))
            .cloned()
            .collect();
        if spans.is_empty() {
            return match &state.end {
                Some(End::Complete(_)) => Some(None),
                Some(End::Failed(error)) => Some(Some(Err(error.clone()))),
                None => None,
            };
        }
        state.readers[self.slot] = Some(Reader::At(at + spans.len()));
        if state.is_flowing {
            state.drop_passed_spans();
            drop(state);
            self.feed.room.notify_one();
        }
        Some(Some(Ok(spans)))
    }

    /// Waits until the spans are complete, or too large for that, or failed. Takes none. Who does not keep a place at
    /// the first span holds nobody up when they turn out too large.
    pub(crate) async fn gather(self, place: Place) -> Result<Gathered, ServiceError> {
        let feed = Arc::clone(&self.feed);
        if place == Place::GivenUp {
            let mut state = feed.state();
            if !state.is_flowing {
                state.readers[self.slot] = Some(Reader::WantsAll);
            }
        }
        loop {
            let mut news = pin!(feed.news.notified());
            news.as_mut().enable();
            {
                let state = feed.state();
                // Before the end: a read that nobody has a place in any more ends with an error.
                if state.is_flowing && place == Place::GivenUp {
                    drop(state);
                    return Ok(Gathered::TooLarge);
                }
                match &state.end {
                    Some(End::Complete(Some(set))) => return Ok(Gathered::Set(Arc::clone(set))),
                    Some(End::Failed(error)) => return Err(error.clone()),
                    Some(End::Complete(None)) | None => {}
                }
                if state.is_flowing {
                    drop(state);
                    return Ok(Gathered::Flowing(self));
                }
            }
            waiting(news).await;
        }
    }

    /// Leaves, but lets a read that is small enough for the cache run to its end.
    pub(crate) fn leave_to_cache(self) {
        let mut state = self.feed.state();
        state.is_wanted = !state.is_flowing;
    }
}

impl Drop for FeedReader {
    fn drop(&mut self) {
        let mut state = self.feed.state();
        state.readers[self.slot] = None;
        if state.is_flowing {
            state.drop_passed_spans();
        }
        let is_left = state.end.is_none() && !state.has_readers() && !state.is_wanted;
        let task = is_left.then(|| state.task.clone()).flatten();
        drop(state);
        self.feed.room.notify_one();
        if let Some(task) = task {
            task.abort();
        }
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
