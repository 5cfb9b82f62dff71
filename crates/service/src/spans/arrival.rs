//! Spans out of what a source gives: found in text, or taken as they come.

use bytes::Bytes;
use domain::{TraceId, span_text};
use futures::StreamExt;

use super::scanner::SpanScanner;
use super::set::view;
use crate::error::{ServiceError, UnreadableSpans};
use crate::ports::SpanPieces;

/// Spans while they arrive, each valid JSON.
pub(crate) struct Arrival {
    pieces: SpanPieces,
    trace: TraceId,
    scanner: SpanScanner,
    span_bytes: usize,
    found: Vec<Bytes>,
    count: usize,
}

impl Arrival {
    /// What comes in as spans of this trace.
    pub(crate) fn new(pieces: SpanPieces, trace: TraceId, span_bytes: usize) -> Self {
        Self {
            pieces,
            trace,
            scanner: SpanScanner::new(span_bytes),
            span_bytes,
            found: Vec::new(),
            count: 0,
        }
    }

    /// The spans that came next, which may be none; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Result<&mut Vec<Bytes>, ServiceError>> {
        let came = match &mut self.pieces {
            SpanPieces::Text(pieces) => match pieces.next().await {
                Some(Ok(piece)) => self
                    .scanner
                    .push(&piece, &mut self.found)
                    .map_err(Into::into)
                    .and_then(|()| self.check_texts()),
                Some(Err(error)) => Err(error.into()),
                None => return None,
            },
            SpanPieces::Spans(pieces) => match pieces.next().await {
                Some(Ok(spans)) => {
                    self.found.extend(spans);
                    self.check_lengths()
                }
                Some(Err(error)) => Err(error.into()),
                None => return None,
            },
        };
        Some(came.map(|()| &mut self.found))
    }

    /// The scanner, which finds them, holds their lengths.
    fn check_texts(&mut self) -> Result<(), ServiceError> {
        for span in &mut self.found {
            let index = self.count;
            self.count += 1;
            *span = span_text::checked(std::mem::take(span)).ok_or(UnreadableSpans::InvalidSpan { index })?;
            // A connection that two calls got mixed up on gives a whole answer, to the other call.
            if index == 0 && view(span).is_some_and(|span| span.is_surely_not_of(&self.trace)) {
                return Err(UnreadableSpans::OfAnotherTrace.into());
            }
        }
        Ok(())
    }

    /// The source, which gives them, holds their texts.
    fn check_lengths(&self) -> Result<(), ServiceError> {
        let limit = self.span_bytes;
        let is_small = |span: &Bytes| span.len() <= limit;
        if self.found.iter().all(is_small) {
            Ok(())
        } else {
            Err(UnreadableSpans::SpanTooLarge { limit }.into())
        }
    }

    /// Whether what came was whole.
    pub(crate) fn finish(self) -> Result<(), ServiceError> {
        match self.pieces {
            SpanPieces::Text(_) => Ok(self.scanner.finish()?),
            SpanPieces::Spans(_) => Ok(()),
        }
    }
}
