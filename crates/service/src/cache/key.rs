//! The one place that builds a cache key.

use std::marker::PhantomData;
use std::sync::Arc;

use domain::{ExperimentId, RunId, TraceId};
use domain::{SearchRuns, SearchTraces};

use crate::access::Reach;
use crate::analyses::Artifact;
use crate::answer::Fingerprint;
use crate::encoded::{Coding, Encoded};
use crate::records::{Document, UserDocument};
use crate::spans::SpanSet;
use crate::traces::{InfoEntry, InfoList, SearchPage};

/// Whose view of the data an entry is: the identity that the upstream calls are made with.
///
/// Two requests may share an entry, or a call under way, only when the upstream would see the same identity. What a
/// user may see of it is decided above the cache, on every request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope(Arc<str>);

impl Scope {
    /// The scope of an upstream identity, named by a text that tells it from all others and is no secret.
    pub fn new(identity: &str) -> Self {
        Self(identity.into())
    }

    /// The scope of a user with a token of their own. Both count: a name is only as good as the one who vouches for it, and it
    /// is the token that the upstream judges. Of the token only a digest is held, of which nobody can tell the token.
    pub fn of_user(name: &str, token_digest: [u8; 32]) -> Self {
        use std::fmt::Write;
        let mut identity = String::with_capacity(2 * token_digest.len() + 1 + name.len());
        for byte in token_digest {
            // Writing to a text does not fail.
            let _ = write!(identity, "{byte:02x}");
        }
        // The digest has one length: whatever the name is, two pairs never make one text.
        identity.push(' ');
        identity.push_str(name);
        Self(identity.into())
    }
}

/// What an entry is about. One variant per kind of answer, each with all that the answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Info(TraceId),
    Infos(Arc<[TraceId]>),
    Spans(TraceId),
    SpanSummaries(TraceId),
    Search(Arc<SearchTraces>),
    Experiment(ExperimentId),
    Run(RunId),
    SearchRuns(Arc<SearchRuns>),
    CurrentUser,
    /// A file of a run.
    Artifact(RunId, Arc<str>),
    /// What the newest traces of an experiment, as many, say together.
    Patterns(ExperimentId, u32),
    /// What content of this fingerprint, and of so many bytes, is in this coding.
    Encoded(Fingerprint, usize, Coding),
    /// What somebody who goes by these names reaches.
    Reach(Arc<[String]>),
}

/// A cache key, the type of its value forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RawKey {
    scope: Scope,
    subject: Subject,
}

impl RawKey {
    /// Rights never do: who lost them must not have them back because somebody does not answer. An encoding asks nobody.
    pub(super) fn may_outlive_its_time(&self) -> bool {
        !matches!(self.subject, Subject::Reach(_) | Subject::Encoded(..))
    }

    /// Whether it is an answer of the source that is as good as new while the source is in the same state. Rights are not:
    /// they hang on more than the source. Spans neither: how long they are good hangs on what else is known of their trace.
    pub(super) fn is_of_source_state(&self) -> bool {
        match self.subject {
            Subject::Info(_)
            | Subject::Infos(_)
            | Subject::Search(_)
            | Subject::Experiment(_)
            | Subject::Run(_)
            | Subject::SearchRuns(_) => true,
            Subject::Spans(_)
            | Subject::SpanSummaries(_)
            | Subject::CurrentUser
            | Subject::Artifact(..)
            | Subject::Patterns(..)
            | Subject::Encoded(..)
            | Subject::Reach(_) => false,
        }
    }

