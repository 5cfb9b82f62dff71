//! A body of ready pieces, sent without being copied together.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// The most that is handed on at once, in bytes: what works on a frame (compression) must not hold up the others.
const MAX_FRAME: usize = 64 << 10;

/// A body of ready pieces; its length is known.
#[derive(Debug)]
pub struct SegmentedBody {
    pieces: VecDeque<Bytes>,
    remaining: u64,
}

impl SegmentedBody {
    /// The pieces, one after the other.
    pub fn new(pieces: Vec<Bytes>) -> Self {
        let remaining = pieces.iter().map(|piece| piece.len() as u64).sum();
        Self {
            pieces: pieces.into_iter().filter(|piece| !piece.is_empty()).collect(),
            remaining,
        }
    }
}

impl Body for SegmentedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(piece) = self.pieces.front_mut() else {
            return Poll::Ready(None);
        };
        let frame = piece.split_to(piece.len().min(MAX_FRAME));
        if piece.is_empty() {
            self.pieces.pop_front();
        }
        self.remaining -= frame.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_bytes_come_in_order_and_the_length_is_right(sizes in proptest::collection::vec(0_usize..200_000, 0..4)) {
            let pieces: Vec<Bytes> = sizes.iter().zip(0_u8..).map(|(size, fill)| vec![fill; *size].into()).collect();
            let expected = pieces.concat();
            let body = SegmentedBody::new(pieces);
            prop_assert_eq!(body.size_hint().exact(), Some(expected.len() as u64));
            let collected = futures::executor::block_on(body.collect()).unwrap().to_bytes();
            prop_assert_eq!(collected, expected);
        }
    }
}
