//! Jobs: work that goes on when whoever asked for it has left.
//!
//! There is one about each subject at a time, some are worked on at once and some wait for their turn; more is refused.
//! Where each stands is in our database, so that any server can tell, and one that ends without a word leaves a job whose
//! lease runs out ([`store::Store::begin_job`]).

mod lease;
mod watching;
mod work;

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use domain::{Job, JobKind, JobStatus};
use opentelemetry::trace::FutureExt as _;
use store::{BegunJob, Store};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Services;
use crate::error::ServiceError;
use lease::Lease;
pub(crate) use lease::Teller;
pub(crate) use work::Made;
use work::Work;

/// How long a job counts as worked on after a word of whoever works on it.
const LEASE: Duration = Duration::from_secs(15);

/// Jobs are watched by so many at once: those of other servers are looked for in the database, by each who watches.
const WATCHERS: usize = 256;

/// How much is done in the background.
#[derive(Debug, Clone, Copy)]
pub struct JobLimits {
    /// Jobs worked on at once.
    pub at_once: usize,
    /// Jobs that wait for their turn.
    pub waiting: usize,
    /// The longest that a job may take, its turn not counted.
    pub time: Duration,
}

/// The jobs of this server.
#[derive(Debug)]
pub(crate) struct Jobs {
    /// `None` where nobody is served: the API is only described.
    store: Option<Store>,
    limits: JobLimits,
    /// [`LEASE`], but in tests.
    lease: Duration,
    /// Jobs that may be here at all, and those that may be worked on.
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    watchers: Arc<Semaphore>,
    /// Ours that are under way.
    ours: DashMap<(JobKind, String), Ours>,
    tasks: TaskTracker,
    /// Cancelled when this server ends.
    ending: CancellationToken,
}

#[derive(Debug)]
struct Ours {
    attempt: String,
    stop: CancellationToken,
    /// Where it stands, as the database knows.
    standing: watch::Receiver<Job>,
}

impl Jobs {
    pub(crate) fn new(store: Option<Store>, limits: JobLimits) -> Arc<Self> {
        Arc::new(Self::with_lease(store, limits, LEASE))
    }

    fn with_lease(store: Option<Store>, limits: JobLimits, lease: Duration) -> Self {
        Self {
            store,
            limits,
            lease,
            places: Arc::new(Semaphore::new(limits.at_once + limits.waiting)),
            turns: Arc::new(Semaphore::new(limits.at_once)),
            watchers: Arc::new(Semaphore::new(WATCHERS)),
            ours: DashMap::new(),
            tasks: TaskTracker::new(),
            ending: CancellationToken::new(),
        }
    }

