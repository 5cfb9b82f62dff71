//! What the product knows: how traces are found, opened, batched and kept ready, and how they are reviewed.
//!
//! [`Services`] is the one door; each of its public methods is one thing a user can do. Answers leave as JSON bytes
//! ([`Answer`]): an answer from the cache is handed on without being read or built again, and spans pass through as
//! the text MLflow stores. What is kept, for how long and for whom is decided in `cache/`; equal work under way is
//! shared by `coalesce` (whole values) and `spans/feed` (spans while they arrive). Who sees what is decided in `access/`;
//! what is written goes through `write`, so that the next read shows it.

mod access;
mod answer;
#[cfg(feature = "bench")]
pub mod bench;
mod cache;
mod coalesce;
mod encoded;
mod error;
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
mod write;

use std::sync::{Arc, OnceLock};

use dashmap::DashMap;
use domain::{ExperimentId, ReviewAppId};
use futures::FutureExt;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

pub use access::{ForwardedUser, Identity, LocalUser, Role, Roles, Visibility};
pub use answer::{Answer, AnswerBody, CacheStatus, Fingerprint, Origin};
pub use cache::{CachePolicy, Freshness, Scope};
pub use encoded::{Coding, SMALLEST_ENCODED};
pub use error::{ErrorCode, ServiceError, UnreadableSpans};
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

use cache::{Cache, Keys, RawKey, Versions};
use spans::{ManyReads, SpanFeed};
use turns::Turns;

/// Everything [`Services`] is made from.
#[derive(Debug)]
pub struct ServicesConfig {
    /// Whose view of the data `source` gives; part of every cache key.
    pub scope: Scope,
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
}

/// The use cases. Clones share everything, and cost one count: every request makes some.
#[derive(Debug, Clone)]
pub struct Services(Arc<Parts>);

/// What the use cases work with.
#[derive(Debug)]
pub struct Parts {
    source: Arc<dyn TraceSource>,
    sink: Arc<dyn TraceSink>,
    reviews: Arc<dyn ReviewBackend>,
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
    keys: Keys,
    /// Reads of spans under way that others may join.
    feeds: Arc<DashMap<RawKey, Arc<SpanFeed>>>,
    /// Turns to read the spans of many traces at once.
    many_reads: ManyReads,
    /// Turns to encode an answer that is kept.
    encodings: Arc<Semaphore>,
    feed_limits: FeedLimits,
    parallel_traces: usize,
    experiment_id: Option<ExperimentId>,
    roles: Roles,
    local_user: LocalUser,
}

impl Services {
    /// Makes the use cases over somewhere to read, somewhere to write and somewhere to keep reviews; asks them nothing
    /// yet.
    pub fn new(
        source: Arc<dyn TraceSource>,
        sink: Arc<dyn TraceSink>,
        reviews: Arc<dyn ReviewBackend>,
        config: ServicesConfig,
    ) -> Self {
        let asked = Arc::clone(&source);
        let versions = Versions::told_by(move || {
            let source = Arc::clone(&asked);
            // One that fails is told by the load that follows.
            async move { source.data_version().await.ok().flatten() }.boxed()
        });
        Self(Arc::new(Parts {
            source,
            sink,
            reviews,
            linking: Turns::default(),
            changing: Turns::default(),
            writes: TaskTracker::new(),
            peer_number: rand::random(),
            review_app_id: OnceLock::new(),
            cache: Cache::new(config.cache, versions),
            keys: Keys::of(config.scope),
            feeds: Arc::default(),
            many_reads: ManyReads::default(),
            encodings: encoded::encodings_at_once(),
            feed_limits: config.feed,
            parallel_traces: config.parallel_traces.max(1),
            experiment_id: config.experiment_id,
            roles: config.roles,
            local_user: config.local_user,
        }))
    }

    /// The experiment that is meant where a request names none.
    pub fn experiment_id(&self) -> Option<&ExperimentId> {
        self.experiment_id.as_ref()
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
