use super::*;
use proptest::prelude::*;

const PAUSE: Duration = Duration::from_secs(1);

fn breaker() -> Breaker {
    Breaker::new(BreakerPolicy {
        failures: 3,
        first_pause: PAUSE,
        longest_pause: 4 * PAUSE,
    })
}

fn call(begun: Instant, is_probe: bool) -> Call {
    Call { begun, is_probe }
}

fn is_probe(let_in: Result<Call, Refused>) -> Option<bool> {
    let_in.ok().map(|call| call.is_probe)
}

fn state(breaker: &Breaker) -> BreakerState {
    breaker.report().state
}

#[test]
fn it_opens_after_failures_in_a_row_and_refuses_at_once() {
    let (breaker, now) = (breaker(), Instant::now());
    for _ in 0..2 {
        breaker.failed(call(now, false), now);
        breaker.failed(call(now, false), now);
        // One that goes well in between: they are not in a row.
        breaker.succeeded(now);
    }
    breaker.failed(call(now, false), now);
    breaker.failed(call(now, false), now);
    assert_eq!(state(&breaker), BreakerState::Closed);
    breaker.failed(call(now, false), now);
    assert_eq!(state(&breaker), BreakerState::Open);
    let retry_after = PAUSE / 2;
    assert_eq!(
        breaker.let_in(now + PAUSE / 2).err(),
        Some(Refused { retry_after })
    );
    let report = breaker.report();
    assert_eq!((report.opened, report.refused), (1, 1));
}

#[test]
fn after_the_pause_one_call_sees_and_closes_it() {
    let (breaker, now) = (breaker(), Instant::now());
    (0..3).for_each(|_| breaker.failed(call(now, false), now));
    let later = now + PAUSE;
    assert_eq!(is_probe(breaker.let_in(later)), Some(true));
    assert_eq!(state(&breaker), BreakerState::HalfOpen);
    assert!(breaker.let_in(later).is_err(), "only one");
    breaker.succeeded(later);
    assert_eq!(
        (state(&breaker), is_probe(breaker.let_in(later))),
        (BreakerState::Closed, Some(false))
    );
}

#[test]
fn pauses_double_up_to_the_longest() {
    let (breaker, mut now) = (breaker(), Instant::now());
    (0..3).for_each(|_| breaker.failed(call(now, false), now));
    for pause in [1, 2, 4, 4] {
        let is_early = now + PAUSE * pause * 9 / 10;
        assert!(breaker.let_in(is_early).is_err(), "{pause}");
        now += PAUSE * pause;
        assert_eq!(is_probe(breaker.let_in(now)), Some(true), "{pause}");
        breaker.failed(call(now, true), now);
    }
    assert_eq!(breaker.report().opened, 1, "it was open all the time");
}

#[test]
fn a_call_that_hangs_does_not_keep_the_next_from_seeing() {
    let (breaker, now) = (breaker(), Instant::now());
    (0..3).for_each(|_| breaker.failed(call(now, false), now));
    assert_eq!(is_probe(breaker.let_in(now + PAUSE)), Some(true));
    assert_eq!(is_probe(breaker.let_in(now + 2 * PAUSE)), Some(true));
}

#[test]
fn one_that_is_given_up_proves_nothing() {
    let breaker = Breaker::new(BreakerPolicy {
        failures: 1,
        first_pause: Duration::ZERO,
        longest_pause: Duration::ZERO,
    });
    breaker.enter().unwrap().failed();
    drop(breaker.enter().unwrap());
    assert_eq!(state(&breaker), BreakerState::Open);
    let pass = breaker.enter().unwrap();
    assert_eq!(state(&breaker), BreakerState::HalfOpen);
    pass.succeeded();
    drop(breaker.enter().unwrap());
    assert_eq!(state(&breaker), BreakerState::Closed);
}

#[test]
fn failures_from_before_it_opened_do_not_lengthen_the_pause() {
    let (breaker, now) = (breaker(), Instant::now());
    (0..10).for_each(|_| breaker.failed(call(now, false), now));
    assert_eq!(is_probe(breaker.let_in(now + PAUSE)), Some(true));
    breaker.failed(call(now, false), now + PAUSE);
    assert_eq!(state(&breaker), BreakerState::HalfOpen);
}

#[test]
fn a_call_that_fails_while_others_go_well_says_nothing_of_the_server() {
    let (breaker, now) = (breaker(), Instant::now());
    breaker.succeeded(now + PAUSE);
    // Slow ones, that time out together.
    (0..10).for_each(|_| breaker.failed(call(now, false), now + 2 * PAUSE));
    assert_eq!(state(&breaker), BreakerState::Closed);
    let later = now + 3 * PAUSE;
    (0..3).for_each(|_| breaker.failed(call(later, false), later));
    assert_eq!(state(&breaker), BreakerState::Open);
}

proptest! {
    /// However calls end: a server that is down sees few of them, and one that is up again is found within the longest pause.
    #[test]
    fn it_spares_the_server_and_finds_it_again(outage in 10_u32..2_000, calls_per_second in 1_u32..50) {
        let (breaker, begun) = (breaker(), Instant::now());
        let at = |number: u32| begun + Duration::from_secs(1) * number / calls_per_second;
        let mut seen = 0;
        for number in 0..outage {
            if let Ok(call) = breaker.let_in(at(number)) {
                seen += 1;
                breaker.failed(call, at(number));
            }
        }
        let seconds = outage / calls_per_second + 1;
        prop_assert!(seen <= 3 + 3 + seconds / 4 + 1, "{seen} calls in {seconds} s");
        let found = (outage..=2 * outage + 4 * calls_per_second).find(|number| breaker.let_in(at(*number)).is_ok()).unwrap();
        prop_assert!(at(found) - at(outage - 1) <= 4 * PAUSE + PAUSE / calls_per_second);
    }
}
