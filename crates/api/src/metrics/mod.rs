//! What is counted, in the text format of Prometheus: some as it happens ([`Metrics`]), some read when it is asked for.

mod requests;

use std::fmt::{Error, Result};
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use service::BreakerState;

use crate::admission::Turned;
use crate::state::AppState;

pub use requests::RequestMetrics;
pub(crate) use requests::{BrokenOff, OTHER, Outcome, Route, Routes, method};

const PREFIX: &str = "trace_server";

/// What is counted as it happens. Clones share it.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: RequestMetrics,
}

impl Metrics {
    /// Counts requests, and what others count who tell of it here.
    pub fn new(register: impl FnOnce(&mut Registry)) -> Self {
        let (mut registry, requests) = (Registry::with_prefix(PREFIX), RequestMetrics::default());
        requests.register(&mut registry);
        register(&mut registry);
        Self {
            registry: Arc::new(registry),
            requests,
        }
    }

    pub(crate) fn requests(&self) -> &RequestMetrics {
        &self.requests
    }
}

/// The media type of [`text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All that is counted of a server.
///
/// # Errors
/// When it cannot be written, which would be a fault in its making.
pub fn text(state: &AppState) -> std::result::Result<String, Error> {
    let mut now = Registry::with_prefix(PREFIX);
    now.register_collector(Box::new(Counted(state.clone())));
    let mut text = String::new();
    encode_registry(&mut text, &state.metrics().registry)?;
    encode_registry(&mut text, &now)?;
    encode_eof(&mut text)?;
    Ok(text)
}

#[derive(Debug)]
struct Counted(AppState);

impl Collector for Counted {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> Result {
        self.upstream(&mut to)?;
        self.taken_on(&mut to)?;
        self.spent(&mut to)?;
        self.kept(&mut to)
    }
}

impl Counted {
    fn upstream(&self, to: &mut DescriptorEncoder<'_>) -> Result {
        let breakers = self.0.services().breakers();
        let of = |read: fn(&service::BreakerReport) -> u64| {
            breakers.iter().map(move |(name, report)| (*name, read(report)))
        };
        family(
            to,
            ConstGauge::new,
            (
                "upstream_breaker_state",
                "Whether calls go through: 0 closed, 1 half open, 2 open",
                "upstream",
            ),
            of(|report| state_number(report.state)),
        )?;
        family(
            to,
            ConstCounter::new,
            (
                "upstream_breaker_opened",
                "How often a breaker opened",
                "upstream",
            ),
            of(|report| report.opened),
        )?;
        family(
            to,
            ConstCounter::new,
            (
                "upstream_breaker_refused",
                "Calls that were not made because a breaker was open",
                "upstream",
            ),
            of(|report| report.refused),
        )
    }

    fn taken_on(&self, to: &mut DescriptorEncoder<'_>) -> Result {
        let admission = self.0.admission();
        let taken = admission.taken_on();
        let now = [
            ("working", taken.requests),
            ("waiting", taken.waiting),
            ("sending_large_answer", taken.large_answers),
        ];
        family(
            to,
            ConstGauge::new,
            ("requests", "Requests by what becomes of them now", "stage"),
            now.into_iter().map(|(stage, count)| (stage, count as u64)),
        )?;
        gauge(
            to,
            "connections",
            "Connections that are open",
            taken.connections as u64,
        )?;
        let (running, waiting) = self.0.services().jobs_under_way();
        family(
            to,
            ConstGauge::new,
            ("jobs", "Analyses by what becomes of them now", "stage"),
            [("running", running as u64), ("waiting", waiting as u64)].into_iter(),
        )?;
        family(
            to,
            ConstCounter::new,
            (
                "turned_away",
                "What was refused because too much was asked at once",
                "what",
            ),
            Turned::ALL
                .into_iter()
                .map(|what| (what.as_str(), admission.turned_away(what))),
        )
    }

    fn spent(&self, to: &mut DescriptorEncoder<'_>) -> Result {
        let tokens = self.0.services().model_tokens();
        family(
            to,
            ConstCounter::new,
            (
                "model_tokens",
                "Tokens that analyses took of a model, as far as its server says",
                "of",
            ),
            [
                ("questions", tokens.prompt_tokens),
                ("answers", tokens.completion_tokens),
            ]
            .into_iter(),
        )
    }

    fn kept(&self, to: &mut DescriptorEncoder<'_>) -> Result {
        let services = self.0.services();
        let (bytes, entries) = services.cache_size();
        gauge(to, "cache_bytes", "Bytes of all answers that are kept", bytes)?;
        gauge(to, "cache_entries", "Answers that are kept", entries)?;
        let (for_room, expired) = services.cache_evictions();
        family(
            to,
            ConstCounter::new,
            (
                "cache_evictions",
                "Answers that are no longer kept: to make room, or because their time was over",
                "why",
            ),
            [("room", for_room), ("time", expired)].into_iter(),
        )?;
        gauge(
            to,
            "span_reads",
            "Reads of spans under way",
            services.span_reads() as u64,
        )?;
        gauge(
            to,
            "span_flows",
            "Reads of spans that pass through because they are too large to be kept",
            services.span_flows() as u64,
        )?;
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        gauge(to, "tasks", "Tasks of the runtime that are alive", tasks as u64)
    }
}

fn state_number(state: BreakerState) -> u64 {
    match state {
        BreakerState::Closed => 0,
        BreakerState::HalfOpen => 1,
        BreakerState::Open => 2,
    }
}

fn gauge(to: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Result {
    let gauge = ConstGauge::new(value);
    gauge.encode(to.encode_descriptor(name, help, None, gauge.metric_type())?)
}

/// A name, what it means, and the label that tells the values apart.
type Described<'a> = (&'a str, &'a str, &'a str);

/// Values of one kind of metric.
fn family<'a, M: EncodeMetric>(
    to: &mut DescriptorEncoder<'_>,
    metric: fn(u64) -> M,
    (name, help, label): Described<'_>,
    values: impl Iterator<Item = (&'a str, u64)>,
) -> Result {
    let mut family = to.encode_descriptor(name, help, None, metric(0).metric_type())?;
    for (word, value) in values {
        metric(value).encode(family.encode_family(&[(label, word)])?)?;
    }
    Ok(())
}
