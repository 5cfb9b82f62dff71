//! Small pieces put together, so that a comma does not cost a write of its own.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::Stream;
use pin_project_lite::pin_project;

/// Pieces from this size on are handed on as they are, in bytes.
pub(super) const LARGE: usize = 16 << 10;

/// Small pieces are put together up to about this size, in bytes.
const ENOUGH: usize = 64 << 10;

/// The same bytes in fewer pieces. Waits for nothing: what is there is handed on.
pub fn coalesced<S, E>(stream: S) -> Coalesced<S, E>
where
    S: Stream<Item = Result<Bytes, E>>,
{
    Coalesced {
        stream,
        held: BytesMut::new(),
        next: None,
    }
}

pin_project! {
    /// See [`coalesced`].
    #[derive(Debug)]
    pub struct Coalesced<S, E> {
        #[pin]
        stream: S,
        held: BytesMut,
        // What comes after the held bytes; `None` within: the end.
        next: Option<Option<Result<Bytes, E>>>,
    }
}

impl<S, E> Stream for Coalesced<S, E>
where
    S: Stream<Item = Result<Bytes, E>>,
{
    type Item = Result<Bytes, E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            if let Some(next) = this.next.take() {
                return Poll::Ready(next);
            }
            if this.held.len() >= ENOUGH {
                return Poll::Ready(Some(Ok(this.held.split().freeze())));
            }
            let next = match this.stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(piece))) if piece.len() < LARGE => {
                    this.held.extend_from_slice(&piece);
                    continue;
                }
                Poll::Ready(next) => next,
                Poll::Pending if this.held.is_empty() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Some(Ok(this.held.split().freeze()))),
            };
            if this.held.is_empty() {
                return Poll::Ready(next);
            }
            *this.next = Some(next);
            return Poll::Ready(Some(Ok(this.held.split().freeze())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{StreamExt, stream};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_bytes_and_the_error_stay_in_order(
            sizes in proptest::collection::vec(prop_oneof![0_usize..50, 15_000_usize..17_000, Just(70_000)], 0..20),
            fails: bool,
        ) {
            let pieces: Vec<Bytes> = sizes.iter().zip(0_u8..).map(|(size, fill)| vec![fill; *size].into()).collect();
            let error = fails.then_some(Err("broken"));
            let all = stream::iter(pieces.iter().cloned().map(Ok).chain(error));
            let out: Vec<_> = futures::executor::block_on(coalesced(all).collect());
            let (oks, errors): (Vec<_>, Vec<_>) = out.into_iter().partition(Result::is_ok);
            let joined: Vec<Bytes> = oks.into_iter().map(Result::unwrap).collect();
            prop_assert_eq!(joined.concat(), pieces.concat());
            prop_assert_eq!(errors.len(), usize::from(fails));
            prop_assert!(joined.iter().all(|piece| piece.len() < ENOUGH + LARGE || piece.len() == 70_000));
        }
    }

    #[test]
    fn small_pieces_leave_in_one() {
        let pieces = stream::iter((0..100).map(|_| Ok::<_, ()>(Bytes::from_static(b"{},"))));
        let out: Vec<_> = futures::executor::block_on(coalesced(pieces).collect());
        assert_eq!(out.len(), 1);
    }
}
