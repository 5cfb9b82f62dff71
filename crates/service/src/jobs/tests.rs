use std::sync::atomic::{AtomicBool, Ordering};

use domain::JobStatus;
use futures::{Stream, StreamExt};
use store::StoreConfig;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::*;

const KIND: JobKind = JobKind::SessionAnalysis;
const LIMITS: JobLimits = JobLimits {
    at_once: 1,
    waiting: 1,
    time: Duration::from_mins(1),
};

/// Two servers on one database; the second may be left alone.
struct Desk {
    jobs: Arc<Jobs>,
    other: Arc<Jobs>,
    folder: TempDir,
}

impl Desk {
    async fn with(limits: JobLimits, lease: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig {
            url: format!("sqlite://{}/jobs.db", folder.path().display()).into(),
            max_connections: 4,
        };
        let [jobs, other] = [
            Store::open(&config).await.unwrap(),
            Store::open(&config).await.unwrap(),
        ]
        .map(|store| Arc::new(Jobs::with_lease(Some(store), limits, lease)));
        Self { jobs, other, folder }
    }

    async fn new() -> Self {
        Self::with(LIMITS, LEASE).await
    }

    /// Begins a job that says that it waits, and waits for this.
    async fn begin(&self, subject: &str, until: &Arc<Notify>) -> Result<Job, ServiceError> {
        let until = Arc::clone(until);
        let work = |teller: Teller| async move {
            teller.say("halfway");
            until.notified().await;
            Ok(made())
        };
        self.jobs.begin(KIND, subject, "ann", work).await
    }

    /// Begins a job of which what it made is being stored until then.
    async fn begin_storing(&self, subject: &str, until: &Arc<Notify>) -> Arc<AtomicBool> {
        let (until, is_stored) = (Arc::clone(until), Arc::new(AtomicBool::new(false)));
        let stored = Arc::clone(&is_stored);
        let storing = async move {
            until.notified().await;
            stored.store(true, Ordering::SeqCst);
            Ok("r1".parse().unwrap())
        };
        let work = |_| async {
            Ok(Made {
                storing: Box::pin(storing),
                ..made()
            })
        };
        self.jobs.begin(KIND, subject, "ann", work).await.unwrap();
        while self.other.latest(KIND, subject).await.unwrap().unwrap().status != JobStatus::Storing {
            sleep(Duration::from_millis(5)).await;
        }
        is_stored
    }

    /// Where it stands, as it is told from now on.
    fn updates(&self, subject: &str) -> impl Stream<Item = Job> + use<> {
        let updates = self.jobs.updates(KIND, subject).unwrap();
        updates.map(|job| job.unwrap().unwrap())
    }

    /// How it ended.
    async fn ended(&self, subject: &str) -> Job {
        let updates = self.updates(subject);
        let in_time = timeout(Duration::from_secs(20), updates.collect::<Vec<_>>()).await;
        in_time.unwrap().pop().unwrap()
    }

    /// The database as another program may change it.
    fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.folder.path().join("jobs.db")).unwrap()
    }
}

fn made() -> Made {
    Made {
        message: "made".into(),
        report_path: "a/report.md".into(),
        storing: Box::pin(async { Ok("r1".parse().unwrap()) }),
    }
}

#[tokio::test]
async fn a_job_is_done_though_whoever_asked_has_left() {
    let desk = Desk::new().await;
    let go = Arc::new(Notify::new());
    // Hangs up at the first moment that it can.
    let asked = desk.begin("s", &go);
    let _ = timeout(Duration::ZERO, asked).await;
    go.notify_one();
    sleep(Duration::from_millis(50)).await;
    let job = desk.ended("s").await;
    assert_eq!((job.status, job.message.as_str()), (JobStatus::Completed, "made"));
    assert_eq!(job.report_path.as_deref(), Some("a/report.md"));
    assert!(desk.jobs.ours.is_empty());
}

