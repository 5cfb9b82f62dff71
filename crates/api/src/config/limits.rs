//! Bounds on requests, streams and background work.

use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;
use humantime::parse_duration;
use service::{FeedLimits, JobLimits};
use tokio::sync::Semaphore;

use crate::admission::AdmissionLimits;

/// Bounds on requests, streams and background work.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// The largest request body.
    #[arg(
        long,
        env = "TRACE_SERVER_MAX_BODY",
        value_name = "SIZE",
        default_value = "2MiB"
    )]
    max_body: ByteSize,
    /// Requests that are worked on at once.
    #[arg(
        long,
        env = "TRACE_SERVER_MAX_REQUESTS",
        value_name = "COUNT",
        default_value_t = 512
    )]
    max_requests: usize,
    /// Requests that wait for their turn, for 5 s at most; every one beyond them is a 503 at once.
    #[arg(
        long,
        env = "TRACE_SERVER_MAX_WAITING",
        value_name = "COUNT",
        default_value_t = 1024
    )]
    max_waiting: usize,
    /// Answers of more than 256 KiB that are sent at once: each holds its memory until its reader has taken it.
    #[arg(
        long,
        env = "TRACE_SERVER_MAX_LARGE_ANSWERS",
        value_name = "COUNT",
        default_value_t = 128
    )]
    max_large_answers: usize,
    /// Traces that are too large to be kept and pass through, at once; fewer than the connections to MLflow, which they hold for as
    /// long as their readers take.
    #[arg(
        long,
        env = "TRACE_SERVER_MAX_FLOWS",
        value_name = "COUNT",
        default_value_t = 64
    )]
    max_flows: usize,
    /// Connections that are open at once, as far as the system allows so many open files.
    #[arg(
        long,
        env = "TRACE_SERVER_MAX_CONNECTIONS",
        value_name = "COUNT",
        default_value_t = 4096
    )]
    max_connections: usize,
    /// Time until an answer begins; what is done for it upstream is given up with it.
    #[arg(long, env = "TRACE_SERVER_REQUEST_TIMEOUT", value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    pub request_timeout: Duration,
    /// Traces of one request whose spans are loaded at once.
    #[arg(
        long,
        env = "TRACE_SERVER_PARALLEL_TRACES",
        value_name = "COUNT",
        default_value_t = 8
    )]
    pub parallel_traces: usize,
    /// A trace's spans are kept, and shared between readers, up to this size; larger ones are passed through.
    #[arg(
        long,
        env = "TRACE_SERVER_MAX_SHARED_SPANS",
        value_name = "SIZE",
        default_value = "8MiB"
    )]
    max_shared_spans: ByteSize,
    /// What is read ahead of the slowest reader when spans are passed through.
    #[arg(
        long,
        env = "TRACE_SERVER_STREAM_WINDOW",
        value_name = "SIZE",
        default_value = "1MiB"
    )]
    stream_window: ByteSize,
    /// The largest single span.
    #[arg(
        long,
        env = "TRACE_SERVER_MAX_SPAN",
        value_name = "SIZE",
        default_value = "64MiB"
    )]
    max_span: ByteSize,
    /// A reader that takes nothing for so long is cut off.
    #[arg(long, env = "TRACE_SERVER_STREAM_PATIENCE", value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    pub stream_patience: Duration,
    /// Analyses that are worked on at once.
    #[arg(
        long,
        env = "TRACE_SERVER_MAX_JOBS",
        value_name = "COUNT",
        default_value_t = 2
    )]
    max_jobs: usize,
    /// Analyses that wait for their turn; every one beyond them is a 503.
    #[arg(
        long,
        env = "TRACE_SERVER_MAX_WAITING_JOBS",
        value_name = "COUNT",
        default_value_t = 32
    )]
    max_waiting_jobs: usize,
    /// The longest that an analysis may take once it is its turn.
    #[arg(long, env = "TRACE_SERVER_JOB_TIMEOUT", value_name = "TIME", default_value = "30m", value_parser = parse_duration)]
    job_timeout: Duration,
}

impl LimitArgs {
    /// The largest request body, in bytes.
    pub fn max_body_bytes(&self) -> usize {
        bytes(self.max_body)
    }

    /// How much is taken on at once.
    pub fn admission(&self) -> AdmissionLimits {
        // A semaphore takes no more.
        let places = |count: usize| count.clamp(1, Semaphore::MAX_PERMITS);
        AdmissionLimits {
            requests: places(self.max_requests),
            waiting: self.max_waiting.min(Semaphore::MAX_PERMITS),
            large_answers: places(self.max_large_answers),
            connections: places(self.max_connections),
        }
    }

    /// How much is done in the background.
    pub fn jobs(&self) -> JobLimits {
        JobLimits {
            at_once: self.max_jobs.clamp(1, Semaphore::MAX_PERMITS / 2),
            waiting: self.max_waiting_jobs.min(Semaphore::MAX_PERMITS / 2),
            time: self.job_timeout,
        }
    }

    /// Bounds on spans that arrive.
    pub fn feed(&self) -> FeedLimits {
        FeedLimits {
            shared_bytes: bytes(self.max_shared_spans),
            window_bytes: bytes(self.stream_window),
            span_bytes: bytes(self.max_span),
            patience: self.stream_patience,
            flows: self.max_flows.clamp(1, Semaphore::MAX_PERMITS),
        }
    }
}

fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}
