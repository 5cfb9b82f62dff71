//! Other servers with the same reviews: each tells the others what it has written, so that none of them answers from
//! before.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use store::Heard;

use crate::Services;
use crate::cache::Thing;

/// How long a word to the others may take.
const TELLING: Duration = Duration::from_millis(500);

/// After so long without a word the connection is tried.
const SILENCE: Duration = Duration::from_secs(30);

/// How long one's own word may take to come back.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a server says to the others.
#[derive(Debug, Serialize, Deserialize)]
struct Word {
    /// Who says it: a number that a server draws when it starts.
    from: u64,
    /// What was written.
    things: Vec<Thing>,
}

impl Services {
    /// Tells the other servers what was written. When that fails they answer from before until their entries' time is
    /// over; the write itself is done.
    pub(crate) async fn tell_peers(&self, things: Vec<Thing>) {
        if things.is_empty() {
            return;
        }
        let from = self.peer_number;
        let Ok(text) = serde_json::to_string(&Word { from, things }) else {
            return;
        };
        // Whoever wrote waits for this. When the database is away the others do not hear it either, and take everything
        // for old when it is back.
        match tokio::time::timeout(TELLING, self.reviews.tell_peers(&text)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "other servers do not know what was written here"),
            Err(_) => {
                tracing::warn!("other servers may not know what was written here: the database is slow");
            }
        }
    }

    /// Says nothing of any thing, to hear oneself.
    async fn tell_oneself(&self) {
        let word = Word {
            from: self.peer_number,
            things: Vec::new(),
        };
        if let Ok(text) = serde_json::to_string(&word) {
            // What is wrong is found out by not hearing it.
            let _ = self.reviews.tell_peers(&text).await;
        }
    }

    /// Listens to the other servers for as long as the process lives. Without any it ends at once.
    pub async fn listen_to_peers(self) {
        let Some(mut peers) = self.reviews.peers() else {
            return;
        };
        let touches = self.cache.touches();
        loop {
            let mut heard = tokio::time::timeout(SILENCE, peers.next()).await;
            if heard.is_err() {
                // A connection that a network dropped without a word looks like one on which nobody speaks.
                self.tell_oneself().await;
                heard = tokio::time::timeout(PATIENCE, peers.next()).await;
            }
            let Ok(heard) = heard else {
                peers.hang_up();
                continue;
            };
            match heard {
                Heard::MayHaveMissed => touches.touch_everything(),
                Heard::Said(text) => match serde_json::from_str::<Word>(&text) {
                    Ok(word) if word.from == self.peer_number => {}
                    Ok(word) => touches.touch(&word.things),
                    // A newer release may know other things.
                    Err(_) => touches.touch_everything(),
                },
            }
        }
    }
}
