//! What was answered under one schema, by whom, and how much they agree.

use std::collections::BTreeMap;

use domain::{LabelSchemaType, TraceId};
use serde::Serialize;

use super::distribution::Distribution;
use super::ratings::{Rating, Ratings};
use super::values::{Answer, Input};
use super::{SessionFacts, share};
use crate::agreement;

/// Rationales that are shown of each answer, and answers that they are shown of.
const RATIONALES_EACH: usize = 3;
const RATIONALES_OF: usize = 12;
const RATIONALE_CHARS: usize = 300;

/// What was answered under one schema.
#[derive(Debug, Clone, Serialize)]
pub struct SchemaAnalysis {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) label_type: LabelSchemaType,
    pub(super) input: Input,
    pub(super) ratings: usize,
    pub(super) items_rated: usize,
    pub(super) items_missing: usize,
    /// Ratings that are no answers to the question.
    pub(super) unreadable: usize,
    pub(super) distribution: Distribution,
    pub(super) agreement: Agreement,
    pub(super) by_reviewer: Vec<RaterAnswers>,
    pub(super) rationales: Vec<Excerpt>,
}

/// How much those agree who rated the same items.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Agreement {
    /// Reviewers who rated an item that another rated too.
    pub reviewers: usize,
    /// Items that two or more rated.
    pub items: usize,
    /// Of all pairs of ratings of one item, those that are equal; 0 to 1.
    pub percent_agreement: Option<f64>,
    /// Of two reviewers.
    pub cohens_kappa: Option<f64>,
    /// Of more, where each item was rated equally often.
    pub fleiss_kappa: Option<f64>,
    /// Of any number of them.
    pub krippendorffs_alpha: Option<f64>,
    /// What differences weigh in alpha: `nominal`, `interval`, `jaccard`.
    pub alpha_metric: Option<&'static str>,
    /// The figure in words.
    pub interpretation: Option<&'static str>,
    /// Why there is no figure that takes chance into account.
    pub why_none: Option<&'static str>,
}

impl Agreement {
    /// The figure that says most: that of few reviewers before that of any number.
    pub(super) fn figure(&self) -> Option<f64> {
        self.cohens_kappa
            .or(self.fleiss_kappa)
            .or(self.krippendorffs_alpha)
    }
}

/// What one reviewer answers.
#[derive(Debug, Clone, Serialize)]
pub struct RaterAnswers {
    pub(super) reviewer: String,
    pub(super) ratings: usize,
    /// Of numbers.
    pub(super) mean: Option<f64>,
    /// Of options, the one chosen most often, and in which share of the answers.
    pub(super) most_chosen: Option<String>,
    pub(super) most_chosen_share: Option<f64>,
}

/// Why somebody answered so.
#[derive(Debug, Clone, Serialize)]
pub struct Excerpt {
    pub(super) answer: String,
    pub(super) reviewer: String,
    pub(super) trace_id: Option<TraceId>,
    pub(super) text: String,
}

pub(super) fn analyse(facts: &SessionFacts, ratings: &Ratings, nth: usize) -> SchemaAnalysis {
    let schema = &facts.schemas[nth];
    let all: Vec<&Rating> = ratings.of_schema(nth).flat_map(|(_, given)| given).collect();
    let answers: Vec<&Answer> = all.iter().filter_map(|rating| rating.answer.as_ref()).collect();
    let items_rated = ratings
        .of_schema(nth)
        .filter(|(_, given)| !given.is_empty())
        .count();
    SchemaAnalysis {
        name: schema.name.clone(),
        title: schema.title.clone(),
        label_type: schema.kind,
        input: Input::of(schema),
        ratings: all.len(),
        items_rated,
        items_missing: facts.items.len() - items_rated,
        unreadable: all.len() - answers.len(),
        distribution: Distribution::of(schema, &answers),
        agreement: agree(ratings, nth, Input::of(schema)),
        by_reviewer: by_reviewer(ratings, &all),
        rationales: rationales(facts, ratings, nth),
    }
}

