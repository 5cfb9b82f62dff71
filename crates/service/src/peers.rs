//! Other servers with the same reviews: each tells the others what it has written, so that none of them answers from
//! before.

use serde::{Deserialize, Serialize};
use store::Heard;

use crate::Services;
use crate::cache::Thing;

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
        if let Err(error) = self.reviews.tell_peers(&text).await {
            tracing::warn!(%error, "other servers do not know what was written here");
        }
    }

    /// Listens to the other servers for as long as the process lives. Without any it ends at once.
    pub async fn listen_to_peers(self) {
        let Some(mut peers) = self.reviews.peers() else {
            return;
        };
        let touches = self.cache.touches();
        loop {
            match peers.next().await {
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
