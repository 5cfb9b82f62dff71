//! What models cost.

use std::sync::atomic::{AtomicU64, Ordering};

use chat_client::Usage;

/// Tokens that were taken since the start.
#[derive(Debug, Default)]
pub(crate) struct Spent {
    prompt: AtomicU64,
    completion: AtomicU64,
}

impl Spent {
    pub(crate) fn add(&self, usage: Usage) {
        self.prompt.fetch_add(usage.prompt_tokens, Ordering::Relaxed);
        self.completion
            .fetch_add(usage.completion_tokens, Ordering::Relaxed);
    }

    pub(crate) fn so_far(&self) -> Usage {
        Usage {
            prompt_tokens: self.prompt.load(Ordering::Relaxed),
            completion_tokens: self.completion.load(Ordering::Relaxed),
        }
    }
}
