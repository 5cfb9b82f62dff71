//! Tests of what is told.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::*;

const NOW_NS: i64 = 1_795_557_600_123_456_789;

fn told() -> Story {
    tell(NOW_NS, "/demo/mlartifacts")
}

#[test]
fn every_span_lies_within_its_parent() {
    for trace in told().traces {
        let by_id: HashMap<_, _> = trace.spans.iter().map(|span| (span.id, span)).collect();
        assert_eq!(by_id.len(), trace.spans.len(), "{} has an id twice", trace.id());
        for span in &trace.spans {
            assert!(span.started_ns < span.ended_ns && span.ended_ns < NOW_NS);
            assert!(
                span.events
                    .iter()
                    .all(|event| (span.started_ns..=span.ended_ns).contains(&event.time_ns))
            );
            let Some(parent) = span.parent else {
                assert_eq!(
                    (span.started_ns, Some(span.ended_ns)),
                    (trace.started_ns, trace.ended_ns)
                );
                continue;
            };
            let Some(parent) = by_id.get(&parent) else {
                assert_eq!(trace.state, TraceState::InProgress);
                continue;
            };
            assert!(parent.started_ns < span.started_ns && span.ended_ns < parent.ended_ns);
        }
        let roots = trace.spans.iter().filter(|span| span.parent.is_none()).count();
        assert_eq!(roots, usize::from(trace.state != TraceState::InProgress));
    }
}

#[test]
fn every_text_of_a_span_is_json() {
    for trace in told().traces {
        for span in &trace.spans {
            let content: Value = serde_json::from_str(&span.content(&trace)).unwrap();
            let attributes = content["attributes"].as_object().unwrap();
            for (key, value) in attributes {
                serde_json::from_str::<Value>(value.as_str().unwrap())
                    .unwrap_or_else(|error| panic!("{key} of {}: {error}: {value}", span.name));
            }
            let trace_id: String =
                serde_json::from_str(attributes["mlflow.traceRequestId"].as_str().unwrap()).unwrap();
            assert_eq!(trace_id, trace.id());
        }
        for assessment in &trace.assessments {
            for text in [Some(&assessment.value), assessment.error.as_ref()]
                .into_iter()
                .flatten()
            {
                serde_json::from_str::<Value>(text).unwrap();
            }
        }
    }
}

#[test]
fn there_is_something_of_everything() {
    let story = told();
    let of_state = |state| story.traces.iter().filter(|trace| trace.state == state).count();
    assert_eq!(story.traces.len(), 60);
    assert_eq!(of_state(TraceState::Error), 4);
    assert_eq!(of_state(TraceState::InProgress), 1);

    let spans = || story.traces.iter().flat_map(|trace| &trace.spans);
    let types: BTreeSet<_> = spans().map(|span| span.kind).collect();
    let expected = [
        "AGENT",
        "CHAIN",
        "CHAT_MODEL",
        "EMBEDDING",
        "PARSER",
        "RERANKER",
        "RETRIEVER",
        "TOOL",
    ];
    assert!(types.iter().eq(&expected), "{types:?}");
    let exceptions = spans().flat_map(|span| &span.events);
    assert!(exceptions.filter(|event| event.name == "exception").count() >= 8);

    let ids: BTreeSet<_> = story.traces.iter().map(Trace::id).collect();
    assert_eq!(ids.len(), story.traces.len());
    let names: Vec<_> = story.named.keys().copied().collect();
    let expected = [
        "big",
        "conversation",
        "disputed",
        "failing",
        "german",
        "in_progress",
        "japanese",
        "recovered",
    ];
    assert_eq!(names, expected);
    assert!(story.named.values().all(|id| ids.contains(id)));
}

#[test]
fn the_digest_is_long_and_large() {
    let story = told();
    let digest = story
        .traces
        .iter()
        .find(|trace| trace.name == digest::NAME)
        .unwrap();
    let bytes: usize = digest.spans.iter().map(|span| span.content(digest).len()).sum();
    assert_eq!(digest.spans.len(), 120);
    assert!((900_000..1_200_000).contains(&bytes), "{bytes}");
}

#[test]
fn a_conversation_goes_on_where_it_was() {
    let story = told();
    let mut sessions: HashMap<_, Vec<&Trace>> = HashMap::new();
    for trace in &story.traces {
        if let Some(session) = &trace.session {
            sessions.entry(session).or_default().push(trace);
        }
    }
    let several = conversations::CONVERSATIONS.len() + languages::CONVERSATIONS.len();
    assert_eq!(sessions.len(), several);
    for turns in sessions.values() {
        assert!(turns.len() > 1);
        for pair in turns.windows(2) {
            let messages = |trace: &Trace| trace.inputs.get("messages").unwrap().items().to_vec();
            assert!(pair[0].ended_ns.unwrap() < pair[1].started_ns);
            assert!(messages(pair[1]).starts_with(&messages(pair[0])));
            assert_eq!(pair[0].user, pair[1].user);
        }
    }
}

#[test]
fn assessments_come_after_what_they_assess() {
    let story = told();
    for trace in &story.traces {
        for assessment in &trace.assessments {
            let ended_ms = trace.ended_ns.unwrap() / NS_PER_MS;
            assert!((ended_ms..=NOW_NS / NS_PER_MS).contains(&assessment.created_ms));
            let overridden = trace
                .assessments
                .iter()
                .find(|other| assessment.overrides.as_ref() == Some(&other.id));
            assert_eq!(overridden.is_some(), assessment.overrides.is_some());
            assert!(
                overridden.is_none_or(|other| !other.is_valid && other.created_ms < assessment.created_ms)
            );
        }
    }
    let run = &story.run;
    let of_run = story
        .traces
        .iter()
        .flat_map(|trace| &trace.assessments)
        .filter(|assessment| assessment.run_id.is_some());
    assert_eq!(run.links.len(), 20);
    assert_eq!(of_run.count(), 40);
    assert!(
        run.metrics
            .iter()
            .all(|(name, value)| !name.ends_with("correctness/mean") || (0.5..1.0).contains(value))
    );
}

#[test]
fn only_the_times_differ() {
    let (one, other) = (told(), tell(NOW_NS + 86_400_000_000_000, "/elsewhere"));
    let ids = |story: &Story| story.traces.iter().map(Trace::id).collect::<Vec<_>>();
    assert_eq!(ids(&one), ids(&other));
    assert_eq!(one.run.id, other.run.id);
    let shift = |at: usize| other.traces[at].started_ns - one.traces[at].started_ns;
    assert!((0..one.traces.len()).all(|at| shift(at) == 86_400_000_000_000));
}

#[test]
fn previews_and_metadata_are_as_short_as_mlflow_keeps_them() {
    for trace in told().traces {
        assert!(trace.request_preview().chars().count() <= 1_000);
        assert!(
            trace
                .response_preview()
                .is_none_or(|preview| preview.chars().count() <= 1_000)
        );
        let metadata = trace.metadata(&[]);
        assert!(metadata.iter().all(|(_, value)| value.chars().count() <= 250));
    }
}