    pub(super) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Bytes that a user can make a key hold; what every key holds is counted elsewhere.
    pub(super) fn weight(&self) -> usize {
        let texts = |filter: &Option<String>, token: &Option<String>, order: &[String]| {
            let options: usize = [filter, token].into_iter().flatten().map(String::len).sum();
            options
                + order
                    .iter()
                    .map(|order| order.len() + size_of::<String>())
                    .sum::<usize>()
        };
        match &self.subject {
            Subject::Search(search) => {
                let experiments = search.experiment_ids.len() * (size_of::<ExperimentId>() + 32);
                experiments + texts(&search.filter, &search.page_token, &search.order_by)
            }
            Subject::SearchRuns(search) => {
                let experiments = search.experiment_ids.len() * (size_of::<ExperimentId>() + 32);
                experiments + texts(&search.filter, &search.page_token, &search.order_by)
            }
            Subject::Artifact(_, path) => path.len(),
            Subject::Infos(ids) => ids.len() * (size_of::<TraceId>() + 64),
            Subject::Reach(names) => names.iter().map(|name| name.len() + size_of::<String>()).sum(),
            Subject::Info(_)
            | Subject::Spans(_)
            | Subject::SpanSummaries(_)
            | Subject::Experiment(_)
            | Subject::Run(_)
            | Subject::CurrentUser
            | Subject::Patterns(..)
            | Subject::Encoded(..) => 0,
        }
    }
}

/// A cache key for values of type `V`.
#[derive(Debug)]
pub(crate) struct Key<V> {
    pub(super) raw: RawKey,
    value: PhantomData<fn() -> V>,
}

impl<V> Key<V> {
    /// The key, the type of its value forgotten.
    pub(crate) fn raw(&self) -> &RawKey {
        &self.raw
    }
}

impl<V> Clone for Key<V> {
    fn clone(&self) -> Self {
        Self {
            raw: self.raw.clone(),
            value: PhantomData,
        }
    }
}

/// Builds the keys of one scope.
#[derive(Debug, Clone)]
pub(crate) struct Keys(Scope);

impl Keys {
    pub(crate) fn of(scope: Scope) -> Self {
        Self(scope)
    }

    fn key<V>(&self, subject: Subject) -> Key<V> {
        Key {
            raw: RawKey {
                scope: self.0.clone(),
                subject,
            },
            value: PhantomData,
        }
    }

    pub(crate) fn info(&self, id: &TraceId) -> Key<Arc<InfoEntry>> {
        self.key(Subject::Info(id.clone()))
    }

    /// A call under way for many infos; only its parts are cached, each under its own key.
    pub(crate) fn infos(&self, ids: Arc<[TraceId]>) -> Key<Arc<InfoList>> {
        self.key(Subject::Infos(ids))
    }

    pub(crate) fn spans(&self, id: &TraceId) -> Key<Arc<SpanSet>> {
        self.key(Subject::Spans(id.clone()))
    }

    pub(crate) fn span_summaries(&self, id: &TraceId) -> Key<Arc<SpanSet>> {
        self.key(Subject::SpanSummaries(id.clone()))
    }

    pub(crate) fn search(&self, search: SearchTraces) -> Key<Arc<SearchPage>> {
        self.key(Subject::Search(Arc::new(search)))
    }

    pub(crate) fn experiment(&self, id: &ExperimentId) -> Key<Arc<Document>> {
        self.key(Subject::Experiment(id.clone()))
    }

    pub(crate) fn run(&self, id: &RunId) -> Key<Arc<Document>> {
        self.key(Subject::Run(id.clone()))
    }

    pub(crate) fn search_runs(&self, search: SearchRuns) -> Key<Arc<Document>> {
        self.key(Subject::SearchRuns(Arc::new(search)))
    }

    /// `names` are lower-cased, sorted and different.
    pub(crate) fn reach(&self, names: Arc<[String]>) -> Key<Arc<Reach>> {
        self.key(Subject::Reach(names))
    }

    pub(crate) fn encoded(&self, of: Fingerprint, bytes: usize, coding: Coding) -> Key<Arc<Encoded>> {
        self.key(Subject::Encoded(of, bytes, coding))
    }

    pub(crate) fn artifact(&self, run: &RunId, path: &str) -> Key<Arc<Artifact>> {
        self.key(Subject::Artifact(run.clone(), path.into()))
    }

    pub(crate) fn patterns(&self, id: &ExperimentId, traces: u32) -> Key<Arc<Document>> {
        self.key(Subject::Patterns(id.clone(), traces))
    }

