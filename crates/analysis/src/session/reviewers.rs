//! How far each reviewer is, and how long an item takes them.

use domain::Timestamp;
use serde::Serialize;

use super::ratings::Ratings;
use super::{SessionFacts, share};
use crate::stats::quantile;

/// A longer time between two items is a pause, and no work on the second.
const PAUSE_MS: i64 = 30 * 60 * 1000;

/// How far a reviewer is.
#[derive(Debug, Clone, Serialize)]
pub struct Reviewer {
    pub(super) name: String,
    /// Whether the session is assigned to them; others may have labeled its traces too.
    pub(super) is_assigned: bool,
    pub(super) ratings: usize,
    /// Items they rated under every schema.
    pub(super) items_complete: usize,
    /// Items they rated under some schemas.
    pub(super) items_partial: usize,
    /// Items they have not rated.
    pub(super) items_missing: usize,
    /// Complete items, of all; 0 to 1.
    pub(super) completion_share: f64,
    pub(super) time_per_item: Option<ItemTime>,
    pub(super) first_label: Option<Timestamp>,
    pub(super) last_label: Option<Timestamp>,
}

/// How long an item takes: from the last label of the item before to its own last label. Pauses of more than half an hour
/// are left out, and so is the first item, whose beginning is not known.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ItemTime {
    /// Half of them took no longer, in ms.
    pub(super) median_ms: f64,
    /// Nine of ten took no longer, in ms.
    pub(super) p90_ms: f64,
    /// Items that it is known of.
    pub(super) items: usize,
}

pub(super) fn analyse(facts: &SessionFacts, ratings: &Ratings) -> Vec<Reviewer> {
    let mut works: Vec<Work> = (0..ratings.raters.len()).map(|_| Work::default()).collect();
    for item in 0..facts.items.len() {
        let mut of_item: Vec<(usize, usize, Option<i64>)> = Vec::new();
        for schema in 0..facts.schemas.len() {
            for rating in ratings.of_item(item, schema) {
                match of_item.iter_mut().find(|(rater, ..)| *rater == rating.rater) {
                    Some((_, count, last)) => {
                        *count += 1;
                        *last = rating.at_ms.max(*last);
                    }
                    None => of_item.push((rating.rater, 1, rating.at_ms)),
                }
            }
        }
        for (rater, count, last) in of_item {
            let work = &mut works[rater];
            work.ratings += count;
            if count == facts.schemas.len() {
                work.complete += 1;
            } else {
                work.partial += 1;
            }
            work.last_labels.extend(last);
        }
    }
    let raters = ratings.raters.iter().zip(works);
    let reviewer = raters.map(|(rater, mut work)| {
        work.last_labels.sort_unstable();
        let at = |ms: Option<&i64>| ms.copied().map(Timestamp::from_unix_ms);
        Reviewer {
            name: rater.name.clone(),
            is_assigned: rater.is_assigned,
            ratings: work.ratings,
            items_complete: work.complete,
            items_partial: work.partial,
            items_missing: facts.items.len() - work.complete - work.partial,
            completion_share: share(work.complete, facts.items.len()),
            time_per_item: time_per_item(&work.last_labels),
            first_label: at(work.last_labels.first()),
            last_label: at(work.last_labels.last()),
        }
    });
    reviewer.collect()
}

#[derive(Debug, Default)]
struct Work {
    ratings: usize,
    complete: usize,
    partial: usize,
    /// Of each item, in ms since the Unix epoch.
    last_labels: Vec<i64>,
}

fn time_per_item(sorted: &[i64]) -> Option<ItemTime> {
    let gaps = sorted.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
    #[expect(clippy::cast_precision_loss, reason = "at most half an hour")]
    let mut gaps: Vec<f64> = gaps
        .filter(|gap| *gap <= PAUSE_MS)
        .map(|gap| gap as f64)
        .collect();
    gaps.sort_unstable_by(f64::total_cmp);
    Some(ItemTime {
        median_ms: quantile(&gaps, 0.5)?,
        p90_ms: quantile(&gaps, 0.9)?,
        items: gaps.len(),
    })
}
