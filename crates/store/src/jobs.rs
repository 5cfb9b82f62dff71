//! Jobs: one of each kind about each subject at a time, whichever server works on it.
//!
//! Who works on a job holds a lease and renews it. One whose lease is over was interrupted, and another may begin. Time is
//! the database's: the clocks of servers differ. What a job made is stored only after the database has said that the job is
//! still its own; from then on it cannot be cancelled.

use std::time::Duration;

use domain::{Job, JobKind, JobStatus, RunId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, query};

use crate::Store;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::row::Reader;

/// What is said of a job whose server ended without a word.
const INTERRUPTED: &str = "interrupted: the server that worked on it ended before it was done";

/// What became of beginning a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BegunJob {
    /// It is begun.
    New(Job),
    /// One about the same is under way; this is it.
    UnderWay(Job),
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEnd {
    /// Completed or failed.
    pub status: JobStatus,
    /// What was made, or why it was not.
    pub message: String,
    /// The run that keeps what it made.
    pub run_id: Option<RunId>,
    /// The artifact of that run that is the report.
    pub report_path: Option<String>,
}

/// Both texts of a statement that is told the time, in ms since the Unix epoch.
macro_rules! timed {
    ($statement:literal) => {
        (
            concat!(
                "WITH clock AS (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now) ",
                $statement
            ),
            concat!(
                "WITH clock AS (SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now) ",
                $statement
            ),
        )
    };
}

/// One text for each database.
type Both = (&'static str, &'static str);

const BEGIN: Both = timed!(
    "
    INSERT INTO ts_jobs
        (kind, subject, attempt, status, message, lease_until, created_at, created_by, updated_at)
    SELECT $1, $2, $3, 'pending', $4, clock.now + $5, clock.now, $6, clock.now FROM clock WHERE true
    ON CONFLICT (kind, subject) DO UPDATE SET
        attempt = excluded.attempt, status = excluded.status, message = excluded.message, run_id = NULL,
        report_path = NULL, lease_until = excluded.lease_until, created_at = excluded.created_at,
        created_by = excluded.created_by, updated_at = excluded.updated_at
    WHERE ts_jobs.status IN ('completed', 'failed') OR ts_jobs.lease_until < excluded.created_at"
);

const GET: Both = timed!(
    "
    SELECT subject, attempt, status, message, run_id, report_path, created_at, created_by, updated_at,
        CASE WHEN status IN ('pending', 'running', 'storing') AND lease_until < clock.now THEN 1 ELSE 0 END
            AS is_interrupted
    FROM ts_jobs, clock WHERE kind = $1 AND subject = $2"
);

const RENEW: Both = timed!(
    "
    UPDATE ts_jobs SET status = $4, message = $5, lease_until = (SELECT now FROM clock) + $6,
        updated_at = (SELECT now FROM clock)
    WHERE kind = $1 AND subject = $2 AND attempt = $3 AND lease_until >= (SELECT now FROM clock)
        AND (status IN ('pending', 'running') OR status = 'storing' AND $4 = 'storing')"
);

