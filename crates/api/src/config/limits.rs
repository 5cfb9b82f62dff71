//! Bounds on requests and streams.

use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;
use humantime::parse_duration;
use service::FeedLimits;

/// Bounds on requests and streams.
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
    /// A reader that takes nothing for so long, while others wait for it, is cut off.
    #[arg(long, env = "TRACE_SERVER_STREAM_PATIENCE", value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    stream_patience: Duration,
}

impl LimitArgs {
    /// The largest request body, in bytes.
    pub fn max_body_bytes(&self) -> usize {
        bytes(self.max_body)
    }

    /// Bounds on spans that arrive.
    pub fn feed(&self) -> FeedLimits {
        FeedLimits {
            shared_bytes: bytes(self.max_shared_spans),
            window_bytes: bytes(self.stream_window),
            span_bytes: bytes(self.max_span),
            patience: self.stream_patience,
        }
    }
}

fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}
