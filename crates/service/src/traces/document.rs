//! Puts traces together from parts that exist already: the rendered info and the text of the spans.

use std::sync::Arc;

use bytes::Bytes;
use domain::TraceId;
use futures::stream::{self, BoxStream, StreamExt};
use serde::Serialize;

use super::info::InfoEntry;
use crate::Services;
use crate::answer::{AnswerBody, Fingerprint, Origin};
use crate::cache::Freshness;
use crate::error::{ErrorCode, ServiceError};
use crate::records::to_json;
use crate::spans::{Gathered, Place, SpanDetail, SpanQuery, SpanSet, SpanStream};

/// How much of the spans a trace is shown with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanInclusion {
    /// None: span data is not touched.
    None,
    /// Name, ids, times, status, small attributes and sizes.
    Summary,
    /// Whole spans.
    Full,
}

impl SpanInclusion {
    /// Reads the two flags of a request. When neither is given: none, except for a search by run, because the
    /// labeling page renders the conversation from these spans.
    pub fn from_flags(include_spans: Option<bool>, summary_only: bool, is_search_by_run: bool) -> Self {
        match (include_spans, summary_only) {
            (Some(false), _) => Self::None,
            (_, true) => Self::Summary,
            (Some(true), false) => Self::Full,
            (None, false) if is_search_by_run => Self::Full,
            (None, false) => Self::None,
        }
    }
}

/// An error within an answer that is otherwise fine.
#[derive(Debug, Clone, Serialize)]
pub(super) struct PartError {
    code: ErrorCode,
    message: String,
}

impl From<&ServiceError> for PartError {
    fn from(error: &ServiceError) -> Self {
        Self {
            code: error.code(),
            message: error.public_message(),
        }
    }
}

