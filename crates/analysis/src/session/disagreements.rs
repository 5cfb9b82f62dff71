//! Where reviewers differ, the most different first.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use domain::TraceId;
use serde::Serialize;

use super::SessionFacts;
use super::ratings::{Rating, Ratings};
use super::values::{Answer, Input, Number};

/// Shown of them all.
const SHOWN: usize = 50;
const RATIONALE_CHARS: usize = 300;

/// Where reviewers differ.
#[derive(Debug, Clone, Serialize)]
pub struct Disagreements {
    /// How often, of all items and schemas.
    pub(super) total: usize,
    /// The most different of them.
    pub(super) shown: Vec<Disagreement>,
}

/// An item that reviewers rate differently.
#[derive(Debug, Clone, Serialize)]
pub struct Disagreement {
    pub(super) trace_id: Option<TraceId>,
    pub(super) schema: String,
    pub(super) request_preview: Option<String>,
    pub(super) opinions: Vec<Opinion>,
}

/// What one of them says.
#[derive(Debug, Clone, Serialize)]
pub struct Opinion {
    pub(super) reviewer: String,
    pub(super) answer: String,
    pub(super) rationale: Option<String>,
}

/// How different ratings are: first how far apart numbers are, of all that the schema's numbers are apart; then how many
/// different answers there are.
type Difference = (Number, usize);

pub(super) fn find(facts: &SessionFacts, ratings: &Ratings) -> Disagreements {
    let mut found: Vec<(Difference, usize, usize)> = Vec::new();
    for (nth, schema) in facts.schemas.iter().enumerate() {
        if matches!(Input::of(schema), Input::Text | Input::TextList) {
            continue;
        }
        let range = spread(ratings.of_schema(nth).flat_map(|(_, given)| given));
        for (item, given) in ratings.of_schema(nth) {
            if let Some(difference) = difference(given, range) {
                found.push((difference, item, nth));
            }
        }
    }
    found.sort_by_key(|(difference, item, schema)| (Reverse(*difference), *item, *schema));
    Disagreements {
        total: found.len(),
        shown: found
            .iter()
            .take(SHOWN)
            .map(|(_, item, schema)| shown(facts, ratings, *item, *schema))
            .collect(),
    }
}

fn difference(given: &[Rating], range: f64) -> Option<Difference> {
    let answers: BTreeSet<&Answer> = given.iter().filter_map(|rating| rating.answer.as_ref()).collect();
    let part = if range > 0.0 { spread(given) / range } else { 0.0 };
    (answers.len() > 1).then_some((Number(part), answers.len()))
}

/// From the least number to the greatest.
fn spread<'a>(ratings: impl IntoIterator<Item = &'a Rating>) -> f64 {
    let numbers = ratings
        .into_iter()
        .filter_map(|rating| rating.answer.as_ref()?.number());
    let ends = numbers.fold(None, |ends: Option<(f64, f64)>, number| {
        let (min, max) = ends.unwrap_or((number, number));
        Some((min.min(number), max.max(number)))
    });
    ends.map_or(0.0, |(min, max)| max - min)
}

fn shown(facts: &SessionFacts, ratings: &Ratings, item: usize, schema: usize) -> Disagreement {
    let facts_of_item = &facts.items[item];
    let opinions = ratings.of_item(item, schema).iter().filter_map(|rating| {
        Some(Opinion {
            reviewer: ratings.name(rating.rater).to_owned(),
            answer: rating.answer.as_ref()?.shown(),
            rationale: rating
                .rationale
                .as_ref()
                .map(|text| text.chars().take(RATIONALE_CHARS).collect()),
        })
    });
    Disagreement {
        trace_id: facts_of_item.trace_id.clone(),
        schema: facts.schemas[schema].name.clone(),
        request_preview: facts_of_item
            .trace
            .as_ref()
            .and_then(|trace| trace.request_preview.clone()),
        opinions: opinions.collect(),
    }
}
