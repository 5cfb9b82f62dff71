//! How long an answer is kept, and how much of all answers.

use std::time::Duration;

use domain::TraceState;

/// How long answers are kept, and how many bytes of them.
#[derive(Debug, Clone, Copy)]
pub struct CachePolicy {
    /// All entries together weigh at most this, in bytes of content and bookkeeping.
    pub max_bytes: u64,
    /// Infos of finished traces, experiments.
    pub info_ttl: Duration,
    /// Spans of traces known to be finished and complete: MLflow does not change them any more.
    pub spans_ttl: Duration,
    /// Infos and spans of traces that may still grow.
    pub in_progress_ttl: Duration,
    /// Pages of traces, pages of runs, runs.
    pub search_ttl: Duration,
    /// How long beyond its time an answer may stand in for an upstream in trouble; the response says so.
    pub stale_if_error: Duration,
    /// How long whoever asks waits for a new answer at most while one is kept whose time has long been over; a tenth of it where
    /// it is over since a moment.
    pub stale_patience: Duration,
}

/// An answer that is overdue by so much is waited for as patiently as one that is overdue by an hour.
const LONG_OVERDUE: Duration = Duration::from_mins(1);

/// The part of the longest patience that the answer of a moment ago is worth.
const LEAST_PATIENCE: f64 = 0.1;

impl Default for CachePolicy {
    fn default() -> Self {
        Self {
            max_bytes: 512 << 20,
            info_ttl: Duration::from_mins(5),
            spans_ttl: Duration::from_hours(1),
            in_progress_ttl: Duration::from_secs(2),
            search_ttl: Duration::from_secs(10),
            stale_if_error: Duration::from_hours(1),
            stale_patience: Duration::from_secs(3),
        }
    }
}

impl CachePolicy {
    /// How long an info stays fresh.
    pub(crate) fn info(&self, state: TraceState) -> Duration {
        if state.is_finished() {
            self.info_ttl
        } else {
            self.in_progress_ttl.min(self.info_ttl)
        }
    }

    /// How long a new answer is waited for while one is kept that is overdue by so much; then that one is served, and the
    /// next to ask has the new one. The older it is, the longer: one of a moment ago is nearly as good as a new one.
    pub(crate) fn patience(&self, overdue: Duration) -> Duration {
        let part = overdue.as_secs_f64() / LONG_OVERDUE.as_secs_f64();
        self.stale_patience.mul_f64(part.clamp(LEAST_PATIENCE, 1.0))
    }

    /// How long spans stay fresh: long only when the trace is known to be finished and all its spans are there.
    pub(crate) fn spans(&self, completeness: Completeness) -> Duration {
        match completeness {
            Completeness::Complete => self.spans_ttl,
            Completeness::Unknown => self.info_ttl.min(self.spans_ttl),
            Completeness::Growing => self.in_progress_ttl.min(self.spans_ttl),
        }
    }
}

/// What is known of a trace's spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completeness {
    /// The trace is finished and as many spans came as it was logged with.
    Complete,
    /// All spans that came have ended; whether more will come is not known.
    Unknown,
    /// The trace runs, a span has no end, or fewer spans came than it was logged with.
    Growing,
}
