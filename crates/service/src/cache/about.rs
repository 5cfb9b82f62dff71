//! What each answer is about: the things whose writing makes it old.

use super::key::{RawKey, Subject};
use super::touch::{Thing, Touches};
use super::{Entry, Kept};
use crate::traces::RUN_WORDS;
use std::time::Instant;

impl Touches {
    /// Whether nothing that the entry is about was touched since it was asked for.
    pub(super) fn leave_current(&self, key: &RawKey, entry: &Entry) -> bool {
        let is_untouched = |thing: Thing| self.is_untouched(&thing, entry.asked_at);
        self.none_since(entry.asked_at)
            || match &entry.value {
                Kept::Page(page) => {
                    self.leave_search(key, entry.asked_at)
                        && page.trace_ids().all(|id| is_untouched(Thing::Trace(id.clone())))
                }
                _ => self.leave_subject(key, entry.asked_at),
            }
    }

    /// Whether a call under way since `begun` may be joined. What a search will find is not known yet, so that any
    /// write makes it too old.
    pub(super) fn leave_joinable(&self, key: &RawKey, begun: Instant) -> bool {
        self.none_since(begun)
            || match key.subject() {
                Subject::Search(_) => false,
                _ => self.leave_subject(key, begun),
            }
    }

    fn leave_subject(&self, key: &RawKey, since: Instant) -> bool {
        let is_untouched = |thing: Thing| self.is_untouched(&thing, since);
        match key.subject() {
            Subject::Info(id) => is_untouched(Thing::Trace(id.clone())),
            Subject::Infos(ids) => ids.iter().all(|id| is_untouched(Thing::Trace(id.clone()))),
            Subject::Run(id) | Subject::Artifact(id, _) => is_untouched(Thing::Run(id.clone())),
            Subject::SearchRuns(_) => is_untouched(Thing::AnyRun),
            Subject::Reach(_) => is_untouched(Thing::Assignments),
            Subject::Search(_) => self.leave_search(key, since),
            // Nothing that we write changes these; of patterns the traces, not what is said of them.
            Subject::Spans(_)
            | Subject::SpanSummaries(_)
            | Subject::Experiment(_)
            | Subject::CurrentUser
            | Subject::Patterns(..)
            | Subject::Encoded(..) => true,
        }
    }

    /// Whether no write since then can make the search find other traces.
    fn leave_search(&self, key: &RawKey, since: Instant) -> bool {
        let Subject::Search(search) = key.subject() else {
            return true;
        };
        // Told by the words alone, in any case: at worst an answer is fetched once more than needed.
        let filter = search.filter.as_deref().unwrap_or_default().to_ascii_lowercase();
        let mentions = |words: &[&str]| words.iter().any(|word| filter.contains(word));
        let is_untouched =
            |words: &[&str], thing: &Thing| !mentions(words) || self.is_untouched(thing, since);
        is_untouched(
            &["feedback", "expectation", "assessment", "issue"],
            &Thing::AnyAssessment,
        ) && is_untouched(&RUN_WORDS, &Thing::AnyLink)
    }
}