    /// Waits until all that was interrupted has been told.
    pub(crate) async fn end(&self) {
        self.ending.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Worked on, and waiting for a turn.
    fn under_way(&self) -> (usize, usize) {
        let taken = |limit: usize, free: &Semaphore| limit.saturating_sub(free.available_permits());
        let here = taken(self.limits.at_once + self.limits.waiting, &self.places);
        let working = taken(self.limits.at_once, &self.turns);
        (working, here.saturating_sub(working))
    }

    fn store(&self) -> Result<&Store, ServiceError> {
        self.store.as_ref().ok_or(ServiceError::Interrupted)
    }

    /// The latest job about this.
    pub(crate) async fn latest(&self, kind: JobKind, subject: &str) -> Result<Option<Job>, ServiceError> {
        Ok(self.store()?.job(kind, subject).await?)
    }

    /// Begins a job, unless one about the same is under way; that one then. Whoever asks may leave meanwhile.
    pub(crate) async fn begin<F>(
        self: &Arc<Self>,
        kind: JobKind,
        subject: &str,
        by: &str,
        wanted: impl FnOnce(Teller) -> F + Send + 'static,
    ) -> Result<Job, ServiceError>
    where
        F: Future<Output = Result<Made, ServiceError>> + Send + 'static,
    {
        let (jobs, subject, by) = (Arc::clone(self), subject.to_owned(), by.to_owned());
        // One that is written down must be worked on.
        let beginning = async move { jobs.begin_here(kind, &subject, &by, wanted).await };
        let begun = tokio::spawn(beginning.with_current_context());
        begun.await.unwrap_or(Err(ServiceError::Interrupted))
    }

    async fn begin_here<F>(
        self: Arc<Self>,
        kind: JobKind,
        subject: &str,
        by: &str,
        wanted: impl FnOnce(Teller) -> F + Send + 'static,
    ) -> Result<Job, ServiceError>
    where
        F: Future<Output = Result<Made, ServiceError>> + Send + 'static,
    {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let latest = self.latest(kind, subject).await?;
            let under_way = latest.filter(|job| !job.status.is_over());
            return under_way.ok_or(ServiceError::TooManyJobs);
        };
        let attempt = format!("{:032x}", rand::random::<u128>());
        let asked_at = Instant::now();
        let begun = self
            .store()?
            .begin_job(kind, subject, &attempt, by, self.lease)
            .await?;
        let job = match begun {
            BegunJob::UnderWay(job) => return Ok(job),
            BegunJob::New(job) => job,
        };
        let stop = CancellationToken::new();
        let (lease, teller, standing) = Lease::new(&self, job.clone(), asked_at);
        let ours = Ours {
            attempt,
            stop: stop.clone(),
            standing,
        };
        self.ours.insert((kind, subject.to_owned()), ours);
        let work = Work {
            jobs: Arc::clone(&self),
            lease,
            stop,
        };
        let wanted = work.in_turn(teller.clone(), wanted(teller));
        let watched = async move {
            work.watch(wanted).await;
            drop(place);
        };
        self.tasks.spawn(watched.with_current_context());
        Ok(job)
    }

    /// Ends the job about this that is under way, here or elsewhere.
    ///
    /// # Errors
    /// [`ServiceError::Conflict`] when there is none, or what it made is being stored.
    pub(crate) async fn cancel(&self, kind: JobKind, subject: &str, by: &str) -> Result<(), ServiceError> {
        let message = format!("cancelled by {by}");
        let Some(attempt) = self.store()?.cancel_job(kind, subject, &message).await? else {
            let latest = self.latest(kind, subject).await?;
            let is_late = latest.is_some_and(|job| job.status == JobStatus::Storing);
            let why = if is_late {
                "its report is being stored, which is not broken off"
            } else {
                "nothing is under way that could be cancelled"
            };
            return Err(ServiceError::Conflict(why.into()));
        };
        // The next one may have begun since.
        if let Some(ours) = self.ours.get(&(kind, subject.to_owned()))
            && ours.attempt == attempt
        {
            ours.stop.cancel();
        }
        Ok(())
    }

    /// What is said of this job, where it is one of ours.
    fn standing(&self, job: &Job) -> Option<watch::Receiver<Job>> {
        let ours = self.ours.get(&(job.kind, job.subject.clone()))?;
        (ours.attempt == job.attempt).then(|| ours.standing.clone())
    }

    /// Forgets one of ours that is over.
    fn forget(&self, job: &Job) {
        let is_it = |_: &(JobKind, String), ours: &Ours| ours.attempt == job.attempt;
        self.ours.remove_if(&(job.kind, job.subject.clone()), is_it);
    }
}

impl Services {
    /// Looks for jobs that another life of this server left under way, and says that they were interrupted.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn tell_interrupted_jobs(&self) -> Result<(), ServiceError> {
        Ok(self.jobs.store()?.interrupt_jobs().await?)
    }

    /// Interrupts all jobs of this server: it is about to end.
    pub fn interrupt_jobs(&self) {
        self.jobs.ending.cancel();
    }

    /// Jobs that are worked on here, and that wait for their turn.
    pub fn jobs_under_way(&self) -> (usize, usize) {
        self.jobs.under_way()
    }
}

#[cfg(test)]
mod tests;
