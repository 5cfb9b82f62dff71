//! A trace as a line: its pieces as they come.

use std::sync::Arc;

use bytes::Bytes;
use domain::TraceId;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use service::{AnswerBody, Freshness, ServiceError, Services, SpanQuery, SpanStream, TraceSource};

use super::{ExportError, otlp};
use crate::config::ExportFormat;

/// A line without its end.
pub(super) type Line = BoxStream<'static, Result<Bytes, ExportError>>;

/// Reads traces and writes them in a format.
pub(super) struct Lines {
    services: Services,
    source: Arc<dyn TraceSource>,
    format: ExportFormat,
}

impl Lines {
    pub(super) fn new(services: Services, source: Arc<dyn TraceSource>, format: ExportFormat) -> Self {
        Self {
            services,
            source,
            format,
        }
    }

    /// The line of a trace, from its beginning.
    pub(super) async fn open(&self, id: &TraceId) -> Result<Line, ExportError> {
        match self.format {
            // What is packed as Parquet is lines before.
            ExportFormat::Jsonl | ExportFormat::Parquet => self.jsonl(id).await,
            ExportFormat::Otlp => self.otlp(id).await,
        }
        .map_err(of_trace(id))
    }

    async fn jsonl(&self, id: &TraceId) -> Result<Line, ServiceError> {
        let answer = self.services.get_trace(id, Freshness::Cached).await?;
        let pieces = match answer.body {
            AnswerBody::Whole { pieces, .. } => stream::iter(pieces.into_iter().map(Ok)).boxed(),
            AnswerBody::Arriving(pieces) => pieces,
        };
        Ok(pieces.map_ok(on_one_line).map_err(of_trace(id)).boxed())
    }

    async fn otlp(&self, id: &TraceId) -> Result<Line, ServiceError> {
        let info = async {
            let info = self.source.get_trace_info(id).await;
            info.map_err(|error| ServiceError::from(error).about_trace(id))
        };
        let spans = self
            .services
            .stream_spans(id, SpanQuery::default(), Freshness::Cached);
        let spans = async {
            match spans.await {
                Ok((spans, _)) => Ok(Some(spans)),
                Err(ServiceError::SpansNotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let (info, spans) = tokio::try_join!(info, spans)?;
        let head = stream::iter([Ok(otlp::head(&info))]);
        let spans = spans.map(|spans| converted(id.clone(), spans));
        let tail = stream::iter([Ok(Bytes::from_static(otlp::TAIL))]);
        Ok(head.chain(stream::iter(spans).flatten()).chain(tail).boxed())
    }
}

/// The spans in OTLP, with commas between.
fn converted(id: TraceId, spans: SpanStream) -> Line {
    let begun = (id, spans, true);
    stream::try_unfold(begun, |(id, mut spans, is_first)| async move {
        let Some(batch) = spans.next().await else {
            return Ok(None);
        };
        let batch = batch.map_err(of_trace(&id))?;
        // It takes as long as the spans are large.
        let text = tokio::task::block_in_place(|| otlp::spans(&batch, is_first));
        let text = text.map_err(|error| ExportError::Span {
            id: id.clone(),
            reason: error.to_string(),
        })?;
        Ok(Some((text, (id, spans, false))))
    })
    .boxed()
}

fn of_trace(id: &TraceId) -> impl Fn(ServiceError) -> ExportError + Send + use<> {
    let id = id.clone();
    move |error| ExportError::Trace {
        id: id.clone(),
        error,
    }
}

/// Line ends stand between tokens only, in text that others wrote: none is in a string of JSON.
fn on_one_line(piece: Bytes) -> Bytes {
    if !piece.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return piece;
    }
    piece
        .iter()
        .map(|byte| match byte {
            b'\n' | b'\r' => b' ',
            other => *other,
        })
        .collect()
}

/// The trace that a line is of, by its beginning.
pub(super) fn trace_of(line: &[u8], format: ExportFormat) -> Option<&str> {
    let before: &[u8] = match format {
        ExportFormat::Jsonl | ExportFormat::Parquet => br#"{"info":{"trace_id":""#,
        ExportFormat::Otlp => otlp::BEFORE_TRACE_ID.as_bytes(),
    };
    let rest = line.strip_prefix(before)?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(&rest[..end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_no_line_end_within() {
        let text = Bytes::from_static(b"{\"a\":\r\n \"b\\n\"}");
        assert_eq!(&on_one_line(text)[..], b"{\"a\":   \"b\\n\"}");
    }

    #[test]
    fn whose_line_it_is_is_seen_by_its_beginning() {
        let jsonl = br#"{"info":{"trace_id":"tr-1","trace_location":{"#;
        assert_eq!(trace_of(jsonl, ExportFormat::Jsonl), Some("tr-1"));
        assert_eq!(trace_of(jsonl, ExportFormat::Otlp), None);
        assert_eq!(
            trace_of(b"{\"info\":{\"trace_id\":\"tr-", ExportFormat::Jsonl),
            None
        );
    }
}
