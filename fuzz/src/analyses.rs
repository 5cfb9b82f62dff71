//! Traces of any spans, analysed: each is counted, and the report is one.

use analysis::digest::TraceDigest;
use analysis::experiment::{Sampled, SummaryFacts, report};
use analysis::facts::TraceFacts;
use analysis::insights::InsightsOutcome;
use analysis::patterns::Patterns;
use domain::span::SpanView;
use serde_json::json;

/// The first line is what is known of the trace, where it is that; each further line a span.
pub(super) fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let facts = lines
        .next()
        .and_then(|line| TraceFacts::parse(line.as_bytes()).ok());
    let bare = json!({"trace_id": "tr-1", "state": "OK", "request_time": "2026-11-23T18:09:36.829Z"});
    let Some(facts) = facts.or_else(|| serde_json::from_value(bare).ok()) else {
        unreachable!("facts as they are least are facts");
    };
    let (mut sampled, mut totals) = (Sampled::default(), analysis::digest::Totals::default());
    let mut digest = TraceDigest::new(&facts);
    let spans: Vec<_> = lines.collect();
    for span in &spans {
        digest.add(SpanView::parse(span).ok().as_ref());
    }
    assert_eq!(digest.spans, spans.len() as u64);
    // Twice the same: nothing hangs on what was before.
    for _ in 0..2 {
        totals.add(&digest);
        sampled.add(&facts, &digest);
    }
    assert_eq!((totals.traces, totals.spans), (2, 2 * digest.spans));
    assert!(serde_json::to_string(&Patterns::of(&totals, 0)).is_ok());
    let found = sampled.analyse(&SummaryFacts {
        experiment_id: "1".to_owned(),
        focus: text.chars().take(500).collect(),
        read_at_ms: i64::MAX,
    });
    for schema in &found.schemas_with_label_types {
        assert!(
            schema.definition.check().is_ok(),
            "a recommended schema can be made"
        );
    }
    let markdown = report(
        &found,
        &|id| format!("/{id}"),
        &InsightsOutcome::Absent(String::new()),
    );
    // No text of a span begins a section.
    let sections = markdown.lines().filter(|line| line.starts_with("## ")).count();
    assert_eq!(sections, 5, "insights, issues, schemas, figures and method");
}
