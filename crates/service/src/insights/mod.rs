//! Insights of a chat model: optional, bounded in what they cost, and never trusted.
//!
//! [`ask`] asks one [`Prompt`] about data and gives an answer that was read, cut to its limits and checked. What stands in data
//! was written by anybody: it reaches the model as JSON between markers that it cannot contain, and what comes back is texts in
//! fixed places, shown as text. A model is given no tools, so that nothing in a trace can make it call anything. Where there is
//! no model, or it fails, an analysis is complete without it, and says by [`InsightError`] why.
//!
//! Neither questions nor answers are logged, only how large they are, how long they took and what they cost.

mod answer;
mod error;
mod experiment;
mod model;
mod prompt;
mod session;
mod spent;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use chat_client::{ChatAnswer, ChatError, ChatRequest, Usage};
use domain::BrokenRule;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Services;

pub use answer::Validated;
pub use error::InsightError;
pub use experiment::{
    EXPERIMENT_SUMMARY, ExperimentInsights, Issue, SuggestedInput, SuggestedLabel, SuggestedSchema,
};
pub use model::{ChatModel, ServingModel};
pub use prompt::{Prompt, fit};
pub use session::{Finding, SESSION_ANALYSIS, SessionInsights};
pub(crate) use spent::Spent;

use prompt::{asking_again, data_message, tokens};

/// Of why an answer cannot be used, so many characters are told the model.
const MAX_REASON: usize = 300;

/// Which model is asked, and what that may cost.
#[derive(Debug, Clone)]
pub struct ModelPolicy {
    /// The model that is asked where a request names none.
    pub name: Option<String>,
    /// Time for one question, its tries included.
    pub timeout: Duration,
    /// Tokens of all questions and answers of one analysis together.
    pub token_budget: u32,
}

/// A question about data.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What is asked.
    pub prompt: &'a Prompt,
    /// What it is asked about; all of it untrusted.
    pub data: &'a Value,
    /// The traces that the data names: others that an answer names are dropped.
    pub known: &'a HashSet<String>,
    /// The model to ask in place of the configured one.
    pub model: Option<&'a str>,
}

/// What a model made of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insight<T> {
    /// Its answer, tidied and valid.
    pub content: T,
    /// The model's name.
    pub model: String,
    /// What all its answers cost, as far as its server says.
    pub usage: Usage,
}

impl Services {
    /// Whether there is somebody to ask for insights.
    pub fn has_model(&self) -> bool {
        self.chat.is_some() && self.model.name.is_some()
    }

    /// Which model is asked where a request names none, and what that may cost.
    pub fn model_policy(&self) -> &ModelPolicy {
        &self.model
    }

    /// Tokens that questions and answers took since the start, as far as the model's server says.
    pub fn model_tokens(&self) -> Usage {
        self.spent.so_far()
    }

    /// Refuses a name that no model has which can be asked here. Where none can, any name will do.
    ///
    /// # Errors
    /// The rule that it breaks, of the field `model_endpoint`.
    pub fn check_model_name(&self, name: &str) -> Result<(), BrokenRule> {
        self.chat.as_ref().map_or(Ok(()), |chat| chat.check_name(name))
    }
}

/// Asks the model. An answer that cannot be used is asked for once more, with the reason, as far as the budget goes.
///
/// # Errors
/// Why there is none.
pub async fn ask<T: DeserializeOwned + Validated>(
    services: &Services,
    question: &Question<'_>,
) -> Result<Insight<T>, InsightError> {
    ask_model(
        services.chat.as_deref(),
        &services.model,
        &services.spent,
        question,
    )
    .await
}

async fn ask_model<T: DeserializeOwned + Validated>(
    chat: Option<&dyn ChatModel>,
    policy: &ModelPolicy,
    spent: &Spent,
    question: &Question<'_>,
) -> Result<Insight<T>, InsightError> {
    let chat = chat.ok_or(InsightError::NotConfigured)?;
    let name = question.model.or(policy.name.as_deref());
    let name = name.ok_or(InsightError::NotConfigured)?;
    chat.check_name(name)?;
    let mut asking = Asking::new(chat, policy, spent, question, name);
    let result = match asking.once().await {
        Err(InsightError::Unusable { reason }) if asking.may_ask_again(&reason) => asking.once().await,
        result => result,
    };
    Ok(Insight {
        content: result?,
        model: name.to_owned(),
        usage: asking.usage,
    })
}

