//! Who said what of which item.

use std::collections::HashMap;

use domain::user_key;

use super::values::{Answer, Input};
use super::{ItemFacts, SessionFacts};

/// What one person says of one item under one schema.
#[derive(Debug)]
pub(super) struct Rating {
    pub(super) rater: usize,
    /// `None` where it says what is no answer to the question.
    pub(super) answer: Option<Answer>,
    /// When it was given or last changed, in ms since the Unix epoch.
    pub(super) at_ms: Option<i64>,
    pub(super) rationale: Option<String>,
}

/// Somebody who labels, or shall.
#[derive(Debug)]
pub(super) struct Rater {
    pub(super) name: String,
    pub(super) is_assigned: bool,
}

/// All ratings of a session.
#[derive(Debug)]
pub(super) struct Ratings {
    /// Those who are assigned first.
    pub(super) raters: Vec<Rater>,
    schemas: usize,
    /// Of each schema of each item.
    given: Vec<Vec<Rating>>,
}

impl Ratings {
    pub(super) fn of(facts: &SessionFacts) -> Self {
        let mut crowd = Crowd::default();
        for name in &facts.assigned_users {
            crowd.number(name, true);
        }
        let mut given = Vec::with_capacity(facts.items.len() * facts.schemas.len());
        for item in &facts.items {
            for schema in &facts.schemas {
                given.push(of_item(item, &schema.name, Input::of(schema), &mut crowd));
            }
        }
        Self {
            raters: crowd.raters,
            schemas: facts.schemas.len(),
            given,
        }
    }

    /// What was said of an item under a schema, each rater once.
    pub(super) fn of_item(&self, item: usize, schema: usize) -> &[Rating] {
        self.given
            .get(item * self.schemas + schema)
            .map_or(&[], Vec::as_slice)
    }

    /// The same of all items.
    pub(super) fn of_schema(&self, schema: usize) -> impl Iterator<Item = (usize, &[Rating])> {
        let items = self.given.len().checked_div(self.schemas).unwrap_or(0);
        (0..items).map(move |item| (item, self.of_item(item, schema)))
    }

    pub(super) fn name(&self, rater: usize) -> &str {
        self.raters.get(rater).map_or("", |rater| &rater.name)
    }
}

/// Raters by their names, in any case.
#[derive(Debug, Default)]
struct Crowd {
    raters: Vec<Rater>,
    by_key: HashMap<String, usize>,
}

impl Crowd {
    fn number(&mut self, name: &str, is_assigned: bool) -> usize {
        *self.by_key.entry(user_key(name)).or_insert_with(|| {
            self.raters.push(Rater {
                name: name.to_owned(),
                is_assigned,
            });
            self.raters.len() - 1
        })
    }
}

fn of_item(item: &ItemFacts, name: &str, input: Input, crowd: &mut Crowd) -> Vec<Rating> {
    let mut ratings: Vec<Rating> = Vec::new();
    for assessment in item.trace.iter().flat_map(|trace| &trace.assessments) {
        let is_rating = assessment.name == name && assessment.valid && assessment.is_of_human();
        let Some(value) = assessment.value().filter(|_| is_rating) else {
            continue;
        };
        let rating = Rating {
            rater: crowd.number(&assessment.source.source_id, false),
            answer: Answer::read(value, input),
            at_ms: assessment.last_update_time_ms.or(assessment.create_time_ms),
            rationale: assessment.rationale.clone(),
        };
        match ratings.iter_mut().find(|other| other.rater == rating.rater) {
            Some(other) if other.at_ms <= rating.at_ms => *other = rating,
            Some(_) => {}
            None => ratings.push(rating),
        }
    }
    if ratings.is_empty()
        && let Some(label) = item.labels.get(name)
        && let Some(by) = &item.last_updated_by
        && !label.value.is_null()
    {
        ratings.push(Rating {
            rater: crowd.number(by, false),
            answer: Answer::read(&label.value, input),
            at_ms: item.last_update_time_ms,
            rationale: label.comment.clone(),
        });
    }
    ratings
}
