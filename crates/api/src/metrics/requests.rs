//! What is counted of requests: by route, never by what a path names.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use matchit::Router;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of what is told apart, in seconds: from an answer of the cache to the longest that is waited.
const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 10.0, 60.0,
];

/// The route of what is none of ours: the frontend's files, and what is not there.
pub(crate) const OTHER: &str = "other";

/// The status of a request of which nobody waited for an answer; nginx has it so too.
const LEFT: u16 = 499;

/// Counts of all requests. Clones share them.
#[derive(Debug, Clone)]
pub struct RequestMetrics {
    seconds: Family<Answered, Histogram, fn() -> Histogram>,
    bytes: Family<Route, Counter>,
    broken_off: Family<Ended, Counter>,
    cached: Family<Cached, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: Arc<str>,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    route: Arc<str>,
    why: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Cached {
    status: &'static str,
}

/// What became of a request.
#[derive(Debug)]
pub(crate) struct Outcome<'a> {
    pub(crate) method: &'a Method,
    pub(crate) route: &'a Arc<str>,
    /// `None` where nobody waited for an answer.
    pub(crate) status: Option<StatusCode>,
    /// The time that its answer was waited for.
    pub(crate) waited: Duration,
    pub(crate) bytes: u64,
    /// Where the answer came from, as `x-cache` says it.
    pub(crate) cache: Option<&'a str>,
    /// Why it ended in the middle, where it did.
    pub(crate) broken_off: Option<BrokenOff>,
}

/// Why an answer that began well ended in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrokenOff {
    /// The rest of it could not be had.
    Failed,
    /// Nobody read on.
    Left,
}

impl BrokenOff {
    fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Left => "left",
        }
    }
}

impl Default for RequestMetrics {
    fn default() -> Self {
        Self {
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            bytes: Family::default(),
            broken_off: Family::default(),
            cached: Family::default(),
        }
    }
}

impl RequestMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "request",
            "Time until answers began, or that those which began before waited for MLflow; status 499 where nobody waited for one",
            Unit::Seconds,
            self.seconds.clone(),
        );
        registry.register_with_unit(
            "answer",
            "Bytes of answers, as they were sent",
            Unit::Bytes,
            self.bytes.clone(),
        );
        registry.register(
            "answers_broken_off",
            "Answers that ended in the middle: the rest failed, or their reader left",
            self.broken_off.clone(),
        );
        registry.register(
            "cache_answers",
            "Answers by where they came from, as x-cache says it",
            self.cached.clone(),
        );
    }

    pub(crate) fn count(&self, outcome: &Outcome<'_>) {
        let route = Arc::clone(outcome.route);
        if outcome.bytes > 0 {
            let route = Route {
                route: Arc::clone(&route),
            };
            self.bytes.get_or_create(&route).inc_by(outcome.bytes);
        }
        if let Some(broken_off) = outcome.broken_off {
            let ended = Ended {
                route: Arc::clone(&route),
                why: broken_off.as_str(),
            };
            self.broken_off.get_or_create(&ended).inc();
        }
        let answered = Answered {
            method: method(outcome.method),
            route,
            status: outcome.status.map_or(LEFT, |status| status.as_u16()),
        };
        let seconds = self.seconds.get_or_create(&answered);
        seconds.observe(outcome.waited.as_secs_f64());
        let status = ["hit", "miss", "coalesced", "stale"]
            .into_iter()
            .find(|status| Some(*status) == outcome.cache);
        if let Some(status) = status {
            self.cached.get_or_create(&Cached { status }).inc();
        }
    }
}

/// Methods that we answer to; others are what clients make up.
pub(crate) fn method(method: &Method) -> &'static str {
    let known = ["GET", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "PUT"];
    known
        .into_iter()
        .find(|known| *known == method.as_str())
        .unwrap_or(OTHER)
}

/// The routes that are told apart. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Routes(Arc<Known>);

#[derive(Debug)]
struct Known {
    router: Router<Arc<str>>,
    other: Arc<str>,
}

impl Routes {
    /// Routes as the document names them: `/api/traces/{trace_id}`.
    pub(crate) fn new<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let mut router = Router::new();
        for path in paths {
            // Two that clash would not be routes either.
            let _ = router.insert(path, path.into());
        }
        Self(Arc::new(Known {
            router,
            other: OTHER.into(),
        }))
    }

    pub(crate) fn of(&self, path: &str) -> Arc<str> {
        let found = self.0.router.at(path).map(|found| found.value);
        Arc::clone(found.unwrap_or(&self.0.other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_counted_by_its_route_and_what_is_made_up_as_one() {
        let routes = Routes::new(
            [
                "/api/traces/{trace_id}",
                "/api/traces/analyze-patterns",
                "/health",
            ]
            .into_iter(),
        );
        for (path, route) in [
            ("/api/traces/tr-1", "/api/traces/{trace_id}"),
            ("/api/traces/analyze-patterns", "/api/traces/analyze-patterns"),
            ("/health", "/health"),
            ("/api/traces/tr-1/x", OTHER),
            ("/assets/index-1.js", OTHER),
        ] {
            assert_eq!(&*routes.of(path), route, "{path}");
        }
        assert_eq!(method(&Method::PATCH), "PATCH");
        assert_eq!(method(&Method::from_bytes(b"SURPRISE").unwrap()), OTHER);
    }
}
