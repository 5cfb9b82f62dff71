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
        add(&self.prompt, usage.prompt_tokens);
        add(&self.completion, usage.completion_tokens);
    }

    pub(crate) fn so_far(&self) -> Usage {
        Usage {
            prompt_tokens: self.prompt.load(Ordering::Relaxed),
            completion_tokens: self.completion.load(Ordering::Relaxed),
        }
    }
}

/// A server may say anything: what is counted never goes back.
fn add(sum: &AtomicU64, tokens: u64) {
    let add = |sum: u64| Some(sum.saturating_add(tokens));
    // It has a sum each time.
    let _ = sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_never_goes_back() {
        let spent = Spent::default();
        for prompt_tokens in [3, u64::MAX, 4] {
            let before = spent.so_far().prompt_tokens;
            spent.add(Usage {
                prompt_tokens,
                completion_tokens: 1,
            });
            assert!(spent.so_far().prompt_tokens >= before);
        }
        assert_eq!(spent.so_far().completion_tokens, 3);
    }
}
