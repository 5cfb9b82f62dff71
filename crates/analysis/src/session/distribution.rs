//! How answers are spread.

use std::collections::BTreeMap;

use domain::LabelSchema;
use serde::Serialize;

use super::share;
use super::values::{Answer, Input};
use crate::stats::quantile;

/// Bars of a histogram.
const BINS: usize = 10;

/// Texts and options that nobody offered are kept up to this many.
const MAX_OPTIONS: usize = 200;

/// How answers are spread.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// How often each option was chosen; of a list, in how many answers it stands.
    Options(Vec<OptionCount>),
    /// Figures of numbers.
    Numbers(Numbers),
    /// Free text.
    Texts {
        /// Half of them are not longer, in characters.
        median_chars: f64,
    },
    /// Nothing was answered.
    Nothing,
}

/// Figures of numbers.
#[derive(Debug, Clone, Serialize)]
pub struct Numbers {
    /// The least.
    pub min: f64,
    /// A quarter of them is not above this.
    pub p25: f64,
    /// Half of them is not above this.
    pub median: f64,
    /// Their mean.
    pub mean: f64,
    /// Three quarters of them are not above this.
    pub p75: f64,
    /// The greatest.
    pub max: f64,
    /// Their standard deviation, of a sample (n - 1); nothing of one number.
    pub standard_deviation: Option<f64>,
    /// How many lie where.
    pub histogram: Vec<Bin>,
}

/// How often an option was chosen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OptionCount {
    /// The option.
    pub option: String,
    /// Answers.
    pub count: usize,
    /// Of all answers; 0 to 1.
    pub share: f64,
    /// False of an answer that the schema does not offer (any more).
    pub is_offered: bool,
}

/// Numbers from one on, up to the next one's beginning; of the last, its end included.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bin {
    /// The least.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// How many.
    pub count: usize,
}

impl Distribution {
    pub(super) fn of(schema: &LabelSchema, answers: &[&Answer]) -> Self {
        match Input::of(schema) {
            Input::Categorical | Input::CategoricalList => Self::Options(options(schema, answers)),
            _ if answers.is_empty() => Self::Nothing,
            Input::Numeric => numbers(answers.iter().filter_map(|answer| answer.number()).collect()),
            Input::Text | Input::TextList => {
                #[expect(clippy::cast_precision_loss, reason = "texts are cut")]
                let length = |answer: &&Answer| answer.shown().chars().count() as f64;
                let mut lengths: Vec<_> = answers.iter().map(length).collect();
                lengths.sort_unstable_by(f64::total_cmp);
                Self::Texts {
                    median_chars: quantile(&lengths, 0.5).unwrap_or_default(),
                }
            }
        }
    }
}

fn options(schema: &LabelSchema, answers: &[&Answer]) -> Vec<OptionCount> {
    let offered = schema.categorical.as_ref().or(schema.categorical_list.as_ref());
    let offered = offered
        .map(|options| options.options.as_slice())
        .unwrap_or_default();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for answer in answers {
        match answer {
            Answer::Choice(word) => *counts.entry(word).or_default() += 1,
            Answer::Choices(words) => words
                .iter()
                .for_each(|word| *counts.entry(word).or_default() += 1),
            Answer::Number(_) | Answer::Text(_) => {}
        }
    }
    let count = |option: &str, count: usize, is_offered| OptionCount {
        option: option.to_owned(),
        count,
        share: share(count, answers.len()),
        is_offered,
    };
    let mut all: Vec<_> = offered
        .iter()
        .map(|option| count(option, counts.remove(option.as_str()).unwrap_or(0), true))
        .collect();
    all.extend(
        counts
            .into_iter()
            .take(MAX_OPTIONS)
            .map(|(option, found)| count(option, found, false)),
    );
    all
}

fn numbers(mut sorted: Vec<f64>) -> Distribution {
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |q| quantile(&sorted, q).unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "a count of what is in memory")]
    let count = sorted.len() as f64;
    let mean = sorted.iter().sum::<f64>() / count.max(1.0);
    let squares: f64 = sorted.iter().map(|number| (number - mean).powi(2)).sum();
    Distribution::Numbers(Numbers {
        min: at(0.0),
        p25: at(0.25),
        median: at(0.5),
        mean,
        p75: at(0.75),
        max: at(1.0),
        standard_deviation: (sorted.len() > 1).then(|| (squares / (count - 1.0)).sqrt()),
        histogram: histogram(&sorted),
    })
}

/// Whole numbers within a few are counted each; others in ten equal ranges.
fn histogram(sorted: &[f64]) -> Vec<Bin> {
    let (Some(&min), Some(&max)) = (sorted.first(), sorted.last()) else {
        return Vec::new();
    };
    #[expect(clippy::cast_precision_loss, reason = "ten")]
    let most = BINS as f64;
    let is_few = max - min < most && sorted.iter().all(|number| number.fract() == 0.0);
    let width = if is_few || max <= min {
        1.0
    } else {
        (max - min) / most
    };
    // Between the least and the greatest of all numbers lies more than a number can say.
    if !width.is_finite() {
        return Vec::new();
    }
    let mut bins: Vec<Bin> = Vec::new();
    let mut from = min;
    while bins.len() < BINS && (from <= max) {
        bins.push(Bin {
            from,
            to: from + width,
            count: 0,
        });
        #[expect(clippy::cast_precision_loss, reason = "at most ten")]
        let nth = bins.len() as f64;
        from = nth.mul_add(width, min);
    }
    for number in sorted {
        let bin = bins.iter_mut().rev().find(|bin| bin.from <= *number);
        if let Some(bin) = bin {
            bin.count += 1;
        }
    }
    bins
}