    pub(crate) fn current_user(&self) -> Key<Arc<UserDocument>> {
        self.key(Subject::CurrentUser)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn search() -> impl Strategy<Value = SearchTraces> {
        let text = "[a-c]{0,2}";
        (
            proptest::collection::vec("[1-9][0-9]?".prop_map(|id| id.parse().unwrap()), 0..3),
            proptest::option::of(text),
            1_u32..4,
            proptest::collection::vec(text, 0..3),
            proptest::option::of(text),
        )
            .prop_map(
                |(experiment_ids, filter, max_results, order_by, page_token)| SearchTraces {
                    experiment_ids,
                    filter,
                    max_results,
                    order_by,
                    page_token,
                },
            )
    }

    /// Whom the upstream sees: this server, or a user by name and token.
    fn identity() -> impl Strategy<Value = Option<(String, u8)>> {
        proptest::option::of(("[ab ]{0,2}", 0_u8..3))
    }

    fn scope_of(identity: Option<&(String, u8)>) -> Scope {
        match identity {
            None => Scope::new("http://mlflow with no credentials"),
            Some((name, token)) => Scope::of_user(name, [*token; 32]),
        }
    }

    /// One of each kind of request.
    type Asked = (u8, String, SearchTraces);

    fn key_of(keys: &Keys, (kind, id, search): &Asked) -> RawKey {
        match kind {
            0 => keys.info(&id.parse().unwrap()).raw,
            1 => keys.infos([id.parse().unwrap()].into()).raw,
            2 => keys.spans(&id.parse().unwrap()).raw,
            3 => keys.span_summaries(&id.parse().unwrap()).raw,
            4 => keys.experiment(&"7".parse().unwrap()).raw,
            5 => keys.run(&id.parse().unwrap()).raw,
            6 => keys.reach([id.clone()].into()).raw,
            7 => keys.current_user().raw,
            8 => keys.artifact(&"r".parse().unwrap(), id).raw,
            9 => keys.artifact(&id.parse().unwrap(), "p").raw,
            10 => keys.patterns(&"7".parse().unwrap(), search.max_results).raw,
            _ => keys.search(search.clone()).raw,
        }
    }

    /// What of a request its key depends on.
    fn meant((kind, id, search): &Asked) -> (u8, Option<String>, Option<SearchTraces>) {
        match kind {
            4 | 7 => (*kind, None, None),
            0..10 => (*kind, Some(id.clone()), None),
            10 => (*kind, Some(search.max_results.to_string()), None),
            _ => (*kind, None, Some(search.clone())),
        }
    }

    proptest! {
        #[test]
        fn an_entry_is_shared_only_by_equal_requests_of_one_identity(
            a in (identity(), (0_u8..12, "[ab]", search())),
            b in (identity(), (0_u8..12, "[ab]", search())),
        ) {
            let [of_a, of_b] = [&a, &b].map(|(who, asked)| key_of(&Keys::of(scope_of(who.as_ref())), asked));
            prop_assert_eq!(of_a == of_b, (&a.0, meant(&a.1)) == (&b.0, meant(&b.1)));
        }

        #[test]
        fn two_scopes_never_share_a_key(a in "[a-b]{0,3}", b in "[a-b]{0,3}", search in search()) {
            let [first, second] = [&a, &b].map(|scope| Keys::of(Scope::new(scope)).search(search.clone()).raw);
            prop_assert_eq!(first == second, a == b);
        }

        #[test]
        fn two_searches_share_a_key_only_when_they_are_equal(a in search(), b in search()) {
            let keys = Keys::of(Scope::new("s"));
            prop_assert_eq!(keys.search(a.clone()).raw == keys.search(b.clone()).raw, a == b);
        }

        #[test]
        fn kinds_of_answers_about_one_trace_do_not_collide(id in "[a-z]{1,8}") {
            let (keys, id) = (Keys::of(Scope::new("s")), id.parse().unwrap());
            let all = [keys.info(&id).raw, keys.spans(&id).raw, keys.span_summaries(&id).raw, keys.infos([id].into()).raw];
            let distinct: std::collections::HashSet<_> = all.iter().collect();
            prop_assert_eq!(distinct.len(), all.len());
        }
    }
}