#[tokio::test]
async fn each_change_is_told_until_the_end_here_and_elsewhere() {
    let desk = Desk::new().await;
    let go = Arc::new(Notify::new());
    desk.begin("s", &go).await.unwrap();
    let mut here = Box::pin(desk.jobs.updates(KIND, "s").unwrap());
    let mut there = Box::pin(desk.other.updates(KIND, "s").unwrap());
    for updates in [&mut here, &mut there] {
        while updates.next().await.unwrap().unwrap().unwrap().message != "halfway" {}
    }
    go.notify_one();
    for updates in [here, there] {
        let rest: Vec<_> = updates.collect().await;
        assert_eq!(
            rest.last().unwrap().as_ref().unwrap().as_ref().unwrap().status,
            JobStatus::Completed
        );
    }
    let nothing: Vec<_> = desk.jobs.updates(KIND, "other").unwrap().collect().await;
    assert!(matches!(nothing[..], [Ok(None)]));
}

#[tokio::test]
async fn one_works_one_waits_and_the_third_is_refused() {
    let desk = Desk::new().await;
    let go = Arc::new(Notify::new());
    desk.begin("a", &go).await.unwrap();
    while desk.jobs.under_way() != (1, 0) {
        tokio::task::yield_now().await;
    }
    let waits = desk.begin("b", &go).await.unwrap();
    assert_eq!(
        (waits.status, desk.jobs.under_way()),
        (JobStatus::Pending, (1, 1))
    );
    assert!(matches!(
        desk.begin("c", &go).await,
        Err(ServiceError::TooManyJobs)
    ));
    // What is under way is no more than it was.
    assert_eq!(desk.begin("b", &go).await.unwrap().attempt, waits.attempt);
    go.notify_one();
    assert_eq!(desk.ended("a").await.status, JobStatus::Completed);
    go.notify_one();
    assert_eq!(desk.ended("b").await.status, JobStatus::Completed);
    desk.jobs.tasks.close();
    desk.jobs.tasks.wait().await;
    assert_eq!(desk.jobs.under_way(), (0, 0));
}

/// Tells when it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_cancelled_job_stops_wherever_it_is_cancelled() {
    let desk = Desk::new().await;
    for from in [&desk.jobs, &desk.other] {
        let is_dropped = Arc::new(AtomicBool::new(false));
        let dropped = Dropped(Arc::clone(&is_dropped));
        let work = |_| async move {
            let _dropped = dropped;
            std::future::pending().await
        };
        desk.jobs.begin(KIND, "s", "ann", work).await.unwrap();
        from.cancel(KIND, "s", "bob").await.unwrap();
        let job = desk.ended("s").await;
        assert_eq!(
            (job.status, job.message.as_str()),
            (JobStatus::Failed, "cancelled by bob")
        );
        // Elsewhere it is found out when the lease is renewed.
        while !is_dropped.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(20)).await;
        }
        assert!(matches!(
            from.cancel(KIND, "s", "bob").await,
            Err(ServiceError::Conflict(_))
        ));
    }
}

#[tokio::test]
async fn what_is_being_stored_is_neither_cancelled_nor_interrupted() {
    let desk = Desk::new().await;
    let go = Arc::new(Notify::new());
    let is_stored = desk.begin_storing("s", &go).await;
    for from in [&desk.jobs, &desk.other] {
        let refused = from.cancel(KIND, "s", "bob").await;
        assert!(matches!(refused, Err(ServiceError::Conflict(why)) if why.contains("being stored")));
    }
    let ending = desk.jobs.end();
    let storing = async {
        sleep(Duration::from_millis(50)).await;
        go.notify_one();
    };
    tokio::join!(ending, storing);
    assert!(is_stored.load(Ordering::SeqCst));
    let job = desk.other.latest(KIND, "s").await.unwrap().unwrap();
    assert_eq!(
        (job.status, job.run_id),
        (JobStatus::Completed, Some("r1".parse().unwrap()))
    );
}

