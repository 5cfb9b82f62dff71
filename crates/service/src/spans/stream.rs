//! Spans one after the other, from the cache or while they arrive, picked and shortened as asked.

use std::sync::Arc;
use std::vec;

use bytes::Bytes;
use domain::SpanId;
use futures::Stream;
use futures::stream::{self, BoxStream, StreamExt};

use super::feed::FeedReader;
use super::filter::{SpanQuery, SpanSieve};
use super::set::{SpanSet, view};
use crate::error::ServiceError;

/// Spans of a kept set that are handed on at once, in bytes: enough to amortise a hand-over, too few to matter.
const BATCH_BYTES: usize = 256 << 10;

/// Where spans come from.
#[derive(Debug)]
pub(super) enum SpanReader {
    Kept {
        set: Arc<SpanSet>,
        next: usize,
        is_summarised: bool,
    },
    Live(FeedReader),
}

impl SpanReader {
    pub(super) fn kept(set: Arc<SpanSet>) -> Self {
        Self::Kept {
            set,
            next: 0,
            is_summarised: false,
        }
    }

    pub(super) fn summaries(set: Arc<SpanSet>) -> Self {
        Self::Kept {
            set,
            next: 0,
            is_summarised: true,
        }
    }

    pub(super) fn is_summarised(&self) -> bool {
        matches!(
            self,
            Self::Kept {
                is_summarised: true,
                ..
            }
        )
    }

    async fn next(&mut self) -> Option<Result<Vec<Bytes>, ServiceError>> {
        match self {
            Self::Live(reader) => reader.next().await,
            Self::Kept { set, next, .. } => {
                let (mut batch, mut bytes) = (Vec::new(), 0);
                while let Some(span) = set.get(*next).filter(|_| bytes < BATCH_BYTES) {
                    *next += 1;
                    bytes += span.len();
                    batch.push(span);
                }
                (!batch.is_empty()).then_some(Ok(batch))
            }
        }
    }
}

/// A trace's spans one after the other; each the JSON text of one span on one line.
#[derive(Debug)]
pub struct SpanStream {
    /// `None` once nothing more is wanted of it.
    reader: Option<SpanReader>,
    sieve: SpanSieve,
    query: SpanQuery,
    /// What the reader gave and nobody has looked at.
    come: vec::IntoIter<Bytes>,
    /// The first batch, taken to see whether there is one.
    begun: Option<Vec<Bytes>>,
}

impl SpanStream {
    pub(super) fn new(reader: SpanReader, query: SpanQuery) -> Self {
        Self {
            reader: Some(reader),
            sieve: SpanSieve::new(query.clone()),
            query,
            come: Vec::new().into_iter(),
            begun: None,
        }
    }

    /// The spans of a reader that stands at the first.
    pub(crate) fn flowing(reader: FeedReader, query: SpanQuery) -> Self {
        Self::new(SpanReader::Live(reader), query)
    }

    /// Waits for the first spans, so that an early failure can still choose the response's status.
    pub(super) async fn begin(&mut self) -> Result<(), ServiceError> {
        if self.kept_set().is_none() {
            self.begun = self.read().await.transpose()?;
        }
        Ok(())
    }

    /// The same query on another reader.
    pub(super) fn restarted(self, reader: SpanReader) -> Self {
        Self::new(reader, self.query)
    }

    /// The set behind the stream, where it comes from the cache.
    pub(super) fn kept_set(&self) -> Option<Arc<SpanSet>> {
        match &self.reader {
            Some(SpanReader::Kept { set, .. }) => Some(Arc::clone(set)),
            _ => None,
        }
    }

    /// Whether all spans are wanted as they are.
    pub(super) fn takes_everything(&self) -> bool {
        self.sieve.takes_everything()
    }

    /// The next spans that are wanted, at least one; `None` at the end. After an error there is nothing more.
    pub async fn next(&mut self) -> Option<Result<Vec<Bytes>, ServiceError>> {
        if let Some(begun) = self.begun.take() {
            return Some(Ok(begun));
        }
        self.read().await
    }

    async fn read(&mut self) -> Option<Result<Vec<Bytes>, ServiceError>> {
        loop {
            let wanted = self.sift_some();
            if !wanted.is_empty() {
                return Some(Ok(wanted));
            }
            if self.sieve.is_done() {
                self.leave();
            }
            match self.reader.as_mut()?.next().await? {
                Ok(spans) => self.come = spans.into_iter(),
                Err(error) => {
                    self.reader = None;
                    return Some(Err(error));
                }
            }
        }
    }

    /// What is wanted of the spans that have come, so many bytes at a time: the summaries of many small spans are far larger
    /// than they are.
    fn sift_some(&mut self) -> Vec<Bytes> {
        let (mut wanted, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH_BYTES {
            let Some(span) = self.come.next() else {
                break;
            };
            if let Some(span) = self.sieve.sift(span) {
                bytes += span.len();
                wanted.push(span);
            }
        }
        wanted
    }

    /// The reader goes; a small read under way runs on for the cache.
    fn leave(&mut self) {
        if let Some(SpanReader::Live(reader)) = self.reader.take() {
            reader.leave_to_cache();
        }
    }

    /// The first span with this id.
    pub(super) async fn find(&mut self, id: SpanId) -> Result<Option<Bytes>, ServiceError> {
        while let Some(spans) = self.next().await {
            let found = spans?
                .into_iter()
                .find(|span| view(span).and_then(|view| view.id()) == Some(id));
            if found.is_some() {
                self.leave();
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// `{"spans":[…]}` while the spans arrive.
    pub(crate) fn into_document(self) -> BoxStream<'static, Result<Bytes, ServiceError>> {
        let head = stream::iter([Ok(Bytes::from_static(br#"{"spans":["#))]);
        let tail = stream::iter([Ok(Bytes::from_static(b"]}"))]);
        head.chain(self.into_list()).chain(tail).boxed()
    }

    /// The spans with commas between them while they arrive.
    pub(crate) fn into_list(self) -> impl Stream<Item = Result<Bytes, ServiceError>> + Send {
        stream::unfold((self, true), |(mut stream, is_first)| async move {
            let spans = match stream.next().await? {
                Ok(spans) => spans,
                Err(error) => return Some((vec![Err(error)], (stream, is_first))),
            };
            Some((separated(spans, is_first).map(Ok).collect(), (stream, false)))
        })
        .flat_map(stream::iter)
    }

    /// `{"spans":[…]}` in pieces, of a set from the cache.
    pub(super) fn kept_document(mut self) -> Vec<Bytes> {
        let set = self.kept_set();
        let spans = set
            .iter()
            .flat_map(|set| set.iter())
            .filter_map(|span| self.sieve.sift(span));
        let head = std::iter::once(Bytes::from_static(br#"{"spans":["#));
        head.chain(separated(spans, true))
            .chain([Bytes::from_static(b"]}")])
            .collect()
    }
}

fn separated(spans: impl IntoIterator<Item = Bytes>, is_first: bool) -> impl Iterator<Item = Bytes> {
    spans.into_iter().enumerate().flat_map(move |(index, span)| {
        let comma = (index > 0 || !is_first).then(|| Bytes::from_static(b","));
        comma.into_iter().chain([span])
    })
}
