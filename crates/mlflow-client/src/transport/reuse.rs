//! Whether connections are used again, decided once: by setting, by scheme or by measurement.
//!
//! See [`ConnectionReuse`] for the stall this avoids. The measurement asks `GET /version`, a body of a few bytes,
//! several times over one connection: with the stall each answer takes 40 ms or more (the kernel's delayed
//! acknowledgement), without it well under.

use std::time::Duration;

use reqwest::Client;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use url::Url;

use crate::config::ConnectionReuse;

/// Linux delays an acknowledgement by at least 40 ms.
const STALL: Duration = Duration::from_millis(36);
/// Calls before it counts: on a young connection the kernel acknowledges at once, and nothing stalls.
const WARM_UPS: usize = 2;
/// Calls that count; the median decides. A stall that is missed costs 40 ms on every call from then on, one that is
/// seen where none is costs a handshake.
const PROBES: usize = 5;
/// A server slower than this is not measured.
const PROBE_LIMIT: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(super) struct Reuse {
    pooled: Client,
    fresh: Client,
    decision: OnceCell<bool>,
}

impl Reuse {
    pub(super) fn new(setting: ConnectionReuse, scheme: &str, pooled: Client, fresh: Client) -> Self {
        let decided = match setting {
            ConnectionReuse::Always => Some(true),
            ConnectionReuse::Never => Some(false),
            ConnectionReuse::Auto => (scheme == "https").then_some(true),
        };
        Self {
            pooled,
            fresh,
            decision: OnceCell::new_with(decided),
        }
    }

    /// The client with pooled connections, whatever was decided: for TLS cloud stores.
    pub(super) fn pooled(&self) -> &Client {
        &self.pooled
    }

    /// The client to send with. Until it is decided every call has a fresh connection: slower by a handshake,
    /// never by a stall.
    pub(super) fn client(&self) -> &Client {
        if self.decision.get() == Some(&true) {
            &self.pooled
        } else {
            &self.fresh
        }
    }

    /// Whether connections are used again; measures if that is not decided. `None` when the server did not answer.
    pub(super) async fn decide(&self, version: &Url) -> Option<bool> {
        let decided = self
            .decision
            .get_or_try_init(|| async { measure(&self.pooled, version).await.ok_or(()) });
        decided.await.ok().copied()
    }
}

async fn measure(pooled: &Client, version: &Url) -> Option<bool> {
    let mut times = Vec::with_capacity(PROBES);
    for probe in 0..WARM_UPS + PROBES {
        let began = Instant::now();
        let call = async { pooled.get(version.clone()).send().await?.bytes().await };
        tokio::time::timeout(PROBE_LIMIT, call).await.ok()?.ok()?;
        if probe >= WARM_UPS {
            times.push(began.elapsed());
        }
    }
    times.sort_unstable();
    let median = times[PROBES / 2];
    let is_reused = median < STALL;
    tracing::info!(
        median_us = median.as_micros(),
        is_reused,
        "measured small answers on a reused connection"
    );
    Some(is_reused)
}
