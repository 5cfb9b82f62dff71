//! A connection whose first words must come in time.
//!
//! HTTP/1 has a limit on the time of a request's head, HTTP/2 one on silence; but neither counts before it is known which of
//! the two is spoken, and one that says nothing, or half of what HTTP/2 begins with, would be heard for ever.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// What HTTP/2 begins with has so many bytes; by then it is known what is spoken.
const FIRST_WORDS: usize = 24;

/// A connection whose first words must come in time.
pub(crate) struct Opening<S> {
    socket: S,
    come: usize,
    /// `None` once they have come, or an answer is on its way.
    until: Option<Pin<Box<Sleep>>>,
}

impl<S> Opening<S> {
    pub(crate) fn new(socket: S, limit: Duration) -> Self {
        Self {
            socket,
            come: 0,
            until: Some(Box::pin(sleep(limit))),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Opening<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buffer);
        let Some(until) = self.until.as_mut() else {
            return read;
        };
        if read.is_pending() {
            ready!(until.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.come += buffer.filled().len() - before;
        if self.come >= FIRST_WORDS {
            self.until = None;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Opening<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.until = None;
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.until = None;
        Pin::new(&mut self.socket).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const LIMIT: Duration = Duration::from_mins(1);

    /// What is read of a connection on which this was said, and whether it was given up.
    async fn heard(said: &[u8], answers: bool) -> (Vec<u8>, bool) {
        let (mut client, socket) = duplex(100);
        let mut opening = Opening::new(socket, LIMIT);
        client.write_all(said).await.unwrap();
        if answers {
            opening.write_all(b"well").await.unwrap();
        }
        let mut heard = Vec::new();
        let reading = tokio::time::timeout(2 * LIMIT, opening.read_to_end(&mut heard));
        let is_given_up = reading
            .await
            .is_ok_and(|end| end.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut));
        (heard, is_given_up)
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_or_too_little_is_given_up() {
        assert_eq!(heard(b"", false).await, (b"".to_vec(), true));
        let half = b"PRI * HTTP/2.0\r\n\r\n";
        assert_eq!(heard(half, false).await, (half.to_vec(), true));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_said_enough_or_is_being_answered_has_time() {
        let head = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        assert_eq!(heard(head, false).await, (head.to_vec(), false));
        assert!(!heard(b"GET / HTTP/1.0\r\n\r\n", true).await.1);
    }
}
