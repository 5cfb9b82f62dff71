//! Traces gone through span by span, some side by side, none of them held.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use analysis::digest::TraceDigest;
use analysis::facts::TraceFacts;
use bytes::Bytes;
use domain::{ExperimentId, TraceId};
use futures::stream::{self, Stream, StreamExt};

use crate::Services;
use crate::cache::Freshness;
use crate::error::ServiceError;
use crate::spans::{SpanQuery, SpanSet, view};
use crate::traces::{InfoEntry, SpanInclusion, TraceSearch};

/// Spans of many traces are asked for at once by so many.
const AT_ONCE: usize = 32;

/// Spans of fewer bytes are read where they come: it takes less than a millisecond.
const INLINE_BYTES: usize = 64 << 10;

/// What a job waits before it asks again an MLflow that is away.
pub(super) const PAUSES: &[Duration] = &[
    Duration::from_secs(2),
    Duration::from_secs(8),
    Duration::from_secs(30),
];

/// A trace that was gone through.
pub(super) struct Digested {
    pub(super) facts: TraceFacts,
    /// Why its spans are not in it, where they could not be read, for a reason of this trace.
    pub(super) digest: Result<TraceDigest, ServiceError>,
}

impl Services {
    /// The newest traces of an experiment, so many at most; the newest first.
    pub(super) async fn newest_traces(
        &self,
        experiment: &ExperimentId,
        count: u32,
        freshness: Freshness,
    ) -> Result<Vec<Arc<InfoEntry>>, ServiceError> {
        let search = TraceSearch {
            experiment_ids: vec![experiment.clone()],
            filter: None,
            run_id: None,
            max_results: count,
            page_token: None,
            order_by: vec!["timestamp_ms DESC".to_owned()],
            spans: SpanInclusion::None,
        };
        Ok(self.search_infos(search, freshness).await?.collect())
    }

    /// These traces, one after the other in their order, while the next ones are read. Trouble that passes is waited out
    /// in these pauses. What is not of one trace alone is an error: the rest of many traces is not what was asked for.
    pub(super) fn digest(
        &self,
        infos: &[Arc<InfoEntry>],
        freshness: Freshness,
        pauses: &'static [Duration],
    ) -> impl Stream<Item = Result<Digested, ServiceError>> + Send + use<> {
        let (services, at_once) = (self.clone(), self.parallel_traces);
        let groups: Vec<_> = infos.chunks(AT_ONCE).map(<[_]>::to_vec).collect();
        stream::iter(groups).flat_map(move |group| {
            let services = services.clone();
            let traces = async move {
                let ids: Vec<_> = group.iter().map(|info| info.trace_id().clone()).collect();
                let mut sets = services.many_spans(&ids, SpanInclusion::Full, freshness).await;
                let digested = move |info: Arc<InfoEntry>| {
                    let (services, set) = (services.clone(), sets.remove(info.trace_id()));
                    async move { services.digested(&info, set, freshness, pauses).await }
                };
                stream::iter(group).map(digested).buffered(at_once)
            };
            stream::once(traces).flatten()
        })
    }

    /// A trace with its spans: those that came with others', or those that are read now.
    async fn digested(
        &self,
        info: &InfoEntry,
        set: Option<Arc<SpanSet>>,
        freshness: Freshness,
        pauses: &'static [Duration],
    ) -> Result<Digested, ServiceError> {
        let facts = info.facts()?;
        let digest = TraceDigest::new(&facts);
        if let Some(set) = set {
            let digest = with(digest, set.iter().collect()).await;
            return Ok(Digested { facts, digest });
        }
        let mut pauses = pauses.iter();
        loop {
            let digest = match self.read(digest.clone(), info.trace_id(), freshness).await {
                // There is nothing to read, which is no trouble.
                Err(ServiceError::SpansNotFound { .. }) => Ok(digest.clone()),
                read => read,
            };
            let Err(error) = &digest else {
                return Ok(Digested { facts, digest });
            };
            if error.retry_after().is_none() {
                return if error.is_of_one_trace() {
                    Ok(Digested { facts, digest })
                } else {
                    Err(error.clone())
                };
            }
            let Some(pause) = pauses.next() else {
                self.check_answers(info.trace_id()).await?;
                return Ok(Digested { facts, digest });
            };
            tracing::warn!(%error, "the spans of a trace are read again");
            tokio::time::sleep(*pause).await;
        }
    }

    /// Whether MLflow tells of this trace at all: then it is its spans that are in trouble, and not MLflow.
    async fn check_answers(&self, id: &TraceId) -> Result<(), ServiceError> {
        let mut told = self.many_infos(slice::from_ref(id), Freshness::Bypass).await;
        match told.remove(id) {
            None | Some(Ok(_) | Err(ServiceError::TraceNotFound(_))) => Ok(()),
            Some(Err(error)) => Err(error),
        }
    }

    /// The trace with its spans, which are read now.
    async fn read(
        &self,
        mut digest: TraceDigest,
        id: &TraceId,
        freshness: Freshness,
    ) -> Result<TraceDigest, ServiceError> {
        let (mut spans, _) = self.stream_spans(id, SpanQuery::default(), freshness).await?;
        while let Some(some) = spans.next().await {
            digest = with(digest, some?).await?;
        }
        Ok(digest)
    }
}

async fn with(mut digest: TraceDigest, spans: Vec<Bytes>) -> Result<TraceDigest, ServiceError> {
    let bytes: usize = spans.iter().map(Bytes::len).sum();
    let add = move || {
        for span in &spans {
            digest.add(view(span).as_ref());
        }
        digest
    };
    if bytes <= INLINE_BYTES {
        return Ok(add());
    }
    off_thread(add).await
}

/// Work that takes milliseconds, where nobody waits for the thread.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ServiceError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| ServiceError::Interrupted)
}
