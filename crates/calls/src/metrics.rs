//! What is counted.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of what is told apart, in seconds: from a statement of a database to the longest that is waited.
const SECONDS: [f64; 13] = [
    0.0005, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

#[derive(Debug, Clone)]
pub(crate) struct CallMetrics {
    seconds: Family<Operation, Histogram, fn() -> Histogram>,
    calls: Family<Ended, Counter>,
    retries: Family<Operation, Counter>,
    tokens: Family<Fetched, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
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

impl CallMetrics {
    pub(crate) fn count(&self, operation: &'static str, outcome: &'static str, took: Duration) {
        let seconds = self.seconds.get_or_create(&Operation { operation });
        seconds.observe(took.as_secs_f64());
        let calls = &self.calls;
        calls.get_or_create(&Ended { operation, outcome }).inc();
    }

    pub(crate) fn count_retry(&self, operation: &'static str) {
        self.retries.get_or_create(&Operation { operation }).inc();
    }

    pub(crate) fn count_token(&self, outcome: &'static str) {
        self.tokens.get_or_create(&Fetched { outcome }).inc();
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "upstream_call",
            "Time of calls to MLflow, its database or a model, with their retries; of answers that are streamed until they begin",
            Unit::Seconds,
            self.seconds.clone(),
        );
        registry.register(
            "upstream_calls",
            "Calls to MLflow, its database or a model by how they went",
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
