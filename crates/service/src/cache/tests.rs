use std::sync::atomic::{AtomicUsize, Ordering};

use domain::TraceState;
use futures::FutureExt;
use futures::future::BoxFuture;
use mlflow_client::ClientError;
use serde_json::json;
use tokio::sync::Notify;

use super::*;

const MINUTE: Duration = Duration::from_mins(1);

fn cache(max_bytes: u64) -> Cache {
    cache_on(max_bytes, Arc::default())
}

/// A cache on a source that is in the state of this number; 0 tells none.
fn cache_on(max_bytes: u64, state: Arc<AtomicUsize>) -> Cache {
    cache_asking(max_bytes, move || {
        let state = state.load(Ordering::SeqCst);
        let version = (state > 0).then(|| DataVersion(state.to_string()));
        async move { version }.boxed()
    })
}

fn cache_asking(
    max_bytes: u64,
    ask: impl Fn() -> BoxFuture<'static, Option<DataVersion>> + Send + Sync + 'static,
) -> Cache {
    let policy = CachePolicy {
        max_bytes,
        stale_if_error: MINUTE,
        ..CachePolicy::default()
    };
    Cache::new(policy, Versions::told_by(ask))
}

fn key(run: &str) -> Key<Arc<Document>> {
    Keys::of(Scope::new("test")).run(&run.parse().unwrap())
}

fn document(text: &str) -> Arc<Document> {
    Arc::new(Document::render(&json!(text)).unwrap())
}

fn fresh(text: &str) -> Fresh<Arc<Document>> {
    Fresh {
        value: document(text),
        fresh_for: MINUTE,
    }
}

fn ago(seconds: u64) -> Instant {
    Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap()
}

fn unavailable() -> ServiceError {
    ClientError::Unavailable {
        operation: "runs.get",
        status: 503,
        retry_after: None,
    }
    .into()
}

async fn get(cache: &Cache, run: &str, freshness: Freshness, text: &str) -> (Arc<Document>, CacheStatus) {
    let text = text.to_owned();
    let served = cache
        .get_or_load(key(run), freshness, async move { Ok(fresh(&text)) })
        .await
        .unwrap();
    (served.value, served.status)
}

fn is(document: &Document, text: &str) -> bool {
    document.weight() == self::document(text).weight() && format!("{document:?}").contains(text)
}

#[test]
fn an_answer_is_fresh_for_its_time_then_stale_then_gone() {
    let cache = cache(1 << 20);
    cache.keep(&key("young"), fresh("a"), ago(59));
    let hit = cache.fresh(&key("young")).unwrap();
    assert!(hit.status == CacheStatus::Hit && hit.age >= Duration::from_secs(59));
    cache.keep(&key("old"), fresh("b"), ago(61));
    assert!(cache.fresh(&key("old")).is_none());
    assert_eq!(cache.stale(&key("old")).unwrap().status, CacheStatus::Stale);
    cache.keep(&key("gone"), fresh("c"), ago(121));
    assert!(cache.stale(&key("gone")).is_none());
}

#[test]
fn a_slow_older_load_does_not_replace_a_newer_answer() {
    let cache = cache(1 << 20);
    cache.keep(&key("a"), fresh("newer"), ago(1));
    cache.keep(&key("a"), fresh("older"), ago(5));
    assert!(is(&cache.fresh(&key("a")).unwrap().value, "newer"));
}

#[test]
fn all_entries_together_stay_below_the_bound() {
    let cache = cache(1 << 20);
    let large = "x".repeat(10_000);
    for index in 0..1000 {
        cache.keep(&key(&index.to_string()), fresh(&large), Instant::now());
    }
    let (bytes, entries) = cache.size();
    assert!(bytes <= 1 << 20, "{bytes}");
    assert!((50..=104).contains(&entries), "{entries}");
    cache.keep(&key("huge"), fresh(&"x".repeat(2 << 20)), Instant::now());
    assert!(cache.size().0 <= 1 << 20 && cache.fresh(&key("huge")).is_none());
}