/// A question under way.
struct Asking<'a> {
    chat: &'a dyn ChatModel,
    policy: &'a ModelPolicy,
    spent: &'a Spent,
    question: &'a Question<'a>,
    request: ChatRequest,
    /// As far as the server says.
    usage: Usage,
    /// Tokens that were used, estimated where the server does not say.
    used: u64,
}

impl<'a> Asking<'a> {
    fn new(
        chat: &'a dyn ChatModel,
        policy: &'a ModelPolicy,
        spent: &'a Spent,
        question: &'a Question<'a>,
        name: &str,
    ) -> Self {
        let prompt = question.prompt;
        let request = ChatRequest {
            model: name.to_owned(),
            system: prompt.instructions(),
            user: data_message(question.data),
            schema_name: prompt.name,
            schema: (prompt.schema)(),
            max_output_tokens: prompt.max_output_tokens,
        };
        Self {
            chat,
            policy,
            spent,
            question,
            request,
            usage: Usage::default(),
            used: 0,
        }
    }

    /// Puts the reason into the question; whether the budget bears it.
    fn may_ask_again(&mut self, reason: &str) -> bool {
        let reason: String = reason.chars().take(MAX_REASON).collect();
        self.request.user = asking_again(&self.request.user, &reason);
        self.needed() <= u64::from(self.policy.token_budget)
    }

    /// Tokens that were used, and that the next question and the longest answer take.
    fn needed(&self) -> u64 {
        self.used + self.prompt_tokens() + u64::from(self.request.max_output_tokens)
    }

    fn prompt_tokens(&self) -> u64 {
        tokens(self.request.system.len() + self.request.user.len())
    }

    async fn once<T: DeserializeOwned + Validated>(&mut self) -> Result<T, InsightError> {
        let (needed, budget) = (self.needed(), self.policy.token_budget);
        if needed > u64::from(budget) {
            return Err(InsightError::OverBudget { needed, budget });
        }
        let began = Instant::now();
        let limit = self.policy.timeout;
        let answer = tokio::time::timeout(limit, self.chat.complete(&self.request)).await;
        let answer = answer.unwrap_or(Err(ChatError::Timeout { limit }));
        self.log(began.elapsed(), &answer);
        let answer = answer?;
        self.count(&answer);
        answer::read(&answer.content, self.question.known).map_err(|reason| {
            // What is missing then is the end, whatever else is wrong.
            let is_cut = answer.finish_reason.as_deref() == Some("length");
            let reason = if is_cut {
                "it is too long and was cut".to_owned()
            } else {
                reason
            };
            InsightError::Unusable { reason }
        })
    }

    fn count(&mut self, answer: &ChatAnswer) {
        let estimated = self.prompt_tokens() + tokens(answer.content.len());
        let Some(told) = answer.usage else {
            self.used += estimated;
            return;
        };
        self.spent.add(told);
        self.used = self
            .used
            .saturating_add(told.prompt_tokens.saturating_add(told.completion_tokens));
        self.usage.prompt_tokens = self.usage.prompt_tokens.saturating_add(told.prompt_tokens);
        self.usage.completion_tokens = self
            .usage
            .completion_tokens
            .saturating_add(told.completion_tokens);
    }

    fn log(&self, took: Duration, answer: &Result<ChatAnswer, ChatError>) {
        let prompt = self.question.prompt.name;
        let model = &self.request.model;
        let question_bytes = self.request.system.len() + self.request.user.len();
        let duration_ms = took.as_millis();
        match answer {
            Ok(answer) => {
                let usage = answer.usage.unwrap_or_default();
                tracing::info!(
                    prompt,
                    model,
                    question_bytes,
                    answer_bytes = answer.content.len(),
                    duration_ms,
                    prompt_tokens = usage.prompt_tokens,
                    completion_tokens = usage.completion_tokens,
                    "the model answered"
                );
            }
            Err(error) => {
                tracing::warn!(prompt, model, question_bytes, duration_ms, %error, "the model did not answer");
            }
        }
    }
}
