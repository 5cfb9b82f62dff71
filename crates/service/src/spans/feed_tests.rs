use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use futures::stream;
use tokio::sync::mpsc;

use super::*;
use crate::ports::SpanPieces;

const LIMITS: FeedLimits = FeedLimits {
    shared_bytes: 1000,
    window_bytes: 200,
    span_bytes: 10_000,
    patience: Duration::from_mins(1),
    flows: 1,
};

fn new_feed() -> (Arc<SpanFeed>, FeedReader) {
    SpanFeed::new(
        "tr-1".parse().unwrap(),
        LIMITS,
        Arc::new(Semaphore::new(LIMITS.flows)),
    )
}

fn span(index: usize) -> String {
    format!(r#"{{"i":{index},"pad":"{}"}}"#, "x".repeat(80))
}

/// A body that counts how many pieces were taken of it.
fn body(spans: usize, taken: &Arc<AtomicUsize>) -> SpanBody {
    let taken = Arc::clone(taken);
    let pieces = (0..=spans).map(move |index| match index {
        0 => r#"{"spans":["#.to_owned(),
        i if i == spans => format!("{}]}}", span(i - 1)),
        i => format!("{},", span(i - 1)),
    });
    let chunks = stream::iter(pieces).map(move |piece| {
        taken.fetch_add(1, Ordering::SeqCst);
        Ok(Bytes::from(piece))
    });
    SpanBody {
        content_length: None,
        largest_span: None,
        pieces: SpanPieces::Text(chunks.boxed()),
    }
}

fn opened(body: SpanBody) -> impl Future<Output = Result<SpanBody, ServiceError>> {
    std::future::ready(Ok(body))
}

async fn all(mut reader: FeedReader) -> Result<Vec<Bytes>, ServiceError> {
    let mut spans = Vec::new();
    while let Some(batch) = reader.next().await {
        spans.extend(batch?);
    }
    Ok(spans)
}

fn expected(count: usize) -> Vec<Bytes> {
    (0..count).map(|index| span(index).into()).collect()
}

#[tokio::test]
async fn small_spans_are_shared_and_closed_with_their_set() {
    let ((feed, first), taken) = (new_feed(), Arc::default());
    let second = feed.join().unwrap();
    let (tell, mut closed) = mpsc::unbounded_channel();
    feed.start(opened(body(5, &taken)), move |set| {
        tell.send(set.map(|set| set.len())).unwrap();
    });
    assert_eq!(all(first).await.unwrap(), expected(5));
    assert_eq!(closed.recv().await, Some(Some(5)));
    // A reader that joins after the end reads from the set.
    assert_eq!(all(feed.join().unwrap()).await.unwrap(), expected(5));
    let Gathered::Set(set) = second.gather(Place::Kept).await.unwrap() else {
        panic!("not a set")
    };
    assert_eq!(set.iter().collect::<Vec<_>>(), expected(5));
}

#[tokio::test]
async fn large_spans_flow_no_faster_than_the_slowest_reader() {
    let ((feed, slow), taken) = (new_feed(), Arc::default());
    let fast = feed.join().unwrap();
    let (tell, mut closed) = mpsc::unbounded_channel();
    feed.start(opened(body(200, &taken)), move |set| {
        tell.send(set.is_some()).unwrap();
    });
    assert_eq!(closed.recv().await, Some(false));
    assert!(feed.join().is_none(), "too late to begin at the first span");
    let fast = tokio::spawn(all(fast));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    // The shared part, the window, and one piece in hand.
    let read_ahead = (LIMITS.shared_bytes + LIMITS.window_bytes) / span(0).len() + 3;
    assert!(
        taken.load(Ordering::SeqCst) <= read_ahead,
        "{taken:?} pieces taken"
    );
    assert_eq!(all(slow).await.unwrap(), expected(200));
    assert_eq!(fast.await.unwrap().unwrap(), expected(200));
}

#[tokio::test(start_paused = true)]
async fn so_many_flow_at_once_and_the_next_waits_for_its_turn_and_not_for_long() {
    let turns = Arc::new(Semaphore::new(LIMITS.flows));
    let large = |turns: &Arc<Semaphore>| {
        let (feed, reader) = SpanFeed::new("tr-1".parse().unwrap(), LIMITS, Arc::clone(turns));
        feed.start(opened(body(200, &Arc::default())), |_| {});
        all(reader)
    };
    let (slow, mut next) = (large(&turns), Box::pin(large(&turns)));
    assert!(tokio::time::timeout(TURN_PATIENCE / 2, &mut next).await.is_err());
    // One that is small needs no turn.
    let (feed, small) = SpanFeed::new("tr-2".parse().unwrap(), LIMITS, Arc::clone(&turns));
    feed.start(opened(body(5, &Arc::default())), |_| {});
    assert_eq!(all(small).await.unwrap(), expected(5));
    assert_eq!(slow.await.unwrap(), expected(200));
    assert_eq!(next.await.unwrap(), expected(200));
    let (_slow, in_vain) = (large(&turns), large(&turns));
    assert!(matches!(in_vain.await, Err(ServiceError::TooManyFlows)));
}

#[tokio::test]
async fn an_announced_length_over_the_limit_flows_at_once() {
    let ((feed, reader), taken) = (new_feed(), Arc::default());
    let body = SpanBody {
        content_length: Some(5000),
        largest_span: None,
        ..body(3, &taken)
    };
    feed.start(opened(body), |_| {});
    let Gathered::Flowing(reader) = reader.gather(Place::Kept).await.unwrap() else {
        panic!("not flowing")
    };
    assert_eq!(all(reader).await.unwrap(), expected(3));
}

#[tokio::test]
async fn an_announced_span_over_the_limit_is_refused_before_it_is_read() {
    let ((feed, reader), taken) = (new_feed(), Arc::<AtomicUsize>::default());
    let body = SpanBody {
        largest_span: Some(10_001),
        ..body(3, &taken)
    };
    feed.start(opened(body), |_| {});
    let refused = all(reader).await.unwrap_err();
    assert!(matches!(
        refused,
        ServiceError::UnreadableSpans(UnreadableSpans::SpanTooLarge { limit: 10_000 })
    ));
    assert_eq!(taken.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_read_stops_when_the_last_reader_leaves() {
    let ((feed, stayed), taken) = (new_feed(), Arc::<AtomicUsize>::default());
    let left = feed.join().unwrap();
    let (tell, mut closed) = mpsc::unbounded_channel();
    let pending = SpanBody {
        content_length: None,
        largest_span: None,
        pieces: SpanPieces::Text(stream::pending().boxed()),
    };
    let gone = Arc::clone(&taken);
    let watched = async move {
        let _on_drop = OnDrop(gone);
        let mut body = pending;
        if let SpanPieces::Text(pieces) = &mut body.pieces {
            pieces.next().await;
        }
        Ok(body)
    };
    feed.start(watched, move |set| tell.send(set.is_some()).unwrap());
    tokio::task::yield_now().await;
    drop(left);
    tokio::task::yield_now().await;
    assert_eq!(taken.load(Ordering::SeqCst), 0, "someone still reads");
    drop(stayed);
    assert_eq!(closed.recv().await, Some(false));
    assert_eq!(taken.load(Ordering::SeqCst), 1);
    assert!(feed.join().is_none());
}

struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_reader_may_leave_a_small_read_to_the_cache() {
    let ((feed, reader), taken) = (new_feed(), Arc::default());
    let (tell, mut closed) = mpsc::unbounded_channel();
    feed.start(opened(body(5, &taken)), move |set| {
        tell.send(set.map(|set| set.len())).unwrap();
    });
    reader.leave_to_cache();
    assert_eq!(closed.recv().await, Some(Some(5)));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_holds_the_others_up_is_cut_off() {
    let ((feed, mut stuck), taken) = (new_feed(), Arc::default());
    let fast = feed.join().unwrap();
    feed.start(opened(body(200, &taken)), |_| {});
    assert_eq!(all(fast).await.unwrap(), expected(200));
    assert!(matches!(stuck.next().await, Some(Err(ServiceError::TooSlow(_)))));
}

#[tokio::test]
async fn a_failure_half_way_reaches_every_reader_and_makes_no_set() {
    let ((feed, one), taken) = (new_feed(), Arc::default());
    let two = feed.join().unwrap();
    let SpanPieces::Text(whole) = body(3, &taken).pieces else {
        panic!("not text")
    };
    let cut = SpanBody {
        content_length: None,
        largest_span: None,
        pieces: SpanPieces::Text(whole.take(2).boxed()),
    };
    let (tell, mut closed) = mpsc::unbounded_channel();
    feed.start(opened(cut), move |set| tell.send(set.is_some()).unwrap());
    for reader in [one, two] {
        let error = all(reader).await.unwrap_err();
        assert!(
            matches!(error, ServiceError::UnreadableSpans(UnreadableSpans::Truncated)),
            "{error}"
        );
    }
    assert_eq!(closed.recv().await, Some(false));
}

#[tokio::test]
async fn a_span_that_is_no_json_is_named() {
    let (feed, reader) = new_feed();
    let text = Bytes::from_static(br#"{"spans":[{"a":1},{"a":x}]}"#);
    let body = SpanBody {
        content_length: None,
        largest_span: None,
        pieces: SpanPieces::Text(stream::iter([Ok(text)]).boxed()),
    };
    feed.start(opened(body), |_| {});
    let error = all(reader).await.unwrap_err();
    assert!(
        matches!(
            error,
            ServiceError::UnreadableSpans(UnreadableSpans::InvalidSpan { index: 1 })
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_read_that_nobody_reads_any_more_ends_when_it_becomes_too_large() {
    let ((feed, mut first), taken) = (new_feed(), Arc::default());
    let (tell, mut closed) = mpsc::unbounded_channel();
    feed.start(opened(body(1000, &taken)), move |set| {
        tell.send(set.is_some()).unwrap();
    });
    first.next().await.unwrap().unwrap();
    // It got what it wanted; a small rest would be read on for the cache.
    first.leave_to_cache();
    assert_eq!(closed.recv().await, Some(false));
    let ended = async {
        while feed.state().end.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), ended)
        .await
        .expect("the read ends");
    assert!(taken.load(Ordering::SeqCst) < 100);
}

#[tokio::test(start_paused = true)]
async fn a_read_whose_only_reader_stalls_ends() {
    let ((feed, first), taken) = (new_feed(), Arc::default());
    feed.start(opened(body(1000, &taken)), |_| {});
    let mut stalled = first;
    while !feed.state().is_flowing {
        stalled.next().await.unwrap().unwrap();
    }
    // Far beyond its patience, nothing being read.
    tokio::time::sleep(LIMITS.patience * 3).await;
    assert!(matches!(
        feed.state().end,
        Some(End::Failed(ServiceError::TooSlow(_)))
    ));
    assert!(matches!(
        stalled.next().await,
        Some(Err(ServiceError::TooSlow(_)))
    ));
}

#[tokio::test]
async fn all_who_want_all_or_nothing_are_told_that_it_is_too_large() {
    let ((feed, first), taken) = (new_feed(), Arc::default());
    let second = feed.join().unwrap();
    feed.start(opened(body(100, &taken)), |_| {});
    let (first, second) = tokio::join!(first.gather(Place::GivenUp), second.gather(Place::GivenUp));
    assert!(matches!(
        (first, second),
        (Ok(Gathered::TooLarge), Ok(Gathered::TooLarge))
    ));
    assert!(taken.load(Ordering::SeqCst) < 30, "nobody reads on");
}

#[tokio::test]
async fn who_wants_all_or_nothing_holds_nobody_up() {
    let ((feed, first), taken) = (new_feed(), Arc::default());
    let second = feed.join().unwrap();
    feed.start(opened(body(100, &taken)), |_| {});
    let gathered = second.gather(Place::GivenUp);
    let (all, gathered) = tokio::join!(all(first), gathered);
    assert_eq!(all.unwrap(), expected(100));
    assert!(matches!(gathered.unwrap(), Gathered::TooLarge));
}

#[tokio::test]
async fn whole_spans_are_taken_as_they_come_if_none_is_too_large() {
    let whole = |spans: Vec<Bytes>| SpanBody {
        content_length: None,
        largest_span: None,
        pieces: SpanPieces::Spans(stream::iter([Ok(Vec::new()), Ok(spans)]).boxed()),
    };
    let (feed, reader) = new_feed();
    feed.start(opened(whole(expected(3))), |_| {});
    assert_eq!(all(reader).await.unwrap(), expected(3));
    let (feed, reader) = new_feed();
    let large = format!("\"{}\"", "x".repeat(LIMITS.span_bytes));
    feed.start(opened(whole(vec![large.into()])), |_| {});
    let error = all(reader).await.unwrap_err();
    assert!(matches!(
        error,
        ServiceError::UnreadableSpans(UnreadableSpans::SpanTooLarge { .. })
    ));
}
