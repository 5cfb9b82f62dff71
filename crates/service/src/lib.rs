//! What the product knows: how traces are found, opened, batched and kept ready, and how they are reviewed.
//!
//! [`Services`] is the one door; each of its public methods is one thing a user can do. Answers leave as JSON bytes
//! ([`Answer`]): an answer from the cache is handed on without being read or built again, and spans pass through as
//! the text MLflow stores. What is kept, for how long and for whom is decided in `cache/`; equal work under way is
//! shared by `coalesce` (whole values) and `spans/feed` (spans while they arrive). Who sees what is decided in `access/`;
//! what is written goes through `write`, so that the next read shows it. What a chat model adds to an analysis, if there is
//! one, is asked for in [`insights`].

mod access;
mod analyses;
mod answer;
mod cache;
mod coalesce;
#[cfg(feature = "doors")]
pub mod doors;
mod encoded;
mod error;
pub mod insights;
mod jobs;
mod labels;
mod peers;
mod ports;
mod preview;
mod records;
mod reviews;
mod run_writes;
mod spans;
mod traces;
mod turns;
mod upstream;
mod waiting;
mod write;

use std::sync::{Arc, OnceLock};

use dashmap::DashMap;
use domain::{ExperimentId, ReviewAppId};
use futures::FutureExt;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

pub use access::{ForwardedUser, Identity, LocalUser, Role, Roles, Visibility};
pub use analyses::{AnalysisSubject, InsightsRequest, SummaryRequest, TracePages};
pub use breaker::{BreakerReport, BreakerState};

pub use answer::{Answer, AnswerBody, CacheStatus, Fingerprint, Origin};
pub use cache::{CachePolicy, Freshness, Scope};
pub use encoded::{Coding, SMALLEST_ENCODED};
pub use error::{ErrorCode, ServiceError, UnreadableSpans};
pub use jobs::JobLimits;
pub use labels::LabelValue;
pub use ports::{DataVersion, SpanBody, SpanPieces, TraceSink, TraceSource};
pub use records::RunSearch;
pub use reviews::{DatabricksReviews, LinkedToSession, ReviewBackend, SqlReviews};
pub use run_writes::{NewRun, RunStatus, RunUpdate};
pub use spans::{FeedLimits, SpanDetail, SpanQuery, SpanStream};
/// Which items and sessions, and which page of them.
pub use store::{ItemFilter, Page, PageRequest, SessionFilter};
pub use traces::{SpanInclusion, TraceBatch, TraceSearch};
pub use upstream::UpstreamError;
pub use waiting::Waiting;

use cache::{Cache, Keys, RawKey, Versions};
use insights::{ChatModel, ModelPolicy, Spent};
use jobs::Jobs;
use spans::{ManyReads, SpanFeed};
use turns::Turns;

/// The data as somebody sees it: where it is read and written in their name.
#[derive(Debug, Clone)]
pub struct View {
    /// Whose view it is; part of every key in the cache.
    pub scope: Scope,
    /// Where traces, runs and experiments are read.
    pub source: Arc<dyn TraceSource>,
    /// Where labels, runs and links are written.
    pub sink: Arc<dyn TraceSink>,
    /// Where reviews are kept.
    pub reviews: Arc<dyn ReviewBackend>,
    /// Who is asked for insights, where there is somebody.
    pub chat: Option<Arc<dyn ChatModel>>,
}

/// Everything [`Services`] is made from, beside a [`View`].
#[derive(Debug)]
pub struct ServicesConfig {
    /// The experiment that is meant where a request names none.
    pub experiment_id: Option<ExperimentId>,
    /// How long answers are kept, and how many bytes of them.
    pub cache: CachePolicy,
    /// Bounds on spans that arrive.
    pub feed: FeedLimits,
    /// Traces of one request whose spans are loaded at once. MLflow is bound by its processors: more than it has
    /// workers gains little.
    pub parallel_traces: usize,
    /// Who is a developer.
    pub roles: Roles,
    /// Who asks when nobody is named.
    pub local_user: LocalUser,
    /// Which model is asked for insights, and what that may cost.
    pub model: ModelPolicy,
    /// Where it is kept how jobs stand; `None` where nobody is served and the API is only described.
    pub store: Option<store::Store>,
    /// How much is done in the background.
    pub jobs: JobLimits,
    /// Where people read the traces that a report names.
    pub trace_pages: TracePages,
}

/// The use cases. Clones share everything, and cost one count: every request makes some.
#[derive(Debug, Clone)]
pub struct Services(Arc<Parts>);