/// A trace's spans as far as they are wanted.
pub(super) enum SpanPart {
    /// Not wanted, or not there yet.
    Empty,
    /// Wanted and not to be had: said beside the empty list.
    Missing(PartError),
    Set(Arc<SpanSet>),
    /// Without inputs and outputs: no preview can be derived from them.
    Summaries(Arc<SpanSet>),
    /// `{"spans":[…]}` while it arrives.
    Arriving(BoxStream<'static, Result<Bytes, ServiceError>>),
}

/// One trace and its spans, ready to be written.
pub(super) struct TracePart {
    pub(super) info: Arc<InfoEntry>,
    pub(super) spans: SpanPart,
}

/// What stands around a trace's info and its spans.
const FRAME: [&str; 3] = [r#"{"info":"#, r#","data":"#, "}"];

impl TracePart {
    /// `{"info": …, "data": …}`.
    pub(super) fn into_body(self) -> AnswerBody {
        let [head, middle, tail] = FRAME.map(|text| Bytes::from_static(text.as_bytes()));
        // Summaries may be the very text of the spans, and give no previews all the same.
        let form = match self.spans {
            SpanPart::Summaries(_) => "trace in short",
            _ => "trace",
        };
        let (info, data, of_spans) = match self.spans {
            SpanPart::Empty => (
                self.info.json(),
                Bytes::from_static(br#"{"spans":[]}"#),
                Fingerprint::of(b""),
            ),
            SpanPart::Missing(error) => {
                let data = missing(&error);
                (self.info.json(), data.clone(), Fingerprint::of(&data))
            }
            SpanPart::Set(set) => (
                self.info.json_with_previews_of(&set),
                set.document(),
                set.fingerprint(),
            ),
            SpanPart::Summaries(set) => (self.info.json(), set.document(), set.fingerprint()),
            SpanPart::Arriving(spans) => {
                let before = stream::iter([Ok(head), Ok(self.info.json()), Ok(middle)]);
                return AnswerBody::Arriving(before.chain(spans).chain(stream::iter([Ok(tail)])).boxed());
            }
        };
        let fingerprint = Fingerprint::of_parts(form, [self.info.fingerprint(), of_spans]);
        AnswerBody::Whole {
            pieces: vec![head, info, middle, data, tail],
            fingerprint,
        }
    }
}

fn missing(error: &PartError) -> Bytes {
    #[derive(Serialize)]
    struct Missing<'a> {
        spans: [(); 0],
        error: &'a PartError,
    }
    to_json(&Missing { spans: [], error }).unwrap_or_else(|_| Bytes::from_static(br#"{"spans":[]}"#))
}

/// Excuses a trace that has no stored spans: a trace that runs has none yet, a finished one lost them.
pub(super) fn excused(
    loaded: Result<(SpanPart, Origin), ServiceError>,
    info: &InfoEntry,
) -> Result<(SpanPart, Origin), ServiceError> {
    match loaded {
        Err(error @ ServiceError::SpansNotFound { .. }) => {
            let is_lost = info.state().is_finished();
            let part = if is_lost {
                SpanPart::Missing(PartError::from(&error))
            } else {
                SpanPart::Empty
            };
            Ok((part, Origin::ASKED))
        }
        loaded => loaded,
    }
}

impl Services {
    /// A trace's spans as far as they are wanted; whole ones that are too large to be held as [`Place`] says.
    pub(super) async fn included_spans(
        &self,
        id: &TraceId,
        inclusion: SpanInclusion,
        place: Place,
        freshness: Freshness,
    ) -> Result<(SpanPart, Origin), ServiceError> {
        match inclusion {
            SpanInclusion::None => Ok((SpanPart::Empty, Origin::OWN)),
            SpanInclusion::Summary => {
                let summaries = match self.span_summaries(id, freshness).await {
                    Err(ServiceError::TooManySpans) => {
                        let spans = self.spans_when_polled(id, SpanDetail::Summary, freshness);
                        return Ok((spans, Origin::ASKED));
                    }
                    summaries => summaries?,
                };
                let origin = Origin::from(&summaries);
                Ok((SpanPart::Summaries(summaries.value), origin))
            }
            SpanInclusion::Full => {
                let gathered = self.gather_spans(id, place, freshness).await?;
                let origin = Origin::from(&gathered);
                let part = match gathered.value {
                    Gathered::Set(set) => SpanPart::Set(set),
                    Gathered::Flowing(reader) => {
                        SpanPart::Arriving(SpanStream::flowing(reader, SpanQuery::default()).into_document())
                    }
                    Gathered::TooLarge => self.spans_when_polled(id, SpanDetail::Full, freshness),
                };
                Ok((part, origin))
            }
        }
    }

    /// Spans that are in the cache already; `None` when they would have to be loaded.
    pub(super) fn kept_spans(
        &self,
        id: &TraceId,
        inclusion: SpanInclusion,
        freshness: Freshness,
    ) -> Option<(SpanPart, Origin)> {
        let (key, part): (_, fn(_) -> SpanPart) = match inclusion {
            SpanInclusion::None => return Some((SpanPart::Empty, Origin::OWN)),
            SpanInclusion::Summary => (self.keys.span_summaries(id), SpanPart::Summaries),
            SpanInclusion::Full => (self.keys.spans(id), SpanPart::Set),
        };
        let served = (freshness == Freshness::Cached)
            .then(|| self.fresh_set(&key, id))
            .flatten()?;
        let origin = Origin::from(&served);
        Some((part(served.value), origin))
    }

    /// A trace's spans, read only once the stream is polled. For a trace that is too large to be held while others of a
    /// list are written, and whose reader would hold up the upstream meanwhile.
    fn spans_when_polled(&self, id: &TraceId, detail: SpanDetail, freshness: Freshness) -> SpanPart {
        let (services, id) = (self.clone(), id.clone());
        let query = SpanQuery {
            detail,
            ..SpanQuery::default()
        };
        let opened = stream::once(async move {
            match services.stream_spans(&id, query, freshness).await {
                Ok((spans, _)) => spans.into_document(),
                Err(error) => stream::iter([Ok(missing(&PartError::from(&error)))]).boxed(),
            }
        });
        SpanPart::Arriving(opened.flatten().boxed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_mean_what_the_contract_says() {
        use SpanInclusion::{Full, None as Nothing, Summary};
        for (include, summary, by_run, expected) in [
            (None, false, false, Nothing),
            (None, false, true, Full),
            (None, true, false, Summary),
            (None, true, true, Summary),
            (Some(true), false, false, Full),
            (Some(true), true, false, Summary),
            (Some(false), false, true, Nothing),
            (Some(false), true, false, Nothing),
        ] {
            let got = SpanInclusion::from_flags(include, summary, by_run);
            assert_eq!(got, expected, "{include:?} {summary} {by_run}");
        }
    }
}
