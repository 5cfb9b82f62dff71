//! Why an analysis has no insights. Each text may stand in its report.

use chat_client::ChatError;
use domain::BrokenRule;

/// Insights that there are not. No message holds words of the model, of its server or of a trace.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InsightError {
    /// No model is there to be asked, or none is named.
    #[error("no model is configured")]
    NotConfigured,
    /// The question and the longest answer are more than one analysis may cost.
    #[error("it would take {needed} tokens, and one analysis may take {budget}")]
    OverBudget {
        /// What it would take, in tokens.
        needed: u64,
        /// What it may.
        budget: u32,
    },
    /// The model's name is none.
    #[error(transparent)]
    Name(#[from] BrokenRule),
    /// The model was not reached, or did not answer.
    #[error(transparent)]
    Model(#[from] ChatError),
    /// What the model answers is not what it was asked for, also when it was asked again.
    #[error("the model's answer could not be used")]
    Unusable {
        /// Why; may quote the answer.
        reason: String,
    },
}