#[tokio::test]
async fn nothing_is_stored_of_a_job_that_is_not_ours_any_more() {
    let desk = Desk::new().await;
    let go = Arc::new(Notify::new());
    let is_stored = Arc::new(AtomicBool::new(false));
    let (until, stored) = (Arc::clone(&go), Arc::clone(&is_stored));
    let work = |_| async move {
        until.notified().await;
        let storing = Box::pin(async move {
            stored.store(true, Ordering::SeqCst);
            Ok("r1".parse().unwrap())
        });
        Ok(Made { storing, ..made() })
    };
    desk.jobs.begin(KIND, "s", "ann", work).await.unwrap();
    // Done before this server hears of it.
    desk.other.cancel(KIND, "s", "bob").await.unwrap();
    go.notify_one();
    desk.jobs.tasks.close();
    desk.jobs.tasks.wait().await;
    assert!(!is_stored.load(Ordering::SeqCst));
    let job = desk.jobs.latest(KIND, "s").await.unwrap().unwrap();
    assert_eq!(job.message, "cancelled by bob");
}

#[tokio::test]
async fn a_job_is_given_up_when_the_database_is_out_of_reach_for_too_long() {
    let lease = Duration::from_millis(600);
    let desk = Desk::with(LIMITS, lease).await;
    let is_dropped = Arc::new(AtomicBool::new(false));
    let dropped = Dropped(Arc::clone(&is_dropped));
    let work = |_| async move {
        let _dropped = dropped;
        std::future::pending().await
    };
    desk.jobs.begin(KIND, "s", "ann", work).await.unwrap();
    let watching = tokio::spawn(desk.updates("s").collect::<Vec<_>>());
    // It is renewed for longer than a lease lasts.
    sleep(lease * 2).await;
    assert_eq!(
        desk.other.latest(KIND, "s").await.unwrap().unwrap().status,
        JobStatus::Running
    );
    let rename = |from: &str, to: &str| {
        let statement = format!("ALTER TABLE {from} RENAME TO {to}");
        desk.database().execute_batch(&statement).unwrap();
    };
    rename("ts_jobs", "away");
    let given_up = async {
        while !is_dropped.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(lease * 10, given_up).await.unwrap();
    rename("away", "ts_jobs");
    // Why is told as soon as it can be.
    let told = watching.await.unwrap().pop().unwrap();
    assert_eq!(told.status, JobStatus::Failed);
    assert!(told.message.contains("out of reach"), "{}", told.message);
}

#[tokio::test]
async fn so_many_watch_and_no_more() {
    let desk = Desk::new().await;
    let watching: Vec<_> = (0..WATCHERS)
        .map(|_| desk.jobs.updates(KIND, "s").unwrap())
        .collect();
    assert!(matches!(
        desk.jobs.updates(KIND, "s").err(),
        Some(ServiceError::TooManyWatchers)
    ));
    drop(watching);
    assert!(desk.jobs.updates(KIND, "s").is_ok());
}

#[tokio::test]
async fn a_server_that_ends_says_that_its_jobs_are_interrupted() {
    let desk = Desk::new().await;
    let go = Arc::new(Notify::new());
    desk.begin("s", &go).await.unwrap();
    desk.begin("waits", &go).await.unwrap();
    desk.jobs.end().await;
    for subject in ["s", "waits"] {
        let job = desk.other.latest(KIND, subject).await.unwrap().unwrap();
        assert_eq!(
            (job.status, job.message.as_str()),
            (
                JobStatus::Failed,
                "interrupted: the server was stopped before it was done"
            )
        );
    }
}

#[tokio::test]
async fn trouble_is_told_in_words_for_whoever_asked() {
    let limits = JobLimits {
        time: Duration::from_millis(50),
        ..LIMITS
    };
    let desk = Desk::with(limits, LEASE).await;
    let fails = |_| async { Err(ServiceError::RunNotFound("r1".parse().unwrap())) };
    desk.jobs.begin(KIND, "fails", "ann", fails).await.unwrap();
    assert_eq!(desk.ended("fails").await.message, "there is no run r1");

    desk.jobs
        .begin(KIND, "late", "ann", |_| std::future::pending())
        .await
        .unwrap();
    assert!(
        desk.ended("late")
            .await
            .message
            .starts_with("it was given up after")
    );

    desk.jobs
        .begin(KIND, "panics", "ann", |_| async { panic!("of its own") })
        .await
        .unwrap();
    let job = desk.ended("panics").await;
    assert_eq!(job.status, JobStatus::Failed);
    assert!(
        !job.message.contains("own own") && job.message.contains("the log says more"),
        "{}",
        job.message
    );
}
