//! One job from its beginning to its end: worked on in a task of its own, and then what it made is stored.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use domain::{JobStatus, RunId};
use futures::future::BoxFuture;
use opentelemetry::trace::FutureExt as _;
use store::JobEnd;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::Jobs;
use super::lease::{Lease, Lost, Teller};
use crate::error::ServiceError;

/// How long the end is told, where the database does not take it, and the pause between.
const TELLING: Duration = Duration::from_mins(2);
const TELLING_PAUSE: Duration = Duration::from_secs(1);

/// The same where the server itself ends.
const LAST_TELLING: Duration = Duration::from_secs(5);

const STOPPED: &str = "interrupted: the server was stopped before it was done";
const OUT_OF_REACH: &str = "interrupted: the database was out of reach for longer than a job may be silent";
const BROKEN: &str = "it failed for a reason of the server's own; the log says more";

/// What a job made, not stored yet.
pub(crate) struct Made {
    /// What it is, in words for whoever asked.
    pub(crate) message: String,
    /// The artifact that is the report.
    pub(crate) report_path: String,
    /// Stores it, in this run. Not broken off once it is begun, whatever happens to the job.
    pub(crate) storing: BoxFuture<'static, Result<RunId, ServiceError>>,
}

/// What was made in a turn, which lasts until it is stored.
pub(super) struct InTurn(Made, OwnedSemaphorePermit);

/// A job that is under way here.
pub(super) struct Work {
    pub(super) jobs: Arc<Jobs>,
    pub(super) lease: Lease,
    pub(super) stop: CancellationToken,
}

impl Work {
    /// What is wanted, once it is its turn, and within its time; or why not, in words for whoever asked.
    pub(super) fn in_turn(
        &self,
        teller: Teller,
        wanted: impl Future<Output = Result<Made, ServiceError>> + Send + 'static,
    ) -> impl Future<Output = Result<InTurn, String>> + Send + 'static {
        let (turns, limit) = (Arc::clone(&self.jobs.turns), self.jobs.limits.time);
        async move {
            // The semaphore is never closed.
            let turn = turns.acquire_owned().await.map_err(|_| STOPPED.to_owned())?;
            teller.say("beginning");
            match timeout(limit, wanted).await {
                Ok(Ok(made)) => Ok(InTurn(made, turn)),
                Ok(Err(error)) => Err(told(&error)),
                Err(_) => Err(format!("it was given up after {} minutes", limit.as_secs() / 60)),
            }
        }
    }

    /// Has it done and what it made stored, and keeps its word in the database meanwhile.
    pub(super) async fn watch(
        mut self,
        wanted: impl Future<Output = Result<InTurn, String>> + Send + 'static,
    ) {
        let begun = Instant::now();
        let end = match self.made(wanted).await {
            Ok(InTurn(made, _turn)) => self.stored(made).await,
            Err(end) => Err(end),
        };
        match end {
            Ok(end) => self.end(end).await,
            Err(Some(why)) => self.end(failed(why)).await,
            // Whoever ended it has said so.
            Err(None) => {}
        }
        let job = self.lease.job();
        self.jobs.forget(job);
        tracing::info!(
            kind = job.kind.as_str(),
            subject = job.subject,
            seconds = begun.elapsed().as_secs_f32(),
            "a job is over"
        );
    }

    /// What it makes; or why not, unless that is told already.
    async fn made(
        &mut self,
        wanted: impl Future<Output = Result<InTurn, String>> + Send + 'static,
    ) -> Result<InTurn, Option<String>> {
        // Dropped with this, wherever it ends.
        let task = AbortOnDropHandle::new(tokio::spawn(wanted.with_current_context()));
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(None),
            done = task => done.unwrap_or_else(|_| Err(BROKEN.to_owned())).map_err(Some),
            () = self.jobs.ending.cancelled() => Err(Some(STOPPED.to_owned())),
            lost = self.lease.hold() => Err(told_of_loss(lost)),
        }
    }

    /// Stores it, unless it is not ours to store any more.
    async fn stored(&mut self, made: Made) -> Result<JobEnd, Option<String>> {
        self.lease.settle().await.map_err(told_of_loss)?;
        // Should the lease be lost now, it is stored all the same: it may be by half already.
        let mut task = tokio::spawn(made.storing.with_current_context());
        let run_id = tokio::select! {
            biased;
            done = &mut task => done,
            _ = self.lease.hold() => task.await,
        };
        match run_id {
            Ok(Ok(run_id)) => Ok(JobEnd {
                status: JobStatus::Completed,
                message: made.message,
                run_id: Some(run_id),
                report_path: Some(made.report_path),
            }),
            Ok(Err(error)) => Err(Some(told(&error))),
            Err(_) => Err(Some(BROKEN.to_owned())),
        }
    }

    async fn end(&self, end: JobEnd) {
        let Ok(store) = self.jobs.store() else {
            return;
        };
        let begun = Instant::now();
        while !self.lease.end(store, &end).await {
            let is_ending = self.jobs.ending.is_cancelled();
            if begun.elapsed() >= if is_ending { LAST_TELLING } else { TELLING } {
                // Its lease is over, and says that it was interrupted.
                return;
            }
            sleep(TELLING_PAUSE).await;
        }
    }
}

fn failed(why: String) -> JobEnd {
    JobEnd {
        status: JobStatus::Failed,
        message: why,
        run_id: None,
        report_path: None,
    }
}

fn told(error: &ServiceError) -> String {
    tracing::warn!(%error, "a job failed");
    error.public_message()
}

fn told_of_loss(lost: Lost) -> Option<String> {
    match lost {
        Lost::ToAnother => None,
        Lost::OutOfReach => Some(OUT_OF_REACH.to_owned()),
    }
}
