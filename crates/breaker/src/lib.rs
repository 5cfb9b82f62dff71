//! A circuit breaker: leaves a server that does not answer alone, and finds out when it does again.
//!
//! It is closed while calls go through. After so many failed calls in a row it opens: for a pause every call is refused at
//! once, so that those who ask have their error, or an older answer, now and not after a time-out, and a server that comes
//! up again is not run over. After the pause one call is let through to see. When that goes well the breaker closes; else
//! the next pause is twice as long, up to a limit. Pauses are short: each is time in which a server that is well again is
//! not asked. A failure counts only when no other call went well since its own began.
//!
//! It knows no I/O: who makes the calls says how they ended. What counts as a failure is theirs to judge too: a server that
//! says "not found" is well.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When a breaker opens and how long it stays open.
#[derive(Debug, Clone, Copy)]
pub struct BreakerPolicy {
    /// Failed calls in a row after which it opens; 0: never.
    pub failures: u32,
    /// The first pause. Each call in vain after a pause doubles the next one.
    pub first_pause: Duration,
    /// No pause is longer.
    pub longest_pause: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            failures: 5,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(5),
        }
    }
}

/// Whether calls go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// They do.
    Closed,
    /// None does.
    Open,
    /// One is under way to see whether they can.
    HalfOpen,
}

impl BreakerState {
    /// The word for reports and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// What a breaker is at, and what became of it so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerReport {
    /// Whether calls go through.
    pub state: BreakerState,
    /// How long until a call is let through to see; zero where one is or may be.
    pub opens_in: Duration,
    /// How often it opened from being closed.
    pub opened: u64,
    /// How many calls were refused.
    pub refused: u64,
}

/// A circuit breaker before one server.
#[derive(Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    circuit: Circuit,
    /// When a call last went well.
    answered_at: Option<Instant>,
    opened: u64,
    refused: u64,
}

#[derive(Debug, Clone, Copy)]
enum Circuit {
    Closed {
        /// In a row.
        failures: u32,
    },
    Open {
        /// From then on a call is let through to see. Each that is moves it on by the pause: one that hangs must not keep
        /// the next from seeing more.
        until: Instant,
        pause: Duration,
        is_probed: bool,
    },
}

/// The breaker is open: the call was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// How long until one is let through.
    pub retry_after: Duration,
}

/// A call that is let through. Who says nothing of its end, because nobody waits for it any more, proves nothing.
#[derive(Debug)]
#[must_use = "say how the call ended"]
pub struct Pass<'a> {
    breaker: &'a Breaker,
    call: Call,
    is_told: bool,
}

#[derive(Debug, Clone, Copy)]
struct Call {
    begun: Instant,
    /// Lets the breaker see whether calls go through again.
    is_probe: bool,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(policy: BreakerPolicy) -> Self {
        let inner = Inner {
            circuit: Circuit::Closed { failures: 0 },
            answered_at: None,
            opened: 0,
            refused: 0,
        };
        Self {
            policy,
            inner: Mutex::new(inner),
        }
    }

    /// Lets a call through, or does not.
    ///
    /// # Errors
    /// [`Refused`] while the breaker is open.
    pub fn enter(&self) -> Result<Pass<'_>, Refused> {
        Ok(Pass {
            breaker: self,
            call: self.let_in(Instant::now())?,
            is_told: false,
        })
    }

    /// What it is at.
    pub fn report(&self) -> BreakerReport {
        let inner = self.inner();
        let (state, opens_in) = match inner.circuit {
            Circuit::Closed { .. } => (BreakerState::Closed, Duration::ZERO),
            Circuit::Open { is_probed: true, .. } => (BreakerState::HalfOpen, Duration::ZERO),
            Circuit::Open { until, .. } => {
                let left = until.saturating_duration_since(Instant::now());
                (BreakerState::Open, left)
            }
        };
        BreakerReport {
            state,
            opens_in,
            opened: inner.opened,
            refused: inner.refused,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn let_in(&self, now: Instant) -> Result<Call, Refused> {
        let mut inner = self.inner();
        let call = |is_probe| Call { begun: now, is_probe };
        let Circuit::Open { until, pause, .. } = inner.circuit else {
            return Ok(call(false));
        };
        if now < until {
            inner.refused += 1;
            return Err(Refused {
                retry_after: until - now,
            });
        }
        inner.circuit = Circuit::Open {
            until: now + pause,
            pause,
            is_probed: true,
        };
        Ok(call(true))
    }

    /// Any call that goes well closes it, one from before it opened as well: the server answers.
    fn succeeded(&self, now: Instant) {
        let mut inner = self.inner();
        inner.circuit = Circuit::Closed { failures: 0 };
        inner.answered_at = Some(now);
    }

    fn failed(&self, call: Call, now: Instant) {
        let mut inner = self.inner();
        // The server has answered others since: what is wrong is wrong with this call.
        if inner
            .answered_at
            .is_some_and(|answered_at| answered_at > call.begun)
        {
            return;
        }
        let pause = match inner.circuit {
            Circuit::Closed { failures } => {
                let failures = failures.saturating_add(1);
                if self.policy.failures == 0 || failures < self.policy.failures {
                    inner.circuit = Circuit::Closed { failures };
                    return;
                }
                inner.opened += 1;
                self.policy.first_pause
            }
            Circuit::Open { pause, .. } if call.is_probe => {
                pause.saturating_mul(2).min(self.policy.longest_pause)
            }
            // From before it opened: nothing new.
            Circuit::Open { .. } => return,
        };
        inner.circuit = Circuit::Open {
            until: now + pause,
            pause,
            is_probed: false,
        };
    }

    /// The one that was to see was given up: the next may see.
    fn given_up(&self, now: Instant) {
        let mut inner = self.inner();
        if let Circuit::Open { pause, .. } = inner.circuit {
            inner.circuit = Circuit::Open {
                until: now,
                pause,
                is_probed: false,
            };
        }
    }
}

impl Pass<'_> {
    /// The server answered.
    pub fn succeeded(mut self) {
        self.is_told = true;
        self.breaker.succeeded(Instant::now());
    }

    /// It did not, or only that it cannot.
    pub fn failed(mut self) {
        self.is_told = true;
        self.breaker.failed(self.call, Instant::now());
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.call.is_probe && !self.is_told {
            self.breaker.given_up(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests;
