//! When a question is asked again, and when not any more.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::ChatError;

/// Tries of one question beyond the first.
const MAX_RETRIES: u32 = 2;
/// The mean of the first pause; doubles with each further try.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// A server may ask for a pause up to this; a longer one ends the question.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(20);

/// The tries of one question, within its time.
#[derive(Debug)]
pub(crate) struct Tries {
    limit: Duration,
    deadline: Instant,
    done: u32,
}

impl Tries {
    pub(crate) fn within(limit: Duration) -> Self {
        Self {
            limit,
            deadline: Instant::now() + limit,
            done: 0,
        }
    }

    /// How long the next try may take: three quarters of what is left, so that one that hangs leaves time for another; the
    /// last one all of it.
    pub(crate) fn time_for_one(&self) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.done {
            MAX_RETRIES => left,
            _ => left.mul_f64(0.75),
        }
    }

    /// The limit on all tries together.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// How long to wait before the next try; `None` when there is none.
    pub(crate) fn pause_before_next(&mut self, error: &ChatError) -> Option<Duration> {
        if !error.may_pass() || self.done >= MAX_RETRIES {
            return None;
        }
        let asked = error.retry_after().unwrap_or_default();
        let drawn = FIRST_PAUSE * (1 << self.done);
        let pause = drawn.mul_f64(rand::random_range(0.5..1.5)).max(asked);
        let left = self.deadline.saturating_duration_since(Instant::now());
        if asked > LONGEST_RETRY_AFTER || pause >= left {
            return None;
        }
        self.done += 1;
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(seconds: u64) -> ChatError {
        ChatError::RateLimited {
            retry_after: Some(Duration::from_secs(seconds)),
        }
    }

    #[test]
    fn a_question_is_asked_three_times_at_most_with_growing_pauses() {
        let mut tries = Tries::within(Duration::from_mins(1));
        let down = ChatError::Unavailable {
            status: 503,
            retry_after: None,
        };
        let first = tries.pause_before_next(&down).unwrap();
        assert!((125..375).contains(&first.as_millis()), "{first:?}");
        let second = tries.pause_before_next(&down).unwrap();
        assert!((250..750).contains(&second.as_millis()), "{second:?}");
        assert_eq!(tries.pause_before_next(&down), None);
    }

    #[test]
    fn a_retry_after_is_honoured_as_far_as_there_is_time() {
        let pause =
            |limit, asked| Tries::within(Duration::from_secs(limit)).pause_before_next(&limited(asked));
        assert_eq!(pause(60, 7), Some(Duration::from_secs(7)));
        assert_eq!(pause(60, 21), None);
        assert_eq!(pause(5, 7), None);
    }

    #[test]
    fn what_will_not_pass_is_not_asked_again() {
        let mut tries = Tries::within(Duration::from_mins(1));
        for error in [
            ChatError::Unauthorized,
            ChatError::rejected(404, "no such model"),
            ChatError::TooLarge { limit: 1 },
        ] {
            assert_eq!(tries.pause_before_next(&error), None);
        }
    }
}
