//! When a failed call is tried again: never more often than the shared budget allows.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::capabilities::Flavor;
use crate::config::RetryPolicy;
use crate::error::ClientError;

/// The budget is kept in thousandths of a retry.
const MILLI: i64 = 1000;
/// A server may ask for a pause up to this; a longer one is passed on to our caller instead.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(20);

/// The policy and the budget all calls share.
#[derive(Debug)]
pub(super) struct Retries {
    policy: RetryPolicy,
    budget: AtomicI64,
}

impl Retries {
    pub(super) fn new(policy: RetryPolicy) -> Self {
        Self {
            budget: AtomicI64::new(i64::from(policy.budget_cap) * MILLI),
            policy,
        }
    }

    /// Counts a call in and returns its own account of tries.
    pub(super) fn begin(&self, is_idempotent: bool, flavor: Flavor) -> CallRetries<'_> {
        #[expect(clippy::cast_possible_truncation, reason = "a small positive number")]
        let deposit = (self.policy.budget_per_call.clamp(0.0, 1.0) * 1000.0) as i64;
        let cap = i64::from(self.policy.budget_cap) * MILLI;
        let add = |left: i64| Some((left + deposit).min(cap));
        // The closure never says None, so the update never fails.
        let _ = self
            .budget
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        CallRetries {
            shared: self,
            done: 0,
            flavor,
            is_idempotent,
        }
    }

    fn withdraw(&self) -> bool {
        let take = |left: i64| (left >= MILLI).then_some(left - MILLI);
        self.budget
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }
}

/// One call's tries.
#[derive(Debug)]
pub(super) struct CallRetries<'a> {
    shared: &'a Retries,
    done: u32,
    flavor: Flavor,
    is_idempotent: bool,
}

impl CallRetries<'_> {
    /// How long to wait before the next try; `None` when there is none.
    pub(super) fn pause_before_next(&mut self, error: &ClientError) -> Option<Duration> {
        let policy = &self.shared.policy;
        let is_retried = was_not_done(error) || (self.is_idempotent && may_pass(error, self.flavor));
        if !is_retried || self.done >= policy.max_retries {
            return None;
        }
        let asked = error.retry_after().unwrap_or_default();
        if asked > LONGEST_RETRY_AFTER || !self.shared.withdraw() {
            return None;
        }
        let mean = policy
            .first_pause
            .saturating_mul(1 << self.done.min(16))
            .min(policy.max_pause);
        self.done += 1;
        Some(mean.mul_f64(rand::random_range(0.5..1.5)).max(asked))
    }
}

/// Whether the call surely did nothing, so that even one that is not idempotent may be sent again: it never got a
/// connection, or the server says that it is one too many. After a 502, 503 or 504 nobody knows: a gateway may have
/// passed it on.
fn was_not_done(error: &ClientError) -> bool {
    match error {
        ClientError::RateLimited { .. } => true,
        ClientError::Unreachable { source, .. } => source.is_connect(),
        _ => false,
    }
}

/// Whether the call was not done, or the server says that it has too much to do for it now.
pub(super) fn is_one_too_many(error: &ClientError) -> bool {
    was_not_done(error) || matches!(error, ClientError::Unavailable { status: 503, .. })
}

