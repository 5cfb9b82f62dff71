//! What is counted of calls, for whoever watches: how many, how they went, how long they took.

use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::error::ClientError;

/// Upper bounds of what is told apart, in seconds: from a near server's best to the longest that is waited.
const SECONDS: [f64; 12] = [
    0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// Counts of the calls to one server, whoever made them. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct CallMetrics {
    seconds: Family<Operation, Histogram, fn() -> Histogram>,
    calls: Family<Outcome, Counter>,
    retries: Family<Operation, Counter>,
    tokens: Family<Fetched, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Fetched {
    outcome: &'static str,
}

impl Default for CallMetrics {
    fn default() -> Self {
        Self {
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            calls: Family::default(),
            retries: Family::default(),
            tokens: Family::default(),
        }
    }
}

/// A call that is under way; counted when it is dropped.
#[derive(Debug)]
pub(crate) struct Counted<'a> {
    metrics: &'a CallMetrics,
    operation: &'static str,
    begun: Instant,
    /// Nobody waits for its end any more, until it has one.
    outcome: &'static str,
}

impl Counted<'_> {
    pub(crate) fn end<T>(mut self, result: Result<T, ClientError>) -> Result<T, ClientError> {
        self.outcome = outcome(&result);
        result
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let (operation, outcome) = (self.operation, self.outcome);
        let seconds = self.metrics.seconds.get_or_create(&Operation { operation });
        seconds.observe(self.begun.elapsed().as_secs_f64());
        let calls = &self.metrics.calls;
        calls.get_or_create(&Outcome { operation, outcome }).inc();
    }
}

impl CallMetrics {
    /// Begins to count a call, its retries among it.
    pub(crate) fn begin(&self, operation: &'static str) -> Counted<'_> {
        Counted {
            metrics: self,
            operation,
            begun: Instant::now(),
            outcome: "given_up",
        }
    }

    pub(crate) fn count_retry(&self, operation: &'static str) {
        self.retries.get_or_create(&Operation { operation }).inc();
    }

    /// Counts a token that was fetched, or was to be.
    pub(crate) fn count_token<T>(&self, fetched: &Result<T, ClientError>) {
        let outcome = outcome(fetched);
        self.tokens.get_or_create(&Fetched { outcome }).inc();
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "upstream_call",
            "Time of calls to MLflow, with their retries; of answers that are streamed until they begin",
            Unit::Seconds,
            self.seconds.clone(),
        );
        registry.register(
            "upstream_calls",
            "Calls to MLflow by how they went",
            self.calls.clone(),
        );
        registry.register(
            "upstream_retries",
            "Times that a call was made again",
            self.retries.clone(),
        );
        registry.register(
            "upstream_tokens",
            "OAuth tokens that were fetched",
            self.tokens.clone(),
        );
    }
}

fn outcome<T>(result: &Result<T, ClientError>) -> &'static str {
    result.as_ref().map_or_else(ClientError::kind, |_| "ok")
}
