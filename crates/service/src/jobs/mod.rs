//! Jobs: work that goes on when whoever asked for it has left.
//!
//! There is one about each subject at a time, some are worked on at once and some wait for their turn; more is refused.
//! Where each stands is in our database, so that any server can tell, and one that ends without a word leaves a job whose
//! lease runs out ([`store::Store::begin_job`]).

mod work;

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use domain::{Job, JobKind, RunId};
use futures::stream::{self, Stream};
use store::{BegunJob, Store};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Services;
use crate::error::ServiceError;
pub(crate) use work::Teller;
use work::Work;

/// How long a job counts as worked on after a word of whoever works on it.
const LEASE: Duration = Duration::from_secs(15);

/// Another server's words are looked for so often.
const LOOK: Duration = Duration::from_secs(1);

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

/// What a job made.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) message: String,
    pub(crate) run_id: RunId,
    pub(crate) report_path: String,
}

/// The jobs of this server.
#[derive(Debug)]
pub(crate) struct Jobs {
    /// `None` where nobody is served: the API is only described.
    store: Option<Store>,
    limits: JobLimits,
    /// Jobs that may be here at all, and those that may be worked on.
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    /// Ours that are under way, and how they are stopped.
    ours: DashMap<(JobKind, String), Ours>,
    tasks: TaskTracker,
    /// Cancelled when this server ends.
    ending: CancellationToken,
    /// Changes when something was said of one of ours.
    said: watch::Sender<()>,
}

#[derive(Debug)]
struct Ours {
    attempt: String,
    stop: CancellationToken,
}

impl Jobs {
    pub(crate) fn new(store: Option<Store>, limits: JobLimits) -> Arc<Self> {
        Arc::new(Self {
            store,
            limits,
            places: Arc::new(Semaphore::new(limits.at_once + limits.waiting)),
            turns: Arc::new(Semaphore::new(limits.at_once)),
            ours: DashMap::new(),
            tasks: TaskTracker::new(),
            ending: CancellationToken::new(),
            said: watch::Sender::new(()),
        })
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
        let begun = tokio::spawn(async move { jobs.begin_here(kind, &subject, &by, wanted).await });
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
        let begun = self
            .store()?
            .begin_job(kind, subject, &attempt, by, LEASE)
            .await?;
        let job = match begun {
            BegunJob::UnderWay(job) => return Ok(job),
            BegunJob::New(job) => job,
        };
        let stop = CancellationToken::new();
        let ours = Ours {
            attempt,
            stop: stop.clone(),
        };
        self.ours.insert((kind, subject.to_owned()), ours);
        let (teller, told) = Teller::new(&job.message);
        let work = Work {
            jobs: Arc::clone(&self),
            job: job.clone(),
            told,
            stop,
        };
        let wanted = work.in_turn(teller.clone(), wanted(teller));
        self.tasks.spawn(async move {
            work.watch(wanted).await;
            drop(place);
        });
        self.said.send_replace(());
        Ok(job)
    }

    /// Ends the job about this that is under way, here or elsewhere.
    ///
    /// # Errors
    /// [`ServiceError::Conflict`] when there is none.
    pub(crate) async fn cancel(&self, kind: JobKind, subject: &str, by: &str) -> Result<(), ServiceError> {
        let message = format!("cancelled by {by}");
        if !self.store()?.cancel_job(kind, subject, &message).await? {
            return Err(ServiceError::Conflict(
                "nothing is under way that could be cancelled".into(),
            ));
        }
        if let Some(ours) = self.ours.get(&(kind, subject.to_owned())) {
            ours.stop.cancel();
        }
        self.said.send_replace(());
        Ok(())
    }

    /// Where the job about this stands, and then each change of that, until it is over. `None` where there is none.
    pub(crate) fn updates(
        self: &Arc<Self>,
        kind: JobKind,
        subject: &str,
    ) -> impl Stream<Item = Result<Option<Job>, ServiceError>> + Send + use<> {
        let watching = Watching {
            jobs: Arc::clone(self),
            said: self.said.subscribe(),
            kind,
            subject: subject.to_owned(),
            seen: None,
            is_over: false,
        };
        stream::unfold(watching, |mut watching| async move {
            let next = watching.next().await?;
            Some((next, watching))
        })
    }

    /// Forgets one of ours that is over.
    fn forget(&self, job: &Job) {
        let is_it = |_: &(JobKind, String), ours: &Ours| ours.attempt == job.attempt;
        self.ours.remove_if(&(job.kind, job.subject.clone()), is_it);
        self.said.send_replace(());
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

/// Somebody who watches a job.
struct Watching {
    jobs: Arc<Jobs>,
    said: watch::Receiver<()>,
    kind: JobKind,
    subject: String,
    seen: Option<Job>,
    is_over: bool,
}

impl Watching {
    async fn next(&mut self) -> Option<Result<Option<Job>, ServiceError>> {
        loop {
            if self.is_over {
                return None;
            }
            let latest = self.jobs.latest(self.kind, &self.subject).await;
            let is_news = if let Ok(Some(job)) = &latest {
                self.is_over = job.status.is_over();
                let said = |job: &Job| (job.attempt.clone(), job.status, job.message.clone());
                self.seen.as_ref().map(said) != Some(said(job))
            } else {
                self.is_over = true;
                true
            };
            if is_news {
                self.seen = latest.as_ref().ok().cloned().flatten();
                return Some(latest);
            }
            // What another server says is not heard here: it is looked for.
            let _ = tokio::time::timeout(LOOK, self.said.changed()).await;
        }
    }
}

#[cfg(test)]
mod tests;