/// What the use cases work with, for one view of the data.
#[derive(Debug)]
pub struct Parts {
    source: Arc<dyn TraceSource>,
    sink: Arc<dyn TraceSink>,
    reviews: Arc<dyn ReviewBackend>,
    chat: Option<Arc<dyn ChatModel>>,
    keys: Keys,
    shared: Arc<Shared>,
}

/// What all views have in common.
#[derive(Debug)]
pub struct Shared {
    /// Those who link to one run take turns: MLflow, and a workspace, look first and then write.
    linking: Turns,
    /// Those who change one thing take turns, where its keeper cannot tell that someone came between.
    changing: Turns,
    /// Writes under way.
    writes: TaskTracker,
    /// By which other servers know this one.
    peer_number: u64,
    /// The configured experiment's review app, once it is known.
    review_app_id: OnceLock<ReviewAppId>,
    cache: Cache,
    /// Reads of spans under way that others may join.
    feeds: Arc<DashMap<RawKey, Arc<SpanFeed>>>,
    /// Turns to read the spans of many traces at once.
    many_reads: ManyReads,
    /// Turns of feeds to flow.
    flows: Arc<Semaphore>,
    /// Turns to encode an answer that is kept.
    encodings: Arc<Semaphore>,
    feed_limits: FeedLimits,
    parallel_traces: usize,
    experiment_id: Option<ExperimentId>,
    roles: Roles,
    local_user: LocalUser,
    model: ModelPolicy,
    spent: Spent,
    jobs: Arc<Jobs>,
    trace_pages: TracePages,
}

impl Services {
    /// Makes the use cases over the data as this server's own credentials see it; asks nobody anything yet.
    pub fn new(view: View, config: ServicesConfig) -> Self {
        let asked = Arc::clone(&view.source);
        let versions = Versions::told_by(move || {
            let source = Arc::clone(&asked);
            // One that fails is told by the load that follows.
            async move { source.data_version().await.ok().flatten() }.boxed()
        });
        let shared = Shared {
            linking: Turns::default(),
            changing: Turns::default(),
            writes: TaskTracker::new(),
            peer_number: rand::random(),
            review_app_id: OnceLock::new(),
            cache: Cache::new(config.cache, versions),
            feeds: Arc::default(),
            many_reads: ManyReads::default(),
            flows: Arc::new(Semaphore::new(config.feed.flows)),
            encodings: encoded::encodings_at_once(),
            feed_limits: config.feed,
            parallel_traces: config.parallel_traces.max(1),
            experiment_id: config.experiment_id,
            roles: config.roles,
            local_user: config.local_user,
            model: config.model,
            spent: Spent::default(),
            jobs: Jobs::new(config.store, config.jobs),
            trace_pages: config.trace_pages,
        };
        Self::with(view, Arc::new(shared))
    }

    /// The same use cases over the data as somebody else sees it. They share the cache's room, and the turns of those who
    /// write; nothing that is kept or under way for one view is another's.
    #[must_use]
    pub fn seen_by(&self, view: View) -> Self {
        Self::with(view, Arc::clone(&self.shared))
    }

    fn with(view: View, shared: Arc<Shared>) -> Self {
        Self(Arc::new(Parts {
            source: view.source,
            sink: view.sink,
            reviews: view.reviews,
            chat: view.chat,
            keys: Keys::of(view.scope),
            shared,
        }))
    }

    /// The experiment that is meant where a request names none.
    pub fn experiment_id(&self) -> Option<&ExperimentId> {
        self.experiment_id.as_ref()
    }

    /// Who keeps the traces, each by a name of its own, and whether calls of them go through.
    pub fn breakers(&self) -> Vec<(&'static str, BreakerReport)> {
        self.source.breakers()
    }

    /// What is kept: bytes of all answers together, and how many.
    pub fn cache_size(&self) -> (u64, u64) {
        self.cache.size()
    }

    /// What is no longer kept: how many answers had to make room, and of how many the time was over.
    pub fn cache_evictions(&self) -> (u64, u64) {
        self.cache.evictions()
    }

    /// Reads of spans that are under way.
    pub fn span_reads(&self) -> usize {
        self.feeds.len()
    }

    /// Those of them that pass through because they are too large to be kept.
    pub fn span_flows(&self) -> usize {
        self.feed_limits
            .flows
            .saturating_sub(self.flows.available_permits())
    }

    fn source(&self) -> Arc<dyn TraceSource> {
        Arc::clone(&self.source)
    }
}

impl std::ops::Deref for Services {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl std::ops::Deref for Parts {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}
