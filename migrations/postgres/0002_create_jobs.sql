-- The latest job of each kind about each subject: a new one takes the place of the one before.
--
-- Whoever works on it renews its lease, by the database's own clock; a job whose lease is over was interrupted.

CREATE TABLE ts_jobs (
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- Tells one job from those before it about the same.
    attempt TEXT NOT NULL,
    status TEXT NOT NULL,
    message TEXT NOT NULL,
    run_id TEXT,
    report_path TEXT,
    lease_until BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (kind, subject)
);
