use std::sync::atomic::{AtomicBool, Ordering};

use domain::JobStatus;
use futures::StreamExt;
use store::StoreConfig;
use tempfile::TempDir;
use tokio::sync::Notify;

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
    _folder: TempDir,
}

impl Desk {
    async fn with(limits: JobLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = StoreConfig {
            url: format!("sqlite://{}/jobs.db", folder.path().display()).into(),
            max_connections: 4,
        };
        let [jobs, other] = [
            Store::open(&config).await.unwrap(),
            Store::open(&config).await.unwrap(),
        ]
        .map(|store| Jobs::new(Some(store), limits));
        Self {
            jobs,
            other,
            _folder: folder,
        }
    }

    async fn new() -> Self {
        Self::with(LIMITS).await
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

    /// How it ended.
    async fn ended(&self, subject: &str) -> Job {
        let updates = self.jobs.updates(KIND, subject).map(|job| job.unwrap().unwrap());
        let in_time = tokio::time::timeout(Duration::from_secs(20), updates.collect::<Vec<_>>()).await;
        in_time.unwrap().pop().unwrap()
    }
}

fn made() -> Made {
    Made {
        message: "made".into(),
        run_id: "r1".parse().unwrap(),
        report_path: "a/report.md".into(),
    }
}

#[tokio::test]
async fn a_job_is_done_though_whoever_asked_has_left() {
    let desk = Desk::new().await;
    let go = Arc::new(Notify::new());
    // Hangs up at the first moment that it can.
    let asked = desk.begin("s", &go);
    let _ = tokio::time::timeout(Duration::ZERO, asked).await;
    go.notify_one();
    tokio::time::sleep(Duration::from_millis(50)).await;
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
    let mut here = Box::pin(desk.jobs.updates(KIND, "s"));
    let mut there = Box::pin(desk.other.updates(KIND, "s"));
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
    let nothing: Vec<_> = desk.jobs.updates(KIND, "other").collect().await;
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
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(matches!(
            from.cancel(KIND, "s", "bob").await,
            Err(ServiceError::Conflict(_))
        ));
    }
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
    let desk = Desk::with(limits).await;
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
