//! Whether connections are used again, decided once: by setting, by scheme or by measurement.
//!
//! See [`ConnectionReuse`] for the stall this avoids. The measurement asks `GET /version`, a body of a few bytes, again and
//! again over one connection: with the stall each answer takes 40 ms or more (the kernel's delayed acknowledgement), without it
//! well under.

use std::time::Duration;

use reqwest::Client;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use url::Url;

use crate::config::ConnectionReuse;

/// Linux delays an acknowledgement by at least 40 ms.
const STALL: Duration = Duration::from_millis(36);
/// Calls at most. On a young connection the kernel acknowledges at once, up to 16 times, and nothing stalls.
const PROBES: usize = 24;
/// So many stalls are enough. One that is missed costs 40 ms on every call from then on, those seen where none is cost a
/// handshake.
const STALLS: usize = 3;
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
    let (mut stalls, mut probes) = (0, 0);
    while probes < PROBES && stalls < STALLS {
        let began = Instant::now();
        let call = async { pooled.get(version.clone()).send().await?.bytes().await };
        tokio::time::timeout(PROBE_LIMIT, call).await.ok()?.ok()?;
        probes += 1;
        // The first has the handshake in it.
        stalls += usize::from(probes > 1 && began.elapsed() >= STALL);
    }
    let is_reused = stalls < STALLS;
    tracing::info!(
        probes,
        stalls,
        is_reused,
        "measured small answers on a reused connection"
    );
    Some(is_reused)
}
