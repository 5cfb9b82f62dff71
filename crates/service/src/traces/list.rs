//! Many traces in one document, in a given order: ready at once when all parts are in the cache, else written while
//! the spans are loaded, a few traces at a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use domain::TraceId;
use futures::stream::{self, StreamExt};
use serde_json::json;

use super::document::{PartError, SpanInclusion, SpanPart, TracePart, excused};
use super::info::InfoEntry;
use crate::Services;
use crate::answer::{Answer, AnswerBody, Fingerprint, Origin};
use crate::cache::Freshness;
use crate::error::ServiceError;
use crate::records::to_json;
use crate::spans::{Place, SpanSet};

/// What ends the document, and how a trace whose spans cannot be loaded is shown.
#[derive(Debug, Clone)]
pub(super) enum ListKind {
    /// `,"next_page_token":…`; such a trace has an `error` beside its empty list of spans.
    Page { next_page_token: Option<String> },
    /// `,"errors":{…}`; such a trace is `null`, the reason among the errors.
    Batch,
}

/// A trace of the list: its info, or why there is none.
pub(super) type ListEntry = Result<Arc<InfoEntry>, (TraceId, PartError)>;

type Errors = BTreeMap<TraceId, PartError>;

const HEAD: Bytes = Bytes::from_static(br#"{"traces":["#);
const NULL: Bytes = Bytes::from_static(b"null");
const COMMA: Bytes = Bytes::from_static(b",");

impl ListKind {
    fn tail(&self, errors: &Errors) -> Result<Bytes, ServiceError> {
        let member = match self {
            Self::Page { next_page_token } => json!({ "next_page_token": next_page_token }),
            Self::Batch => json!({ "errors": errors }),
        };
        // `{"key":value}` becomes `],"key":value}`.
        Ok([b"],", &to_json(&member)?[1..]].concat().into())
    }
}

/// The traces without spans, as one text.
pub(super) fn without_spans(infos: &[Arc<InfoEntry>], kind: &ListKind) -> Result<Bytes, ServiceError> {
    let mut document = HEAD.to_vec();
    for (index, info) in infos.iter().enumerate() {
        if index > 0 {
            document.push(b',');
        }
        document.extend_from_slice(br#"{"info":"#);
        document.extend_from_slice(&info.json());
        document.extend_from_slice(br#","data":{"spans":[]}}"#);
    }
    document.extend_from_slice(&kind.tail(&Errors::new())?);
    Ok(document.into())
}

impl Services {
    /// The document; `origin` is that of the infos.
    pub(super) fn trace_list(
        &self,
        entries: Vec<ListEntry>,
        kind: ListKind,
        inclusion: SpanInclusion,
        freshness: Freshness,
        origin: Origin,
    ) -> Result<Answer, ServiceError> {
        let kept = |entry: &ListEntry| match entry {
            Ok(info) => self.kept_spans(info.trace_id(), inclusion, freshness).map(Some),
            Err(_) => Some(None),
        };
        let Some(parts) = entries.iter().map(kept).collect::<Option<Vec<_>>>() else {
            let body = self.arriving_list(entries, kind, inclusion, freshness);
            return Ok(Answer {
                body,
                origin: origin.and(Origin::ASKED),
            });
        };
        let origin = parts
            .iter()
            .flatten()
            .fold(origin, |all, (_, of_spans)| all.and(*of_spans));
        let (mut pieces, mut fingerprints, mut errors) = (vec![HEAD], Vec::new(), Errors::new());
        for (index, (entry, part)) in entries.into_iter().zip(parts).enumerate() {
            if index > 0 {
                pieces.push(COMMA);
            }
            let body = match (entry, part) {
                (Ok(info), Some((spans, _))) => TracePart { info, spans }.into_body(),
                (Ok(info), None) => TracePart {
                    info,
                    spans: SpanPart::Empty,
                }
                .into_body(),
                (Err((id, error)), _) => {
                    errors.insert(id, error);
                    AnswerBody::Whole {
                        pieces: vec![NULL],
                        fingerprint: Fingerprint::of(&NULL),
                    }
                }
            };
            let AnswerBody::Whole {
                pieces: of_trace,
                fingerprint,
            } = body
            else {
                return Err(ServiceError::Interrupted);
            };
            pieces.extend(of_trace);
            fingerprints.push(fingerprint);
        }
        let tail = kind.tail(&errors)?;
        fingerprints.push(Fingerprint::of(&tail));
        pieces.push(tail);
        let fingerprint = Fingerprint::of_parts("traces", fingerprints);
        Ok(Answer {
            body: AnswerBody::Whole { pieces, fingerprint },
            origin,
        })
    }

    fn arriving_list(
        &self,
        entries: Vec<ListEntry>,
        kind: ListKind,
        inclusion: SpanInclusion,
        freshness: Freshness,
    ) -> AnswerBody {
        let (services, kind_of_part) = (self.clone(), kind.clone());
        let parallel = self.parallel_traces;
        let read_at_once = async move {
            let ids: Vec<_> = entries
                .iter()
                .flatten()
                .map(|info| info.trace_id().clone())
                .collect();
            let sets = match inclusion {
                SpanInclusion::None => HashMap::new(),
                _ => services.many_spans(&ids, inclusion, freshness).await,
            };
            let with_set = entries.into_iter().map(|entry| {
                let set = entry.as_ref().ok().and_then(|info| sets.get(info.trace_id()));
                let set = set.map(Arc::clone);
                (entry, set)
            });
            (services.clone(), with_set.collect::<Vec<_>>())
        };
        let parts = stream::once(read_at_once).flat_map(move |(services, entries)| {
            let kind = kind_of_part.clone();
            let part = move |(entry, set)| {
                let (services, kind) = (services.clone(), kind.clone());
                async move { services.list_part(entry?, set, &kind, inclusion, freshness).await }
            };
            stream::iter(entries).map(part).buffered(parallel)
        });
        // Errors are known only when all traces are written, and written last.
        let errors = Arc::new(Mutex::new(Errors::new()));
        let told = Arc::clone(&errors);
        let traces = parts.enumerate().flat_map(move |(index, part)| {
            let body = match part {
                Ok(part) => part.into_body().into_stream(),
                Err((id, error)) => {
                    told.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(id, error);
                    stream::iter([Ok(NULL)]).boxed()
                }
            };
            stream::iter((index > 0).then_some(Ok(COMMA))).chain(body)
        });
        let tail =
            stream::once(async move { kind.tail(&errors.lock().unwrap_or_else(PoisonError::into_inner)) });
        AnswerBody::Arriving(stream::iter([Ok(HEAD)]).chain(traces).chain(tail).boxed())
    }

    async fn list_part(
        &self,
        info: Arc<InfoEntry>,
        set: Option<Arc<SpanSet>>,
        kind: &ListKind,
        inclusion: SpanInclusion,
        freshness: Freshness,
    ) -> Result<TracePart, (TraceId, PartError)> {
        let id = info.trace_id();
        let loaded = match (set, inclusion) {
            (Some(set), SpanInclusion::Full) => Ok((SpanPart::Set(set), Origin::ASKED)),
            (Some(set), SpanInclusion::Summary) => self
                .summaries_of(id, set)
                .await
                .map(|summaries| (SpanPart::Summaries(summaries), Origin::ASKED)),
            // A trace may wait long for its turn to be written: it must not hold up those who read it elsewhere.
            _ => {
                self.included_spans(id, inclusion, Place::GivenUp, freshness)
                    .await
            }
        };
        let spans = match excused(loaded, &info) {
            Ok((spans, _)) => spans,
            Err(error) => match kind {
                ListKind::Page { .. } => SpanPart::Missing(PartError::from(&error)),
                ListKind::Batch => return Err((id.clone(), PartError::from(&error))),
            },
        };
        Ok(TracePart { info, spans })
    }
}
