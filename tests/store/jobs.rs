//! Jobs: one about each subject at a time, whoever works on it.

use std::time::Duration;

use domain::{Job, JobKind, JobStatus};
use store::{BegunJob, JobEnd, Store};

use crate::{Opened, on_both};

const KIND: JobKind = JobKind::SessionAnalysis;
const LEASE: Duration = Duration::from_mins(1);
/// Long enough that a busy machine reads what it has written, and short.
const SHORT: Duration = Duration::from_millis(500);

on_both! {
    a_subject_has_one_job_at_a_time;
    of_those_who_begin_at_once_one_does;
    a_job_whose_lease_is_over_was_interrupted;
    a_lease_that_is_renewed_goes_on;
    what_is_cancelled_stays_so;
    what_is_being_stored_is_not_cancelled;
    what_a_server_left_is_told_when_it_begins_again;
}

async fn begun(store: &Store, subject: &str, attempt: &str, lease: Duration) -> Option<Job> {
    let begun = store
        .begin_job(KIND, subject, attempt, "ann@example.com", lease)
        .await;
    match begun.unwrap() {
        BegunJob::New(job) => Some(job),
        BegunJob::UnderWay(_) => None,
    }
}

fn done() -> JobEnd {
    JobEnd {
        status: JobStatus::Completed,
        message: "it is done".into(),
        run_id: Some("0369c190".parse().unwrap()),
        report_path: Some("analysis/report.md".into()),
    }
}

async fn a_subject_has_one_job_at_a_time(Opened { store, .. }: Opened) {
    assert_eq!(store.job(KIND, "s").await.unwrap(), None);
    let mut first = begun(&store, "s", "1", LEASE).await.unwrap();
    assert_eq!(
        (first.status, first.created_by.as_str()),
        (JobStatus::Pending, "ann@example.com")
    );
    let again = store.begin_job(KIND, "s", "2", "bob", LEASE).await.unwrap();
    assert_eq!(again, BegunJob::UnderWay(first.clone()));
    assert!(begun(&store, "t", "3", LEASE).await.is_some());
    let other = store
        .begin_job(JobKind::ExperimentSummary, "s", "4", "bob", LEASE)
        .await;
    assert!(matches!(other.unwrap(), BegunJob::New(_)));

    (first.status, first.message) = (JobStatus::Running, "reading".into());
    assert!(store.renew_job(&first, LEASE).await.unwrap());
    let read = store.job(KIND, "s").await.unwrap().unwrap();
    assert_eq!(
        (read.status, read.message.as_str()),
        (JobStatus::Running, "reading")
    );
    assert!(store.end_job(&first, &done()).await.unwrap());
    let read = store.job(KIND, "s").await.unwrap().unwrap();
    assert_eq!(
        (read.status, &read.run_id, &read.report_path),
        (JobStatus::Completed, &done().run_id, &done().report_path)
    );
    let next = begun(&store, "s", "5", LEASE).await.unwrap();
    assert_eq!(
        (next.run_id, next.report_path, next.attempt.as_str()),
        (None, None, "5")
    );
}

async fn of_those_who_begin_at_once_one_does(Opened { store, .. }: Opened) {
    let attempts: Vec<_> = (0..12).map(|nth| nth.to_string()).collect();
    let begun = attempts.iter().map(|attempt| begun(&store, "s", attempt, LEASE));
    let begun = futures::future::join_all(begun).await;
    assert_eq!(begun.iter().flatten().count(), 1);
}

async fn a_job_whose_lease_is_over_was_interrupted(Opened { store, .. }: Opened) {
    let old = begun(&store, "s", "1", SHORT).await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let read = store.job(KIND, "s").await.unwrap().unwrap();
    assert_eq!(read.status, JobStatus::Failed);
    assert!(read.message.starts_with("interrupted"), "{}", read.message);
    assert_eq!(store.cancel_job(KIND, "s", "no").await.unwrap(), None);
    // Whoever let it run out does not take it up again, or two would work on it.
    assert!(!store.renew_job(&old, LEASE).await.unwrap());
    assert!(begun(&store, "s", "2", LEASE).await.is_some());
    assert!(!store.renew_job(&old, LEASE).await.unwrap());
    assert!(!store.end_job(&old, &done()).await.unwrap());
    assert_eq!(
        store.job(KIND, "s").await.unwrap().unwrap().status,
        JobStatus::Pending
    );
}

async fn a_lease_that_is_renewed_goes_on(Opened { store, .. }: Opened) {
    let job = begun(&store, "s", "1", SHORT).await.unwrap();
    assert!(store.renew_job(&job, LEASE).await.unwrap());
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(
        store.job(KIND, "s").await.unwrap().unwrap().status,
        JobStatus::Pending
    );
    assert!(begun(&store, "s", "2", LEASE).await.is_none());
}

async fn what_is_cancelled_stays_so(Opened { store, .. }: Opened) {
    assert_eq!(store.cancel_job(KIND, "s", "cancelled").await.unwrap(), None);
    let job = begun(&store, "s", "1", LEASE).await.unwrap();
    let cancelled = store.cancel_job(KIND, "s", "cancelled").await.unwrap();
    assert_eq!(cancelled.as_deref(), Some("1"));
    assert!(!store.renew_job(&job, LEASE).await.unwrap());
    assert!(!store.end_job(&job, &done()).await.unwrap());
    assert_eq!(store.cancel_job(KIND, "s", "again").await.unwrap(), None);
    let read = store.job(KIND, "s").await.unwrap().unwrap();
    assert_eq!(
        (read.status, read.message.as_str()),
        (JobStatus::Failed, "cancelled")
    );
}

async fn what_is_being_stored_is_not_cancelled(Opened { store, .. }: Opened) {
    let mut job = begun(&store, "s", "1", LEASE).await.unwrap();
    let before = job.clone();
    (job.status, job.message) = (JobStatus::Storing, "storing".into());
    assert!(store.renew_job(&job, LEASE).await.unwrap());
    assert_eq!(store.cancel_job(KIND, "s", "cancelled").await.unwrap(), None);
    assert!(begun(&store, "s", "2", LEASE).await.is_none());
    // A word of before that comes late does not make it one that can be cancelled.
    assert!(!store.renew_job(&before, LEASE).await.unwrap());
    assert_eq!(
        store.job(KIND, "s").await.unwrap().unwrap().status,
        JobStatus::Storing
    );
    assert!(store.renew_job(&job, LEASE).await.unwrap());
    assert!(store.end_job(&job, &done()).await.unwrap());
}

async fn what_a_server_left_is_told_when_it_begins_again(opened: Opened) {
    let Opened { store, config, .. } = &opened;
    begun(store, "s", "1", LEASE).await.unwrap();
    store.interrupt_jobs().await.unwrap();
    let read = store.job(KIND, "s").await.unwrap().unwrap();
    // On PostgreSQL another server may be working on it.
    let is_sqlite = Store::file(config).unwrap().is_some();
    assert_eq!(read.status == JobStatus::Failed, is_sqlite);
    assert_eq!(read.message.starts_with("interrupted"), is_sqlite);
}