/// Whether an idempotent call may succeed when it is sent again.
///
/// `Timeout` and `PoolExhausted` are not retried: both mean that the server is behind already. A 500 of open-source
/// MLflow is a bug that answers the same again; on Databricks it may pass.
fn may_pass(error: &ClientError, flavor: Flavor) -> bool {
    match error {
        ClientError::Unavailable { .. } | ClientError::Unreachable { .. } | ClientError::Contended { .. } => {
            true
        }
        ClientError::Failed { status: 500, .. } => flavor == Flavor::Databricks,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, HANGS_UP, Server};
    use proptest::prelude::*;
    use tokio::net::TcpListener;

    fn unavailable(retry_after: Option<Duration>) -> ClientError {
        ClientError::Unavailable {
            operation: "op",
            status: 503,
            retry_after,
        }
    }

    fn retries() -> Retries {
        Retries::new(RetryPolicy::default())
    }

    #[test]
    fn pauses_grow_and_a_retry_after_is_honoured() {
        let shared = retries();
        let mut call = shared.begin(true, Flavor::OpenSource);
        let first = call.pause_before_next(&unavailable(None)).unwrap();
        assert!((50..150).contains(&first.as_millis()), "{first:?}");
        let asked = Duration::from_secs(7);
        assert_eq!(call.pause_before_next(&unavailable(Some(asked))), Some(asked));
        let third = call.pause_before_next(&unavailable(None)).unwrap();
        assert!((200..600).contains(&third.as_millis()), "{third:?}");
        assert_eq!(call.pause_before_next(&unavailable(None)), None);
    }

    #[test]
    fn what_will_not_pass_is_not_tried_again() {
        let shared = retries();
        let mut call = shared.begin(true, Flavor::OpenSource);
        let long = Some(Duration::from_mins(10));
        assert_eq!(call.pause_before_next(&unavailable(long)), None);
        assert_eq!(
            call.pause_before_next(&ClientError::Unauthorized { operation: "op" }),
            None
        );
        let failed = ClientError::Failed {
            operation: "op",
            status: 500,
            code: String::new(),
            message: String::new(),
        };
        assert_eq!(call.pause_before_next(&failed), None);
        let mut call = shared.begin(true, Flavor::Databricks);
        assert!(call.pause_before_next(&failed).is_some());
    }

    /// What the client makes of a call that got no connection, and of one whose connection was lost.
    async fn unreachable() -> (ClientError, ClientError) {
        let id = "r1".parse().unwrap();
        let nobody = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", nobody.local_addr().unwrap());
        drop(nobody);
        let refused = testing::client(&url).get_run(&id).await.unwrap_err();
        let server = Server::answering([HANGS_UP; 4]).await;
        let lost = server.client().get_run(&id).await.unwrap_err();
        assert!(matches!(refused, ClientError::Unreachable { .. }), "{refused}");
        assert!(matches!(lost, ClientError::Unreachable { .. }), "{lost}");
        assert_eq!(server.calls().len(), 4, "a read is tried again");
        (refused, lost)
    }

    #[tokio::test]
    async fn a_write_is_tried_again_only_when_it_was_not_done() {
        let (refused, lost) = unreachable().await;
        let shared = retries();
        for flavor in [Flavor::OpenSource, Flavor::Databricks] {
            let is_retried = |error| shared.begin(false, flavor).pause_before_next(error).is_some();
            assert!(is_retried(&refused));
            let limited = ClientError::RateLimited {
                operation: "op",
                retry_after: None,
            };
            assert!(is_retried(&limited));
            let failed = ClientError::Failed {
                operation: "op",
                status: 500,
                code: String::new(),
                message: String::new(),
            };
            for error in [&lost, &unavailable(None), &failed] {
                assert!(!is_retried(error), "{error}");
            }
        }
    }

    #[tokio::test]
    async fn retries_of_writes_come_out_of_the_same_budget() {
        let shared = Retries::new(RetryPolicy {
            budget_cap: 2,
            ..RetryPolicy::default()
        });
        let (refused, _) = unreachable().await;
        let mut write = shared.begin(false, Flavor::OpenSource);
        assert!(write.pause_before_next(&refused).is_some());
        assert!(write.pause_before_next(&refused).is_some());
        assert!(write.pause_before_next(&refused).is_none());
    }

    proptest! {
        #[test]
        fn a_sick_server_never_sees_its_load_doubled(calls in 20_usize..400) {
            let shared = retries();
            let mut retried = 0;
            for _ in 0..calls {
                let mut call = shared.begin(true, Flavor::OpenSource);
                while call.pause_before_next(&unavailable(None)).is_some() {
                    retried += 1;
                }
            }
            prop_assert!(retried < calls, "{retried} retries on {calls} calls");
            prop_assert!(retried <= 10 + calls / 5);
        }
    }
}
