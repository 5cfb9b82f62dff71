//! The right to work on a job: kept by saying, again and again, that it is worked on.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use domain::{Job, JobStatus};
use store::{JobEnd, Store, StoreError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::Jobs;

/// Of many words in a row one is written down in this time.
const PAUSE: Duration = Duration::from_millis(300);

/// The database is waited for so long: it may hang, and others that it can be asked by do not.
const CALL: Duration = Duration::from_secs(5);

/// What is said of a job while it is worked on.
#[derive(Debug, Clone)]
struct Word {
    status: JobStatus,
    message: String,
}

/// Says how far a job has come.
#[derive(Debug, Clone)]
pub(crate) struct Teller(watch::Sender<Word>);

impl Teller {
    /// Says what is being done.
    pub(crate) fn say(&self, message: impl Into<String>) {
        self.0.send_replace(Word {
            status: JobStatus::Running,
            message: message.into(),
        });
    }
}

/// Why a job is not ours any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// It was cancelled, or another works on it.
    ToAnother,
    /// The database could not be told in time: another may work on it.
    OutOfReach,
}

/// A job that is ours.
pub(super) struct Lease {
    jobs: Arc<Jobs>,
    job: Job,
    /// What the teller says.
    told: watch::Receiver<Word>,
    /// Told what the database was told.
    standing: watch::Sender<Job>,
    /// It is surely ours until then.
    until: Instant,
}

impl Lease {
    /// A job that was begun, by a call made then; who says how far it has come, and what the database knows of that.
    pub(super) fn new(jobs: &Arc<Jobs>, job: Job, asked_at: Instant) -> (Self, Teller, watch::Receiver<Job>) {
        let (teller, told) = watch::channel(Word {
            status: job.status,
            message: job.message.clone(),
        });
        let (standing, seen) = watch::channel(job.clone());
        let lease = Self {
            jobs: Arc::clone(jobs),
            job,
            told,
            standing,
            until: asked_at + jobs.lease,
        };
        (lease, Teller(teller), seen)
    }

    pub(super) fn job(&self) -> &Job {
        &self.job
    }

    /// Keeps it, and its word in the database; until it is lost.
    pub(super) async fn hold(&mut self) -> Lost {
        let mut quiet_until = Instant::now();
        loop {
            if timeout_at(self.until, self.next_word(quiet_until)).await.is_err() {
                return Lost::OutOfReach;
            }
            match self.renew().await {
                Ok(true) => {}
                Ok(false) => return Lost::ToAnother,
                Err(error) => tracing::warn!(%error, "it is not known that a job is still worked on"),
            }
            quiet_until = Instant::now() + PAUSE;
        }
    }

    /// From here on nobody cancels it.
    pub(super) async fn settle(&mut self) -> Result<(), Lost> {
        "storing the report".clone_into(&mut self.job.message);
        self.job.status = JobStatus::Storing;
        loop {
            match self.renew().await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(Lost::ToAnother),
                Err(error) => tracing::warn!(%error, "it is not known whether a job is still ours"),
            }
            if Instant::now() >= self.until {
                return Err(Lost::OutOfReach);
            }
            sleep(PAUSE).await;
        }
    }

    /// Says how it ended; false where the database did not hear it.
    pub(super) async fn end(&self, store: &Store, end: &JobEnd) -> bool {
        match in_time(store.end_job(&self.job, end)).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(%error, "it is not known how a job ended");
                false
            }
        }
    }

    /// False when it is not ours any more.
    async fn renew(&mut self) -> Result<bool, Unheard> {
        if self.job.status != JobStatus::Storing {
            let Word { status, message } = self.told.borrow_and_update().clone();
            (self.job.status, self.job.message) = (status, message);
        }
        let Ok(store) = self.jobs.store() else {
            return Ok(false);
        };
        let asked_at = Instant::now();
        let is_ours = in_time(store.renew_job(&self.job, self.jobs.lease)).await?;
        if is_ours {
            self.until = asked_at + self.jobs.lease;
            self.standing.send_replace(self.job.clone());
        }
        Ok(is_ours)
    }

    /// Waits for something new to be said, not before this; or until silence would be taken for an end.
    async fn next_word(&mut self, quiet_until: Instant) {
        let is_settled = self.job.status == JobStatus::Storing;
        let news = async {
            sleep_until(quiet_until).await;
            if is_settled || self.told.changed().await.is_err() {
                pending::<()>().await;
            }
        };
        // At its time even where nothing is new. Two words may be lost.
        let _ = timeout(self.jobs.lease / 3, news).await;
    }
}

/// Why the database did not hear what it was told.
#[derive(Debug, thiserror::Error)]
enum Unheard {
    #[error(transparent)]
    Refused(#[from] StoreError),
    #[error("the database of the reviews did not answer for {CALL:?}")]
    Late,
}

async fn in_time<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, Unheard> {
    match timeout(CALL, call).await {
        Ok(heard) => Ok(heard?),
        Err(_) => Err(Unheard::Late),
    }
}
