//! What the labels of a session say together: how far it is, what was answered, how much reviewers agree, and where they do
//! not.
//!
//! A rating is what one person says of one trace under one name: the newest valid assessment of theirs. Where nobody gave
//! the trace an assessment of that name, the label of the item itself counts, as given by who changed the item last. Judges
//! and code give no ratings. MLflow keeps assessments with the trace, not with a session: those given elsewhere count too.

mod disagreements;
mod distribution;
mod ratings;
mod report;
mod reviewers;
mod schemas;
mod values;

use std::collections::BTreeMap;

use domain::{ItemState, Label, LabelSchema, Timestamp, TraceId};
use serde::Serialize;

use crate::facts::TraceFacts;

pub use disagreements::{Disagreement, Disagreements, Opinion};
pub use distribution::{Bin, Distribution, Numbers, OptionCount};
pub use report::report;
pub use reviewers::Reviewer;
pub use schemas::{Agreement, Excerpt, RaterAnswers, SchemaAnalysis};

use ratings::Ratings;

/// The form of `data.json`; grows when what is there means something else.
const VERSION: u32 = 1;

/// A session, as far as its analysis looks at it.
#[derive(Debug, Clone)]
pub struct SessionFacts {
    /// The session's id.
    pub session_id: String,
    /// Its name.
    pub name: String,
    /// Its run.
    pub run_id: String,
    /// The experiment whose traces it is about.
    pub experiment_id: String,
    /// Who shall label.
    pub assigned_users: Vec<String>,
    /// What is asked.
    pub schemas: Vec<LabelSchema>,
    /// What is labeled.
    pub items: Vec<ItemFacts>,
    /// When this was read, in ms since the Unix epoch.
    pub read_at_ms: i64,
}

/// An item, as far as the analysis looks at it.
#[derive(Debug, Clone)]
pub struct ItemFacts {
    /// The trace that is labeled; `None` where the item is about something else.
    pub trace_id: Option<TraceId>,
    /// How far its labeling has come.
    pub state: ItemState,
    /// Its labels, by the name of their schema.
    pub labels: BTreeMap<String, Label>,
    /// Who changed it last.
    pub last_updated_by: Option<String>,
    /// When, in ms since the Unix epoch.
    pub last_update_time_ms: Option<i64>,
    /// The trace; `None` where it cannot be read any more.
    pub trace: Option<TraceFacts>,
}

/// What the labels of a session say together; written as `data.json`.
#[derive(Debug, Clone, Serialize)]
pub struct SessionAnalysis {
    version: u32,
    session_id: String,
    session_name: String,
    run_id: String,
    experiment_id: String,
    analysis_timestamp: Timestamp,
    totals: Totals,
    schemas: Vec<SchemaAnalysis>,
    reviewers: Vec<Reviewer>,
    disagreements: Disagreements,
}

/// How far a session is.
#[derive(Debug, Clone, Default, Serialize)]
struct Totals {
    items: usize,
    pending: usize,
    in_progress: usize,
    completed: usize,
    skipped: usize,
    /// Completed or skipped, of all; 0 to 1.
    done_share: f64,
    /// With at least one rating.
    labeled: usize,
    /// With a rating under every schema.
    fully_labeled: usize,
    /// Whose trace cannot be read any more.
    without_trace: usize,
    ratings: usize,
}

/// Goes through a session.
pub fn analyse(facts: &SessionFacts) -> SessionAnalysis {
    let ratings = Ratings::of(facts);
    let schemas = (0..facts.schemas.len()).map(|nth| schemas::analyse(facts, &ratings, nth));
    SessionAnalysis {
        version: VERSION,
        session_id: facts.session_id.clone(),
        session_name: facts.name.clone(),
        run_id: facts.run_id.clone(),
        experiment_id: facts.experiment_id.clone(),
        analysis_timestamp: Timestamp::from_unix_ms(facts.read_at_ms),
        totals: totals(facts, &ratings),
        schemas: schemas.collect(),
        reviewers: reviewers::analyse(facts, &ratings),
        disagreements: disagreements::find(facts, &ratings),
    }
}

fn totals(facts: &SessionFacts, ratings: &Ratings) -> Totals {
    let mut totals = Totals {
        items: facts.items.len(),
        ..Totals::default()
    };
    for (nth, item) in facts.items.iter().enumerate() {
        match item.state {
            ItemState::Pending => totals.pending += 1,
            ItemState::InProgress => totals.in_progress += 1,
            ItemState::Completed => totals.completed += 1,
            ItemState::Skipped => totals.skipped += 1,
        }
        totals.without_trace += usize::from(item.trace.is_none());
        let given: Vec<_> = (0..facts.schemas.len())
            .map(|schema| ratings.of_item(nth, schema).len())
            .collect();
        totals.ratings += given.iter().sum::<usize>();
        totals.labeled += usize::from(given.iter().any(|count| *count > 0));
        totals.fully_labeled += usize::from(!given.is_empty() && given.iter().all(|count| *count > 0));
    }
    totals.done_share = share(totals.completed + totals.skipped, totals.items);
    totals
}

/// A part of a whole, 0 to 1; nothing of nothing is 0.
fn share(part: usize, whole: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of what is in memory")]
    let share = part as f64 / whole.max(1) as f64;
    share
}

#[cfg(test)]
mod tests;
