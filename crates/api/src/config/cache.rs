//! How much is kept, and how long.

use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;
use humantime::parse_duration;
use service::CachePolicy;

/// How much is kept, and how long.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cache")]
pub struct CacheArgs {
    /// All kept answers together; 0 keeps none.
    #[arg(
        long = "cache-size",
        env = "TRACE_SERVER_CACHE_SIZE",
        value_name = "SIZE",
        default_value = "512MiB"
    )]
    size: ByteSize,
    /// How long infos of finished traces and experiments are fresh.
    #[arg(long = "cache-ttl", env = "TRACE_SERVER_CACHE_TTL", value_name = "TIME", default_value = "300s", value_parser = parse_duration)]
    ttl: Duration,
    /// How long spans of finished, complete traces are fresh.
    #[arg(long = "cache-spans-ttl", env = "TRACE_SERVER_CACHE_SPANS_TTL", value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
    spans_ttl: Duration,
    /// How long traces that may still grow are fresh.
    #[arg(long = "cache-in-progress-ttl", env = "TRACE_SERVER_CACHE_IN_PROGRESS_TTL", value_name = "TIME", default_value = "2s", value_parser = parse_duration)]
    in_progress_ttl: Duration,
    /// How long searches and runs are fresh.
    #[arg(long = "cache-search-ttl", env = "TRACE_SERVER_CACHE_SEARCH_TTL", value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    search_ttl: Duration,
    /// How long beyond its time an answer may stand in while MLflow is in trouble; it says `x-cache: stale`.
    #[arg(long = "cache-stale-if-error", env = "TRACE_SERVER_CACHE_STALE_IF_ERROR", value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
    stale_if_error: Duration,
    /// How long a new answer is waited for while one is kept whose time is over: a tenth of this when it is over since a
    /// moment, all of it from a minute on. Then the old one is served, says `x-cache: stale`, and is renewed meanwhile.
    #[arg(long = "cache-stale-patience", env = "TRACE_SERVER_CACHE_STALE_PATIENCE", value_name = "TIME", default_value = "3s", value_parser = parse_duration)]
    stale_patience: Duration,
}

impl CacheArgs {
    /// Keeps no answers, whatever is set.
    pub fn keep_nothing(&mut self) {
        self.size = ByteSize(0);
    }

    /// The policy of the cache.
    pub fn policy(&self) -> CachePolicy {
        CachePolicy {
            max_bytes: self.size.as_u64(),
            info_ttl: self.ttl,
            spans_ttl: self.spans_ttl,
            in_progress_ttl: self.in_progress_ttl,
            search_ttl: self.search_ttl,
            stale_if_error: self.stale_if_error,
            stale_patience: self.stale_patience,
        }
    }
}
