//! One trace, opened.

use bytes::Bytes;
use domain::TraceId;
use domain::span::{SPAN_INPUTS, SPAN_OUTPUTS, SpanView};
use futures::FutureExt;
use futures::stream::{self, BoxStream, StreamExt};
use serde_json::value::RawValue;

use super::document::{SpanInclusion, TracePart, excused};
use crate::Services;
use crate::answer::{Answer, AnswerBody, Fingerprint, Origin};
use crate::cache::Freshness;
use crate::error::ServiceError;
use crate::spans::{Gathered, Place, SpanQuery, SpanSet, SpanStream, view};

impl Services {
    /// `{"info": TraceInfo, "data": {"spans": […]}}`. Info and spans are loaded side by side; spans that are too large
    /// to be cached are passed on while they arrive.
    ///
    /// # Errors
    /// [`ServiceError::TraceNotFound`]; upstream trouble. A trace that is known but has no stored spans is answered with
    /// an empty list and, when it is finished, an `error` beside it.
    pub async fn get_trace(&self, id: &TraceId, freshness: Freshness) -> Result<Answer, ServiceError> {
        let spans = self.included_spans(id, SpanInclusion::Full, Place::Kept, freshness);
        // Spans may come for minutes: without an info they need not be waited for.
        let (info, spans) = tokio::try_join!(self.trace_info(id, freshness), spans.map(Ok))?;
        let (spans, origin_of_spans) = excused(spans, &info.value)?;
        let origin = Origin::from(&info).and(origin_of_spans);
        let body = TracePart {
            info: info.value,
            spans,
        }
        .into_body();
        Ok(Answer { body, origin })
    }

    /// `{"trace_data": {"spans": […], "request": text or null, "response": text or null}}`; request and response are
    /// the first root span's inputs and outputs as JSON text.
    ///
    /// # Errors
    /// As [`Services::stream_spans`].
    pub async fn get_trace_data(&self, id: &TraceId, freshness: Freshness) -> Result<Answer, ServiceError> {
        let gathered = self.gather_spans(id, Place::Kept, freshness).await?;
        let origin = Origin::from(&gathered);
        let body = match gathered.value {
            Gathered::Set(set) => AnswerBody::Whole {
                pieces: data_pieces(&set),
                fingerprint: Fingerprint::of_parts("trace_data", [set.fingerprint()]),
            },
            Gathered::TooLarge => return Err(ServiceError::Interrupted),
            Gathered::Flowing(reader) => {
                AnswerBody::Arriving(flowing_data(SpanStream::flowing(reader, SpanQuery::default())))
            }
        };
        Ok(Answer { body, origin })
    }
}

/// What stands around the spans, the request and the response of a trace's data.
const FRAME: [&str; 4] = [
    r#"{"trace_data":{"spans":"#,
    r#","request":"#,
    r#","response":"#,
    "}}",
];

fn data_pieces(set: &SpanSet) -> Vec<Bytes> {
    let [request, response] = set
        .views()
        .find(SpanView::is_root)
        .map_or_else(neither, |root| asked_and_answered(&root));
    let [head, before_request, before_response, end] = FRAME.map(text);
    vec![
        head,
        set.list(),
        before_request,
        request,
        before_response,
        response,
        end,
    ]
}

/// The root's inputs and outputs as they stand in the span: JSON strings that hold JSON text.
fn asked_and_answered(root: &SpanView<'_>) -> [Bytes; 2] {
    [SPAN_INPUTS, SPAN_OUTPUTS].map(|key| {
        let stored = root.attributes().raw(key).map_or("null", RawValue::get);
        Bytes::copy_from_slice(stored.as_bytes())
    })
}

fn text(fixed: &'static str) -> Bytes {
    Bytes::from_static(fixed.as_bytes())
}

fn neither() -> [Bytes; 2] {
    [const { Bytes::from_static(b"null") }; 2]
}

/// The same while the spans arrive. Request and response come last: the root may be any of the spans.
fn flowing_data(spans: SpanStream) -> BoxStream<'static, Result<Bytes, ServiceError>> {
    let mut root = None;
    let list = spans.into_list().map(Some).chain(stream::iter([None]));
    let body = list.map(move |piece| match piece {
        Some(Ok(span)) => {
            if root.is_none() {
                root = view(&span)
                    .filter(SpanView::is_root)
                    .map(|span| asked_and_answered(&span));
            }
            vec![Ok(span)]
        }
        Some(Err(error)) => vec![Err(error)],
        None => data_tail(root.take().unwrap_or_else(neither)).map(Ok).into(),
    });
    stream::iter([FRAME[0], "["].map(|fixed| Ok(text(fixed))))
        .chain(body.flat_map(stream::iter))
        .boxed()
}

fn data_tail([request, response]: [Bytes; 2]) -> [Bytes; 6] {
    let [before_request, before_response, end] = [FRAME[1], FRAME[2], FRAME[3]].map(text);
    [
        Bytes::from_static(b"]"),
        before_request,
        request,
        before_response,
        response,
        end,
    ]
}
