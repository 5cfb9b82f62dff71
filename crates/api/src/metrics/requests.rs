//! What is counted of requests: by route, never by what a path names.

use std::sync::{Arc, OnceLock};
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
    bytes: Family<Sent, Counter>,
    broken_off: Family<Ended, Counter>,
    cached: Family<Cached, Counter>,
    /// Those of `cached`, in the order of [`CACHED`].
    cached_each: [Counter; CACHED.len()],
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: Arc<str>,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Sent {
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
    pub(crate) route: &'a Route,
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
        let cached = Family::default();
        Self {
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            bytes: Family::default(),
            broken_off: Family::default(),
            cached_each: CACHED.map(|status| cached.get_or_create_owned(&Cached { status })),
            cached,
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
        let route = outcome.route;
        if outcome.bytes > 0 {
            self.sent(route).inc_by(outcome.bytes);
        }
        if let Some(broken_off) = outcome.broken_off {
            let ended = Ended {
                route: Arc::clone(&route.0.name),
                why: broken_off.as_str(),
            };
            self.broken_off.get_or_create(&ended).inc();
        }
        let waited = outcome.waited.as_secs_f64();
        let known = METHODS.iter().position(|known| *known == outcome.method.as_str());
        match (known, outcome.status) {
            (Some(known), Some(StatusCode::OK)) => self.ok(route, known).observe(waited),
            (_, status) => self
                .answered(route, method(outcome.method), status)
                .observe(waited),
        }
        let cached = CACHED.iter().zip(&self.cached_each);
        if let Some((_, counter)) = cached
            .into_iter()
            .find(|(status, _)| Some(**status) == outcome.cache)
        {
            counter.inc();
        }
    }

    fn sent<'a>(&self, route: &'a Route) -> &'a Counter {
        route.0.sent.get_or_init(|| {
            let route = Arc::clone(&route.0.name);
            self.bytes.get_or_create_owned(&Sent { route })
        })
    }

    fn ok<'a>(&self, route: &'a Route, method: usize) -> &'a Histogram {
        let ok = Some(StatusCode::OK);
        route.0.ok[method].get_or_init(|| self.answered(route, METHODS[method], ok))
    }

    fn answered(&self, route: &Route, method: &'static str, status: Option<StatusCode>) -> Histogram {
        self.seconds.get_or_create_owned(&Answered {
            method,
            route: Arc::clone(&route.0.name),
            status: status.map_or(LEFT, |status| status.as_u16()),
        })
    }
}

/// Where answers come from, as `x-cache` says it.
const CACHED: [&str; 4] = ["hit", "miss", "coalesced", "stale"];

/// Methods that we answer to.
const METHODS: [&str; 7] = ["GET", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "PUT"];

/// The word for a method; those that we do not answer to are what clients make up.
pub(crate) fn method(method: &Method) -> &'static str {
    let known = METHODS.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or(OTHER)
}

/// A route, with what is counted of it most at hand: to look it up by its labels takes a tenth of an answer from the cache.
/// Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Route(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    name: Arc<str>,
    sent: OnceLock<Counter>,
    /// By method, those of status 200.
    ok: [OnceLock<Histogram>; METHODS.len()],
}

impl Route {
    fn new(name: &str) -> Self {
        Self(Arc::new(Counts {
            name: name.into(),
            sent: OnceLock::new(),
            ok: [const { OnceLock::new() }; METHODS.len()],
        }))
    }

    /// As the document names it: `/api/traces/{trace_id}`; [`OTHER`].
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }
}

/// The routes that are told apart. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Routes(Arc<Known>);

#[derive(Debug)]
struct Known {
    router: Router<Route>,
    other: Route,
}

impl Routes {
    /// Routes as the document names them: `/api/traces/{trace_id}`.
    pub(crate) fn new<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let mut router = Router::new();
        for path in paths {
            // Two that clash would not be routes either.
            let _ = router.insert(path, Route::new(path));
        }
        Self(Arc::new(Known {
            router,
            other: Route::new(OTHER),
        }))
    }

    pub(crate) fn of(&self, path: &str) -> Route {
        let found = self.0.router.at(path).map(|found| found.value);
        found.unwrap_or(&self.0.other).clone()
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
            assert_eq!(routes.of(path).name(), route, "{path}");
        }
        assert_eq!(method(&Method::PATCH), "PATCH");
        assert_eq!(method(&Method::from_bytes(b"SURPRISE").unwrap()), OTHER);
    }
}