#[test]
fn a_cache_of_no_bytes_and_an_answer_of_no_time_keep_nothing() {
    let (none, some) = (cache(0), cache(1 << 20));
    none.keep(&key("a"), fresh("a"), Instant::now());
    some.keep(
        &key("a"),
        Fresh {
            value: document("a"),
            fresh_for: Duration::ZERO,
        },
        Instant::now(),
    );
    assert!(none.stale(&key("a")).is_none() && some.stale(&key("a")).is_none());
}

#[tokio::test]
async fn a_bypass_asks_again_and_the_cache_learns_the_answer() {
    let cache = cache(1 << 20);
    assert_eq!(
        get(&cache, "a", Freshness::Cached, "first").await.1,
        CacheStatus::Miss
    );
    let (hit, status) = get(&cache, "a", Freshness::Cached, "second").await;
    assert!(is(&hit, "first") && status == CacheStatus::Hit);
    assert_eq!(
        get(&cache, "a", Freshness::Bypass, "third").await.1,
        CacheStatus::Miss
    );
    assert!(is(
        &get(&cache, "a", Freshness::Cached, "fourth").await.0,
        "third"
    ));
}

#[tokio::test]
async fn a_hundred_equal_loads_run_once_and_the_first_may_leave() {
    let (cache, started, go) = (
        cache(1 << 20),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(Notify::new()),
    );
    let load = || {
        let (started, go) = (Arc::clone(&started), Arc::clone(&go));
        async move {
            started.fetch_add(1, Ordering::SeqCst);
            go.notified().await;
            Ok(fresh("shared"))
        }
    };
    let ask = || {
        let (cache, load) = (cache.clone(), load());
        tokio::spawn(async move { cache.get_or_load(key("a"), Freshness::Cached, load).await })
    };
    let first = ask();
    tokio::task::yield_now().await;
    let others: Vec<_> = (0..99).map(|_| ask()).collect();
    tokio::task::yield_now().await;
    first.abort();
    go.notify_one();
    for other in others {
        let served = other.await.unwrap().unwrap();
        assert!(is(&served.value, "shared") && served.status == CacheStatus::Coalesced);
    }
    assert_eq!(started.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_error_reaches_all_who_wait_and_is_not_kept() {
    let cache = cache(1 << 20);
    let fail = || cache.get_or_load(key("a"), Freshness::Cached, async { Err(unavailable()) });
    let (one, two) = tokio::join!(fail(), fail());
    assert!(
        matches!((one, two), (Err(ServiceError::Upstream(one)), Err(ServiceError::Upstream(two))) if Arc::ptr_eq(&one, &two))
    );
    assert!(is(
        &get(&cache, "a", Freshness::Cached, "well again").await.0,
        "well again"
    ));
}

#[tokio::test]
async fn an_old_answer_stands_in_for_an_upstream_in_trouble_and_for_nothing_else() {
    let cache = cache(1 << 20);
    cache.keep(&key("a"), fresh("old"), ago(90));
    let answer = |error: ServiceError| cache.get_or_load(key("a"), Freshness::Cached, async { Err(error) });
    let stale = answer(unavailable()).await.unwrap();
    assert!(is(&stale.value, "old") && stale.status == CacheStatus::Stale);
    assert!(stale.age >= Duration::from_secs(90));
    let gone = ServiceError::RunNotFound("a".parse().unwrap());
    assert!(matches!(answer(gone).await, Err(ServiceError::RunNotFound(_))));
    let asked_for_new = cache
        .get_or_load(key("a"), Freshness::Bypass, async { Err(unavailable()) })
        .await;
    assert!(asked_for_new.is_err());
}

/// A load that ends when it is told to.
fn slow_load(
    go: &Arc<Notify>,
    text: &'static str,
) -> BoxFuture<'static, Result<Fresh<Arc<Document>>, ServiceError>> {
    let go = Arc::clone(go);
    async move {
        go.notified().await;
        Ok(fresh(text))
    }
    .boxed()
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_stands_in_for_a_slow_upstream_and_is_renewed_meanwhile() {
    let (cache, go) = (cache(1 << 20), Arc::new(Notify::new()));
    cache.keep(&key("a"), fresh("old"), ago(90));
    let begun = tokio::time::Instant::now();
    let load = slow_load(&go, "new");
    let stale = cache
        .get_or_load(key("a"), Freshness::Cached, load)
        .await
        .unwrap();
    assert!(is(&stale.value, "old") && stale.status == CacheStatus::Stale);
    let patience = cache.policy().patience(Duration::from_secs(30));
    assert!((patience..patience + MINUTE / 20).contains(&begun.elapsed()));
    // Nobody waits for the load any more; it goes on, and is not begun anew.
    go.notify_one();
    while cache.fresh(&key("a")).is_none() {
        tokio::task::yield_now().await;
    }
    let (renewed, status) = get(&cache, "a", Freshness::Cached, "never loaded").await;
    assert!(is(&renewed, "new") && status == CacheStatus::Hit);
}

#[tokio::test(start_paused = true)]
async fn a_slow_upstream_is_waited_for_where_no_old_answer_may_stand_in() {
    let (cache, go) = (cache(1 << 20), Arc::new(Notify::new()));
    cache.keep(&key("a"), fresh("before the write"), ago(90));
    cache.touches().touch(&[Thing::Run("a".parse().unwrap())]);
    step();
    let loading = cache.get_or_load(key("a"), Freshness::Cached, slow_load(&go, "new"));
    let told = async {
        tokio::time::sleep(10 * MINUTE).await;
        go.notify_one();
    };
    let (served, ()) = tokio::join!(loading, told);
    let served = served.unwrap();
    assert!(is(&served.value, "new") && served.status == CacheStatus::Miss);
}

#[test]
fn the_older_an_answer_the_longer_a_new_one_is_waited_for() {
    let policy = CachePolicy::default();
    let patience = |seconds| policy.patience(Duration::from_secs(seconds));
    assert_eq!(patience(0), policy.stale_patience / 10);
    assert!(patience(7) < patience(30) && patience(30) < patience(60));
    assert_eq!(patience(3_000), policy.stale_patience);
    let impatient = CachePolicy {
        stale_patience: Duration::ZERO,
        ..policy
    };
    assert_eq!(impatient.patience(MINUTE), Duration::ZERO);
}

#[test]
fn what_may_still_change_is_kept_briefly_and_finished_spans_longest() {
    let policy = CachePolicy::default();
    assert!(policy.info(TraceState::InProgress) < policy.info(TraceState::Ok));
    assert!(policy.spans(Completeness::Growing) < policy.spans(Completeness::Unknown));
    assert!(policy.spans(Completeness::Complete) > policy.info(TraceState::Ok));
    let brief = CachePolicy {
        info_ttl: Duration::ZERO,
        ..policy
    };
    assert_eq!(brief.info(TraceState::InProgress), Duration::ZERO);
}

/// Instants of two steps differ for sure.
fn step() {
    std::thread::sleep(Duration::from_millis(1));
}

fn touch_run(cache: &Cache, run: &str) {
    step();
    cache.touches.touch(&[Thing::Run(run.parse().unwrap())]);
    step();
}

#[tokio::test]
async fn what_was_written_is_read_anew_and_all_else_stays() {
    let cache = cache(1 << 20);
    for run in ["a", "b"] {
        get(&cache, run, Freshness::Cached, "old").await;
    }
    touch_run(&cache, "a");
    let (value, status) = get(&cache, "a", Freshness::Cached, "new").await;
    assert!(is(&value, "new") && status == CacheStatus::Miss);
    let (value, status) = get(&cache, "a", Freshness::Cached, "newer").await;
    assert!(is(&value, "new") && status == CacheStatus::Hit);
    let (value, status) = get(&cache, "b", Freshness::Cached, "new").await;
    assert!(is(&value, "old") && status == CacheStatus::Hit);
}

#[tokio::test]
async fn a_load_that_began_before_a_write_is_neither_joined_nor_kept_as_new() {
    let (cache, go) = (cache(1 << 20), Arc::new(Notify::new()));
    let (of_load, wait) = (cache.clone(), Arc::clone(&go));
    let before = tokio::spawn(async move {
        let load = async move {
            wait.notified().await;
            Ok(fresh("before"))
        };
        of_load
            .get_or_load(key("a"), Freshness::Cached, load)
            .await
            .unwrap()
            .value
    });
    tokio::task::yield_now().await;
    touch_run(&cache, "a");
    let (value, status) = get(&cache, "a", Freshness::Cached, "after").await;
    assert!(is(&value, "after") && status == CacheStatus::Miss);
    go.notify_one();
    assert!(
        is(&before.await.unwrap(), "before"),
        "who asked before gets what was then"
    );
    let (value, _) = get(&cache, "a", Freshness::Cached, "later").await;
    assert!(is(&value, "after"));
}

#[test]
fn a_search_is_old_after_the_writes_that_change_what_it_finds() {
    let cache = cache(1 << 20);
    let is_current = |filter: Option<&str>, thing: Thing| {
        let search = domain::SearchTraces {
            experiment_ids: Vec::new(),
            filter: filter.map(str::to_owned),
            max_results: 1,
            order_by: Vec::new(),
            page_token: None,
        };
        let key = Keys::of(Scope::new("test")).search(search);
        step();
        let entry = Entry {
            value: Kept::Page(Arc::new(SearchPage::of(&["tr-1", "tr-2"]))),
            weight: 0,
            asked_at: Instant::now(),
            fresh_for: MINUTE,
            kept_for: MINUTE,
            version: None,
        };
        step();
        cache.touches.touch(&[thing]);
        cache.touches.leave_current(&key.raw, &entry)
    };
    let trace = |id: &str| Thing::Trace(id.parse().unwrap());
    assert!(!is_current(None, trace("tr-2")) && is_current(None, trace("tr-3")));
    assert!(is_current(None, Thing::AnyAssessment) && is_current(None, Thing::AnyLink));
    assert!(!is_current(Some("Feedback.tone = 'good'"), Thing::AnyAssessment));
    assert!(!is_current(Some("attributes.run_id = 'r'"), Thing::AnyLink));
    assert!(!is_current(
        Some("metadata.`mlflow.sourceRun` = 'r'"),
        Thing::AnyLink
    ));
    assert!(is_current(Some("attributes.run_id = 'r'"), Thing::AnyAssessment));
    assert!(is_current(Some("status = 'OK'"), Thing::AnyRun));
}

#[tokio::test]
async fn what_was_kept_before_a_write_does_not_stand_in_afterwards() {
    let cache = cache(1 << 20);
    get(&cache, "a", Freshness::Cached, "old").await;
    touch_run(&cache, "a");
    let load = async { Err(unavailable()) };
    assert!(
        cache
            .get_or_load(key("a"), Freshness::Cached, load)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn rights_do_not_outlive_their_time() {
    let cache = cache(1 << 20);
    let key = || Keys::of(Scope::new("test")).reach(["ann".to_owned()].into());
    let short = Fresh {
        value: Arc::new(Reach::default()),
        fresh_for: Duration::from_millis(1),
    };
    cache.keep(&key(), short, ago(1));
    let load = async { Err(unavailable()) };
    assert!(cache.get_or_load(key(), Freshness::Cached, load).await.is_err());
}

#[tokio::test]
async fn an_answer_past_its_time_is_renewed_while_nothing_was_written() {
    let state = Arc::new(AtomicUsize::new(1));
    let cache = cache_on(1 << 20, Arc::clone(&state));
    let loads = AtomicUsize::new(0);
    let ask = async |text: &'static str| {
        loads.fetch_add(1, Ordering::SeqCst);
        let short = Fresh {
            fresh_for: Duration::from_millis(1),
            ..fresh(text)
        };
        let served = cache
            .get_or_load(key("1"), Freshness::Cached, async { Ok(short) })
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(150)).await;
        (served.value, served.status)
    };
    let (value, status) = ask("first").await;
    assert!(is(&value, "first") && status == CacheStatus::Miss);
    let (value, status) = ask("second").await;
    assert!(is(&value, "first") && status == CacheStatus::Hit);
    state.store(2, Ordering::SeqCst);
    let (value, status) = ask("third").await;
    assert!(is(&value, "third") && status == CacheStatus::Miss);
    let (value, status) = ask("fourth").await;
    assert!(is(&value, "third") && status == CacheStatus::Hit);
    cache.touches.touch(&[Thing::Run("1".parse().unwrap())]);
    let (value, status) = ask("fifth").await;
    assert!(is(&value, "fifth") && status == CacheStatus::Miss);
}

#[tokio::test]
async fn an_answer_is_not_taken_for_one_of_a_state_that_came_while_it_was_loaded() {
    let state = Arc::new(AtomicUsize::new(1));
    let cache = cache_on(1 << 20, Arc::clone(&state));
    let (writing, versions) = (Arc::clone(&state), Arc::clone(&cache.versions));
    let load = async move {
        // Read before another writes, and another's request sees the new state before this one ends.
        writing.store(2, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(150)).await;
        versions.present().await;
        Ok(Fresh {
            fresh_for: Duration::from_millis(1),
            ..fresh("old")
        })
    };
    cache
        .get_or_load(key("1"), Freshness::Cached, load)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let served = cache
        .get_or_load(key("1"), Freshness::Cached, async { Ok(fresh("new")) })
        .await
        .unwrap();
    assert!(is(&served.value, "new"));
}

#[tokio::test]
async fn rights_and_summaries_are_not_renewed_by_the_state_of_the_source() {
    let cache = cache_on(1 << 20, Arc::new(AtomicUsize::new(1)));
    let short = Duration::from_millis(1);
    let keys = Keys::of(Scope::new("test"));
    let rights = || keys.reach(["ann".to_owned()].into());
    let summaries = || keys.span_summaries(&"tr-1".parse().unwrap());
    for _ in 0..2 {
        let load = async move {
            Ok(Fresh {
                value: Arc::new(Reach::default()),
                fresh_for: short,
            })
        };
        let served = cache
            .get_or_load(rights(), Freshness::Cached, load)
            .await
            .unwrap();
        assert_eq!(served.status, CacheStatus::Miss);
        let load = async move {
            Ok(Fresh {
                value: Arc::new(SpanSet::join(&[])),
                fresh_for: short,
            })
        };
        let served = cache
            .get_or_load(summaries(), Freshness::Cached, load)
            .await
            .unwrap();
        assert_eq!(served.status, CacheStatus::Miss);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_was_kept_while_a_renewal_looked_is_not_overwritten_by_it() {
    let (looks, begun, go) = (
        AtomicUsize::new(0),
        Arc::new(Notify::new()),
        Arc::new(Notify::new()),
    );
    let (told, awaited) = (Arc::clone(&begun), Arc::clone(&go));
    let cache = cache_asking(1 << 20, move || {
        let is_first = looks.fetch_add(1, Ordering::SeqCst) == 0;
        let (told, awaited) = (Arc::clone(&told), Arc::clone(&awaited));
        async move {
            if !is_first {
                told.notify_one();
                awaited.notified().await;
            }
            Some(DataVersion("1".to_owned()))
        }
        .boxed()
    });
    let old = Fresh {
        fresh_for: Duration::from_millis(1),
        ..fresh("old")
    };
    let load = async { Ok(old) };
    cache
        .get_or_load(key("1"), Freshness::Cached, load)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    let asked_at = Instant::now();
    let renewing = tokio::spawn({
        let cache = cache.clone();
        async move { cache.fresh_or_renewed(&key("1")).await }
    });
    begun.notified().await;
    cache.keep(&key("1"), fresh("new"), asked_at);
    go.notify_one();
    renewing.await.unwrap();
    assert!(is(&cache.fresh(&key("1")).unwrap().value, "new"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whoever asks for whatever, at once or one after the other: each is served what was loaded in their own name.
    #[test]
    fn nobody_is_served_what_was_loaded_for_another(
        asked in proptest::collection::vec((0_u8..3, 0_u8..3, 0_u8..2), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let cache = cache(1 << 20);
        let ask = |(user, token, run): (u8, u8, u8)| {
            let (cache, text) = (cache.clone(), format!("of {user} {token} {run}"));
            let keys = Keys::of(Scope::of_user(&user.to_string(), [token; 32]));
            let key = keys.run(&run.to_string().parse().unwrap());
            async move {
                let own = text.clone();
                let load = async move {
                    tokio::task::yield_now().await;
                    Ok(fresh(&own))
                };
                let served = cache.get_or_load(key, Freshness::Cached, load).await.unwrap();
                is(&served.value, &text)
            }
        };
        runtime.block_on(async {
            for some in asked.chunks(8) {
                let own = futures::future::join_all(some.iter().copied().map(ask)).await;
                assert!(own.into_iter().all(|is_own| is_own), "{some:?}");
            }
        });
    }
}
