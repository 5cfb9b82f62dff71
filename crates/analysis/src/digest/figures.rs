//! Figures of spans of a kind: how many, how many failed, how long they took, what they cost.

use serde::{Deserialize, Serialize};

use crate::stats::Sample;

/// Tokens, as MLflow counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Tokens {
    /// What models were given.
    #[cfg_attr(feature = "openapi", schema(example = 1200))]
    pub input_tokens: u64,
    /// What they answered.
    #[cfg_attr(feature = "openapi", schema(example = 300))]
    pub output_tokens: u64,
    /// Both.
    #[cfg_attr(feature = "openapi", schema(example = 1500))]
    pub total_tokens: u64,
}

impl Tokens {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            total_tokens: self.total_tokens.saturating_add(other.total_tokens),
        }
    }
}

/// Costs in USD, as MLflow estimates them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Cost {
    /// Of what models were given.
    #[cfg_attr(feature = "openapi", schema(example = 0.003))]
    pub input_cost: f64,
    /// Of what they answered.
    #[cfg_attr(feature = "openapi", schema(example = 0.006))]
    pub output_cost: f64,
    /// Both.
    #[cfg_attr(feature = "openapi", schema(example = 0.009))]
    pub total_cost: f64,
}

impl Cost {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            input_cost: self.input_cost + other.input_cost,
            output_cost: self.output_cost + other.output_cost,
            total_cost: self.total_cost + other.total_cost,
        }
    }
}

/// How long things took, in ms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Latency {
    /// Half of them took no longer.
    #[cfg_attr(feature = "openapi", schema(example = 12.5))]
    pub p50: f64,
    /// 95 of 100 took no longer.
    #[cfg_attr(feature = "openapi", schema(example = 80.1))]
    pub p95: f64,
    /// The longest.
    #[cfg_attr(feature = "openapi", schema(example = 120.0))]
    pub max: f64,
}

impl Latency {
    /// Of these times, in ms; `None` of none.
    pub fn of(times: &Sample) -> Option<Self> {
        let [p50, p95] = times.quantiles([0.5, 0.95])?;
        Some(Self {
            p50,
            p95,
            max: times.max()?,
        })
    }
}

/// Figures of spans of a kind.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// How many there are.
    pub count: u64,
    /// How many failed.
    pub errors: u64,
    /// How long they took, in ms; those that have not ended are left out.
    pub times: Sample,
    /// Their tokens, where it is said.
    pub tokens: Option<Tokens>,
    /// Their costs, where it is said.
    pub cost: Option<Cost>,
}

impl Figures {
    pub(super) fn count(&mut self, is_error: bool, ms: Option<f64>) {
        self.count += 1;
        self.errors += u64::from(is_error);
        if let Some(ms) = ms {
            self.times.add(ms);
        }
    }

    pub(super) fn add_usage(&mut self, tokens: Option<Tokens>, cost: Option<Cost>) {
        self.tokens = [self.tokens, tokens].into_iter().flatten().reduce(Tokens::and);
        self.cost = [self.cost, cost].into_iter().flatten().reduce(Cost::and);
    }

    /// Takes in figures of others.
    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.errors += other.errors;
        self.times.add_all(&other.times);
        self.add_usage(other.tokens, other.cost);
    }

    /// The part that failed, 0 to 1.
    pub fn error_rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a share is shown in percent")]
        let rate = self.errors as f64 / self.count.max(1) as f64;
        rate
    }
}