const END: Both = timed!("
    UPDATE ts_jobs SET status = $4, message = $5, run_id = $6, report_path = $7, updated_at = (SELECT now FROM clock)
    WHERE kind = $1 AND subject = $2 AND attempt = $3 AND status IN ('pending', 'running', 'storing')");

const CANCEL: Both = timed!(
    "
    UPDATE ts_jobs SET status = 'failed', message = $3, updated_at = (SELECT now FROM clock)
    WHERE kind = $1 AND subject = $2 AND status IN ('pending', 'running')
        AND lease_until >= (SELECT now FROM clock)
    RETURNING attempt"
);

const INTERRUPT_ALL: Both = timed!(
    "
    UPDATE ts_jobs SET status = 'failed', message = $1, updated_at = (SELECT now FROM clock)
    WHERE status IN ('pending', 'running', 'storing')"
);

impl Store {
    /// Begins a job, unless one about the same is under way. `attempt` was given to no other.
    pub async fn begin_job(
        &self,
        kind: JobKind,
        subject: &str,
        attempt: &str,
        by: &str,
        lease: Duration,
    ) -> Result<BegunJob, StoreError> {
        let mut tx = self.writing().await?;
        let begun = query(self.timed(BEGIN))
            .bind(kind.as_str())
            .bind(subject)
            .bind(attempt)
            .bind("waiting for its turn")
            .bind(milliseconds(lease))
            .bind(by)
            .execute(&mut *tx)
            .await?;
        let job = self.read_job(&mut tx, kind, subject).await?;
        tx.commit().await?;
        // Nobody deletes jobs.
        let job = job.ok_or_else(|| corrupt("a row that was written is not there"))?;
        Ok(if begun.rows_affected() > 0 {
            BegunJob::New(job)
        } else {
            BegunJob::UnderWay(job)
        })
    }

    /// The latest job about this.
    pub async fn job(&self, kind: JobKind, subject: &str) -> Result<Option<Job>, StoreError> {
        self.read_job(&mut *self.connection().await?, kind, subject).await
    }

    /// Says that a job is still worked on, and what is being done. False when it is not ours to work on any more: it was
    /// cancelled, or its lease is over.
    pub async fn renew_job(&self, job: &Job, lease: Duration) -> Result<bool, StoreError> {
        let renewed = query(self.timed(RENEW))
            .bind(job.kind.as_str())
            .bind(&job.subject)
            .bind(&job.attempt)
            .bind(job.status.as_str())
            .bind(&job.message)
            .bind(milliseconds(lease))
            .execute(&mut *self.connection().await?)
            .await?;
        Ok(renewed.rows_affected() > 0)
    }

    /// Says how a job ended. False when it had ended before: it was cancelled, and stays so.
    pub async fn end_job(&self, job: &Job, end: &JobEnd) -> Result<bool, StoreError> {
        let ended = query(self.timed(END))
            .bind(job.kind.as_str())
            .bind(&job.subject)
            .bind(&job.attempt)
            .bind(end.status.as_str())
            .bind(&end.message)
            .bind(end.run_id.as_ref().map(RunId::as_str))
            .bind(end.report_path.as_deref())
            .execute(&mut *self.connection().await?)
            .await?;
        Ok(ended.rows_affected() > 0)
    }

    /// Ends the job about this that is under way, and is not being stored; which attempt that was. `None` when there is none.
    pub async fn cancel_job(
        &self,
        kind: JobKind,
        subject: &str,
        message: &str,
    ) -> Result<Option<String>, StoreError> {
        let cancelled = query(self.timed(CANCEL))
            .bind(kind.as_str())
            .bind(subject)
            .bind(message)
            .fetch_optional(&mut *self.connection().await?)
            .await?;
        let attempt = |row| {
            Reader {
                table: "ts_jobs",
                row,
            }
            .get("attempt")
        };
        cancelled.as_ref().map(attempt).transpose()
    }

    /// Says of what is under way that it was interrupted, where that is certain: one server at a time has a SQLite, so
    /// that when it begins all is left by the one before. On PostgreSQL others may be working; there leases tell.
    pub async fn interrupt_jobs(&self) -> Result<(), StoreError> {
        if self.dialect == Dialect::Sqlite {
            let interrupt = query(self.timed(INTERRUPT_ALL)).bind(INTERRUPTED);
            interrupt.execute(&mut *self.connection().await?).await?;
        }
        Ok(())
    }

    async fn read_job(
        &self,
        connection: &mut AnyConnection,
        kind: JobKind,
        subject: &str,
    ) -> Result<Option<Job>, StoreError> {
        let get = query(self.timed(GET)).bind(kind.as_str()).bind(subject);
        let row = get.fetch_optional(connection).await?;
        row.as_ref().map(|row| job(kind, row)).transpose()
    }

    fn timed(&self, (sqlite, postgres): Both) -> &'static str {
        self.dialect.pick(sqlite, postgres)
    }
}

fn job(kind: JobKind, row: &AnyRow) -> Result<Job, StoreError> {
    let row = Reader {
        table: "ts_jobs",
        row,
    };
    let status = JobStatus::of(&row.get::<String>("status")?);
    let mut job = Job {
        kind,
        subject: row.get("subject")?,
        attempt: row.get("attempt")?,
        status: status.ok_or_else(|| corrupt("status is no word that is known"))?,
        message: row.get("message")?,
        run_id: match row.get::<Option<String>>("run_id")? {
            Some(_) => Some(row.id("run_id")?),
            None => None,
        },
        report_path: row.get("report_path")?,
        created_at: row.time("created_at")?,
        created_by: row.get("created_by")?,
        updated_at: row.time("updated_at")?,
    };
    if row.get::<i32>("is_interrupted")? == 1 {
        job.status = JobStatus::Failed;
        INTERRUPTED.clone_into(&mut job.message);
    }
    Ok(job)
}

fn corrupt(reason: &str) -> StoreError {
    StoreError::Corrupt {
        table: "ts_jobs",
        reason: reason.to_owned(),
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
