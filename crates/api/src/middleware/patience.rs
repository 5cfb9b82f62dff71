//! Readers that take nothing.
//!
//! Of HTTP/1.1 the socket tells (`connections`). A connection of HTTP/2 may be well, and answer pings, while one of its streams is
//! not read, and the body of that is not asked for more: it cannot end by itself. Somebody else therefore looks, and takes from it
//! what it holds: memory, its place among large answers, a connection to MLflow.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::Version;
use http_body::{Body as HttpBody, Frame, SizeHint};
use service::ServiceError;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

/// Bodies up to this size leave at once, in bytes: it is what a stream may send before its reader says that it reads.
const ALWAYS_TAKEN: u64 = 65_535;

/// A body that is taken away when its reader takes nothing of it for so long.
pub(super) fn bounded(body: Body, version: Version, patience: Duration) -> Body {
    let is_small = body.size_hint().upper().is_some_and(|size| size <= ALWAYS_TAKEN);
    if version != Version::HTTP_2 || is_small {
        return body;
    }
    let shared = Arc::new(Shared(Mutex::new(State {
        body: Some(body),
        readers_turn: Some(Instant::now()),
    })));
    let watcher = tokio::spawn(watch(Arc::downgrade(&shared), patience));
    Body::new(Bounded {
        shared,
        _watcher: AbortOnDropHandle::new(watcher),
    })
}

async fn watch(shared: Weak<Shared>, patience: Duration) {
    let mut next = Some(Instant::now() + patience);
    while let Some(at) = next {
        sleep_until(at).await;
        next = shared.upgrade().and_then(|shared| shared.look(patience));
    }
}

struct Bounded {
    shared: Arc<Shared>,
    _watcher: AbortOnDropHandle<()>,
}

struct Shared(Mutex<State>);

struct State {
    /// `None` once it is taken away.
    body: Option<Body>,
    /// Since when it is the reader's turn; `None` while it is waited for the body itself.
    readers_turn: Option<Instant>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the body away where it is time; says when to look again.
    fn look(&self, patience: Duration) -> Option<Instant> {
        let mut state = self.state();
        let now = Instant::now();
        let until = state.readers_turn.unwrap_or(now) + patience;
        if until > now {
            return Some(until);
        }
        let taken = state.body.take();
        drop(state);
        // Others may wait for what it held.
        drop(taken);
        None
    }
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut state = self.shared.state();
        let Some(body) = &mut state.body else {
            return Poll::Ready(Some(Err(axum::Error::new(TookNothing))));
        };
        let frame = Pin::new(body).poll_frame(cx);
        state.readers_turn = frame.is_ready().then(Instant::now);
        frame
    }

    fn is_end_stream(&self) -> bool {
        let state = self.shared.state();
        state.body.as_ref().is_some_and(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let state = self.shared.state();
        state.body.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

/// Whether a body ended because its reader took nothing of it, or too little.
pub(super) fn is_of_reader(error: &axum::Error) -> bool {
    let first: &(dyn Error + 'static) = error;
    std::iter::successors(Some(first), |error| (*error).source()).any(|error| {
        error.is::<TookNothing>() || error.downcast_ref().is_some_and(ServiceError::is_of_reader)
    })
}

#[derive(Debug, thiserror::Error)]
#[error("its reader took nothing for too long")]
struct TookNothing;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures::{StreamExt, stream};
    use http_body_util::BodyExt;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);
    const ALMOST: Duration = Duration::from_secs(9);

    /// Tells when it is dropped.
    struct Told(Arc<AtomicBool>);

    impl Drop for Told {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    /// Two pieces, the second so much later; and whether it is gone.
    fn body(pause: Duration) -> (Body, Arc<AtomicBool>) {
        let gone = Arc::new(AtomicBool::new(false));
        let told = Told(Arc::clone(&gone));
        let pieces = stream::iter(0..2).then(move |nth| {
            let _held = &told;
            async move {
                tokio::time::sleep(pause * nth).await;
                Ok::<_, axum::Error>(Bytes::from_static(b"piece"))
            }
        });
        (Body::from_stream(pieces), gone)
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_reads_is_taken_away() {
        let (body, gone) = body(Duration::ZERO);
        let mut body = bounded(body, Version::HTTP_2, PATIENCE);
        assert!(body.frame().await.unwrap().is_ok());
        tokio::time::sleep(ALMOST).await;
        assert!(!gone.load(Ordering::SeqCst));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(gone.load(Ordering::SeqCst));
        assert!(is_of_reader(&body.frame().await.unwrap().unwrap_err()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_body_is_not_impatient_with_itself() {
        let (body, gone) = body(10 * PATIENCE);
        let body = bounded(body, Version::HTTP_2, PATIENCE);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "piecepiece");
        assert!(gone.load(Ordering::SeqCst));
        // Nobody looks any more.
        tokio::task::yield_now().await;
        assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_no_reader_that_takes_nothing() {
        let (body, _) = body(Duration::ZERO);
        let mut body = bounded(body, Version::HTTP_2, PATIENCE);
        for _ in 0..2 {
            tokio::time::sleep(ALMOST).await;
            assert!(body.frame().await.unwrap().is_ok());
        }
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn small_ones_and_other_protocols_pass_by() {
        let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let _small = bounded(Body::from("small"), Version::HTTP_2, PATIENCE);
        let _other = bounded(body(Duration::ZERO).0, Version::HTTP_11, PATIENCE);
        assert_eq!(alive(), 0);
        let _watched = bounded(body(Duration::ZERO).0, Version::HTTP_2, PATIENCE);
        assert_eq!(alive(), 1);
    }
}