fn agree(ratings: &Ratings, nth: usize, input: Input) -> Agreement {
    if matches!(input, Input::Text | Input::TextList) {
        return Agreement {
            why_none: Some("free text is not compared"),
            ..Agreement::default()
        };
    }
    let answered = |given: &[Rating]| -> Vec<(usize, Answer)> {
        let answers = given
            .iter()
            .filter_map(|rating| Some((rating.rater, rating.answer.clone()?)));
        let mut answers: Vec<_> = answers.collect();
        answers.sort_unstable_by_key(|(rater, _)| *rater);
        answers
    };
    let shared = ratings
        .of_schema(nth)
        .map(|(_, given)| answered(given))
        .filter(|answers| answers.len() > 1);
    let shared: Vec<_> = shared.collect();
    let mut raters: Vec<_> = shared.iter().flatten().map(|(rater, _)| *rater).collect();
    raters.sort_unstable();
    raters.dedup();
    let units: Vec<Vec<Answer>> = shared
        .iter()
        .map(|unit| unit.iter().map(|(_, answer)| answer.clone()).collect())
        .collect();
    let mut found = Agreement {
        reviewers: raters.len(),
        items: units.len(),
        percent_agreement: agreement::percent_agreement(&units),
        ..Agreement::default()
    };
    if input == Input::Categorical && raters.len() == 2 {
        let pairs: Vec<_> = units
            .iter()
            .map(|unit| (unit[0].clone(), unit[1].clone()))
            .collect();
        found.cohens_kappa = agreement::cohens_kappa(&pairs);
    } else if input == Input::Categorical {
        found.fleiss_kappa = agreement::fleiss_kappa(&units);
    }
    let (metric, distance): (_, fn(&Answer, &Answer) -> f64) = match input {
        Input::Numeric => ("interval", numbers_differ),
        Input::CategoricalList => ("jaccard", lists_differ),
        _ => ("nominal", |a, b| agreement::nominal(a, b)),
    };
    found.krippendorffs_alpha = agreement::krippendorffs_alpha(&units, distance);
    found.alpha_metric = found.krippendorffs_alpha.map(|_| metric);
    let figure = found.figure();
    found.interpretation = figure.map(agreement::interpretation);
    found.why_none = match figure {
        Some(_) => None,
        None if units.is_empty() => Some("no item was rated by two reviewers"),
        None => Some("all ratings are the same, so that chance would agree as well"),
    };
    found
}

fn numbers_differ(a: &Answer, b: &Answer) -> f64 {
    match (a.number(), b.number()) {
        (Some(a), Some(b)) => agreement::interval(&a, &b),
        _ => agreement::nominal(a, b),
    }
}

fn lists_differ(a: &Answer, b: &Answer) -> f64 {
    match (a, b) {
        (Answer::Choices(a), Answer::Choices(b)) => agreement::jaccard(a, b),
        _ => agreement::nominal(a, b),
    }
}

fn by_reviewer(ratings: &Ratings, all: &[&Rating]) -> Vec<RaterAnswers> {
    let mut of_raters: BTreeMap<usize, Vec<&Answer>> = BTreeMap::new();
    for rating in all {
        of_raters.entry(rating.rater).or_default().extend(&rating.answer);
    }
    let answers = |(rater, answers): (usize, Vec<&Answer>)| {
        let numbers: Vec<_> = answers.iter().filter_map(|answer| answer.number()).collect();
        #[expect(clippy::cast_precision_loss, reason = "a count of what is in memory")]
        let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for answer in &answers {
            if matches!(answer, Answer::Choice(_) | Answer::Choices(_)) {
                *counts.entry(answer.shown()).or_default() += 1;
            }
        }
        // Of those chosen equally often the first by name.
        let most = counts.into_iter().rev().max_by_key(|(_, count)| *count);
        RaterAnswers {
            reviewer: ratings.name(rater).to_owned(),
            ratings: answers.len(),
            mean: (!numbers.is_empty()).then_some(mean),
            most_chosen_share: most.as_ref().map(|(_, count)| share(*count, answers.len())),
            most_chosen: most.map(|(answer, _)| answer),
        }
    };
    of_raters.into_iter().map(answers).collect()
}

/// Of each answer the longest few: they say most.
fn rationales(facts: &SessionFacts, ratings: &Ratings, nth: usize) -> Vec<Excerpt> {
    let mut by_answer: BTreeMap<&Answer, Vec<Excerpt>> = BTreeMap::new();
    for (item, given) in ratings.of_schema(nth) {
        for rating in given {
            let text = rating
                .rationale
                .as_deref()
                .map(str::trim)
                .filter(|text| !text.is_empty());
            if let (Some(answer), Some(text)) = (&rating.answer, text) {
                by_answer.entry(answer).or_default().push(Excerpt {
                    answer: answer.shown(),
                    reviewer: ratings.name(rating.rater).to_owned(),
                    trace_id: facts.items[item].trace_id.clone(),
                    text: text.chars().take(RATIONALE_CHARS).collect(),
                });
            }
        }
    }
    let mut shown = Vec::new();
    for mut excerpts in by_answer.into_values().take(RATIONALES_OF) {
        excerpts.sort_by_key(|excerpt| std::cmp::Reverse(excerpt.text.chars().count()));
        excerpts.truncate(RATIONALES_EACH);
        shown.append(&mut excerpts);
    }
    shown
}
