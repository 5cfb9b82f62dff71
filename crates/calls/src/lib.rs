//! Calls to whoever keeps the traces, and to models, as those see them who watch: how many, how they went, how long they took.
//!
//! [`Calls`] counts them for Prometheus. Where what they are made for is traced, each is a span of OpenTelemetry as well, and
//! [`inject`] tells the one who is called whose span it is.

mod metrics;
mod span;

use std::sync::Arc;
use std::time::Instant;

use opentelemetry::KeyValue;
use prometheus_client::registry::Registry;

use metrics::CallMetrics;
use span::CallSpan;

pub use span::{inject, note};

/// An error that those who count tell apart from others.
pub trait Failure {
    /// What went wrong, in a word: one of a few that never change.
    fn kind(&self) -> &'static str;
}

/// The calls to servers and databases, whoever makes them. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    metrics: CallMetrics,
    /// What spans say of the one who is called.
    peer: Arc<[KeyValue]>,
}

impl Calls {
    /// Calls to one of whom spans say this, by the names of OpenTelemetry's conventions: `server.address`, say.
    pub fn to(peer: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let peer = peer.into_iter().map(|(name, value)| KeyValue::new(name, value));
        Self {
            metrics: CallMetrics::default(),
            peer: peer.collect(),
        }
    }

    /// Calls to another one, counted with these.
    #[must_use]
    pub fn beside(&self, peer: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self {
            metrics: self.metrics.clone(),
            ..Self::to(peer)
        }
    }

    /// Makes a call; its repetitions are within it. One that is dropped before its end counts as `given_up`.
    pub async fn of<T, E: Failure>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut counted = Counted {
            metrics: &self.metrics,
            operation,
            span: CallSpan::begin(operation, &self.peer),
            begun: Instant::now(),
            outcome: "given_up",
        };
        // Boxed: what is passed on by value three times is held three times.
        let result = counted.span.around(Box::pin(call)).await;
        counted.outcome = outcome(&result);
        result
    }

    /// Counts that the call that is under way is made again after this error.
    pub fn count_retry(&self, operation: &'static str, after: &impl Failure) {
        self.metrics.count_retry(operation);
        span::note_retry(after.kind());
    }

    /// Counts a token that was fetched, or was to be.
    pub fn count_token<T>(&self, fetched: &Result<T, impl Failure>) {
        self.metrics.count_token(outcome(fetched));
    }

    /// What is counted is told there from now on.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }
}

/// A call that is under way; counted when it is dropped.
struct Counted<'a> {
    metrics: &'a CallMetrics,
    operation: &'static str,
    span: CallSpan,
    begun: Instant,
    outcome: &'static str,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.span.end(self.outcome);
        self.metrics
            .count(self.operation, self.outcome, self.begun.elapsed());
    }
}

/// How a call that succeeded ended.
const OK: &str = "ok";

fn outcome<T>(result: &Result<T, impl Failure>) -> &'static str {
    result.as_ref().map_or_else(Failure::kind, |_| OK)
}
