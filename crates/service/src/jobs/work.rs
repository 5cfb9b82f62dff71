//! One job from its beginning to its end: worked on in a task of its own, its word kept in the database meanwhile.

use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use domain::{Job, JobStatus};
use store::JobEnd;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{Jobs, LEASE, Made};
use crate::error::ServiceError;

/// The lease is renewed so often: two words may be lost.
const RENEWAL: Duration = Duration::from_secs(5);

/// Of many words in a row one is written down in this time.
const PAUSE: Duration = Duration::from_millis(300);

/// How often the end is told, where the database does not take it, and the pause between.
const TELLINGS: u32 = 5;
const TELLING_PAUSE: Duration = Duration::from_secs(1);

const STOPPED: &str = "interrupted: the server was stopped before it was done";
const BROKEN: &str = "it failed for a reason of the server's own; the log says more";

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
    pub(super) fn new(message: &str) -> (Self, Told) {
        let (sender, receiver) = watch::channel(Word {
            status: JobStatus::Pending,
            message: message.to_owned(),
        });
        (Self(sender), Told(receiver))
    }

    /// Says what is being done.
    pub(crate) fn say(&self, message: impl Into<String>) {
        self.0.send_replace(Word {
            status: JobStatus::Running,
            message: message.into(),
        });
    }
}

/// What a [`Teller`] says.
#[derive(Debug)]
pub(super) struct Told(watch::Receiver<Word>);

/// How the work itself ended: what it made, or why not, in words for whoever asked.
type Outcome = Result<Made, String>;

/// A job that is under way here.
pub(super) struct Work {
    pub(super) jobs: Arc<Jobs>,
    pub(super) job: Job,
    pub(super) told: Told,
    pub(super) stop: CancellationToken,
}

impl Work {
    /// What is wanted, once it is its turn, and within its time.
    pub(super) fn in_turn(
        &self,
        teller: Teller,
        wanted: impl Future<Output = Result<Made, ServiceError>> + Send + 'static,
    ) -> impl Future<Output = Outcome> + Send + 'static {
        let (turns, limit) = (Arc::clone(&self.jobs.turns), self.jobs.limits.time);
        async move {
            // The semaphore is never closed.
            let _turn = turns.acquire_owned().await;
            teller.say("beginning");
            match timeout(limit, wanted).await {
                Ok(Ok(made)) => Ok(made),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a job failed");
                    Err(error.public_message())
                }
                Err(_) => Err(format!("it was given up after {} minutes", limit.as_secs() / 60)),
            }
        }
    }

    /// Has it done, and keeps its word in the database.
    pub(super) async fn watch(mut self, wanted: impl Future<Output = Outcome> + Send + 'static) {
        let begun = Instant::now();
        let mut quiet_until = begun;
        // Dropped with this, wherever it ends.
        let mut task = AbortOnDropHandle::new(tokio::spawn(wanted));
        let outcome = loop {
            tokio::select! {
                biased;
                // Whoever cancelled it has said so.
                () = self.stop.cancelled() => break None,
                () = self.jobs.ending.cancelled() => break Some(Err(STOPPED.to_owned())),
                done = &mut task => break Some(done.unwrap_or_else(|_| Err(BROKEN.to_owned()))),
                () = next_word(&mut self.told, quiet_until) => {
                    if !self.renew().await {
                        break None;
                    }
                    quiet_until = Instant::now() + PAUSE;
                }
            }
        };
        drop(task);
        if let Some(outcome) = outcome {
            self.end(outcome).await;
        }
        self.jobs.forget(&self.job);
        tracing::info!(
            kind = self.job.kind.as_str(),
            subject = self.job.subject,
            seconds = begun.elapsed().as_secs_f32(),
            "a job is over"
        );
    }

    /// False when it is not ours any more.
    async fn renew(&mut self) -> bool {
        let Word { status, message } = self.told.0.borrow_and_update().clone();
        (self.job.status, self.job.message) = (status, message);
        let Ok(store) = self.jobs.store() else {
            return false;
        };
        match store.renew_job(&self.job, LEASE).await {
            Ok(is_ours) => {
                self.jobs.said.send_replace(());
                is_ours
            }
            Err(error) => {
                tracing::warn!(%error, "it is not known that a job is still worked on");
                true
            }
        }
    }

    async fn end(&self, outcome: Outcome) {
        let end = match outcome {
            Ok(made) => JobEnd {
                status: JobStatus::Completed,
                message: made.message,
                run_id: Some(made.run_id),
                report_path: Some(made.report_path),
            },
            Err(message) => JobEnd {
                status: JobStatus::Failed,
                message,
                run_id: None,
                report_path: None,
            },
        };
        let Ok(store) = self.jobs.store() else {
            return;
        };
        for telling in 1..=TELLINGS {
            match store.end_job(&self.job, &end).await {
                Ok(_) => return,
                // The lease runs out and says so.
                Err(error) => tracing::warn!(%error, telling, "it is not known how a job ended"),
            }
            if telling < TELLINGS {
                sleep(TELLING_PAUSE).await;
            }
        }
    }
}

/// Waits for something new to be said, not before this; or until silence would be taken for an end.
async fn next_word(told: &mut Told, quiet_until: Instant) {
    let news = async {
        sleep_until(quiet_until).await;
        if told.0.changed().await.is_err() {
            pending::<()>().await;
        }
    };
    // At its time even where nothing is new.
    let _ = timeout(RENEWAL, news).await;
}
