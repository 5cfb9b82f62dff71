//! Somebody who watches a job: one of ours is heard, one of another server is looked for.

use std::sync::Arc;
use std::time::Duration;

use domain::{Job, JobKind};
use futures::stream::{self, Stream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep};

use super::Jobs;
use crate::error::ServiceError;

/// Another server's words are looked for so often.
const LOOK: Duration = Duration::from_secs(1);

/// A database that cannot be asked is asked again for so long.
const PATIENCE: Duration = Duration::from_secs(30);

impl Jobs {
    /// Where the job about this stands, and then each change of that, until it is over. `None` where there is none.
    ///
    /// # Errors
    /// [`ServiceError::TooManyWatchers`].
    pub(crate) fn updates(
        self: &Arc<Self>,
        kind: JobKind,
        subject: &str,
    ) -> Result<impl Stream<Item = Result<Option<Job>, ServiceError>> + Send + use<>, ServiceError> {
        let place = Arc::clone(&self.watchers).try_acquire_owned();
        let watching = Watching {
            jobs: Arc::clone(self),
            kind,
            subject: subject.to_owned(),
            seen: None,
            heard: None,
            is_over: false,
            _place: place.map_err(|_| ServiceError::TooManyWatchers)?,
        };
        Ok(stream::unfold(watching, |mut watching| async move {
            let next = watching.next().await?;
            Some((next, watching))
        }))
    }
}

struct Watching {
    jobs: Arc<Jobs>,
    kind: JobKind,
    subject: String,
    seen: Option<Job>,
    /// What is said here of one of ours.
    heard: Option<watch::Receiver<Job>>,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

impl Watching {
    async fn next(&mut self) -> Option<Result<Option<Job>, ServiceError>> {
        let asked_at = Instant::now();
        let mut is_first = self.seen.is_none();
        while !self.is_over {
            if !is_first {
                self.wait().await;
            }
            is_first = false;
            match self.latest().await {
                Ok(Some(job)) => {
                    self.is_over = job.status.is_over();
                    let said = |job: &Job| (job.attempt.clone(), job.status, job.message.clone());
                    if self.seen.as_ref().map(said) != Some(said(&job)) {
                        self.seen = Some(job.clone());
                        return Some(Ok(Some(job)));
                    }
                }
                // Silence is broken by `KEEP_ALIVE` meanwhile.
                Err(error) if error.retry_after().is_some() && asked_at.elapsed() < PATIENCE => {
                    tracing::warn!(%error, "a job that is watched cannot be looked for");
                }
                nothing => {
                    self.is_over = true;
                    return Some(nothing);
                }
            }
        }
        None
    }

    /// Waits until there may be something new.
    async fn wait(&mut self) {
        if let Some(heard) = &mut self.heard {
            if heard.changed().await.is_ok() {
                return;
            }
            // It is over, or lost: the database knows which.
            self.heard = None;
            return;
        }
        sleep(LOOK).await;
    }

    async fn latest(&mut self) -> Result<Option<Job>, ServiceError> {
        if let Some(heard) = &mut self.heard {
            return Ok(Some(heard.borrow_and_update().clone()));
        }
        let latest = self.jobs.latest(self.kind, &self.subject).await?;
        let under_way = latest.as_ref().filter(|job| !job.status.is_over());
        self.heard = under_way.and_then(|job| self.jobs.standing(job));
        Ok(latest)
    }
}
