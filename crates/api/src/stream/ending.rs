//! Streams end with the server.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use pin_project_lite::pin_project;
use service::ServiceError;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

pin_project! {
    /// A stream that ends with [`ServiceError::Interrupted`] once the server must stop, instead of being torn off.
    #[derive(Debug)]
    pub struct Ending<S> {
        #[pin]
        stream: S,
        #[pin]
        told: WaitForCancellationFutureOwned,
        is_over: bool,
    }
}

impl<S> Ending<S> {
    /// The stream until `ending` is cancelled.
    pub fn new(stream: S, ending: CancellationToken) -> Self {
        Self {
            stream,
            told: ending.cancelled_owned(),
            is_over: false,
        }
    }
}

impl<S, T> Stream for Ending<S>
where
    S: Stream<Item = Result<T, ServiceError>>,
{
    type Item = Result<T, ServiceError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        if *this.is_over {
            return Poll::Ready(None);
        }
        let next = match this.told.poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(ServiceError::Interrupted))),
            Poll::Pending => this.stream.poll_next(cx),
        };
        *this.is_over = matches!(next, Poll::Ready(None | Some(Err(_))));
        next
    }
}
