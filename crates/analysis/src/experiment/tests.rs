use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::digest::tests::{Made, chat, digested, facts, span};
use crate::insights::{Finding, Insights, InsightsOutcome};
use crate::report::tests::{hostile, structure};

const NOW_MS: i64 = 1_795_500_000_000;

/// A trace of these members and spans.
struct Trace {
    members: Value,
    spans: Vec<Made>,
}

fn trace(members: Value, spans: Vec<Made>) -> Trace {
    Trace { members, spans }
}

fn root() -> Made {
    span(1, None, "AGENT", "agent", (0, 100))
        .given(&chat(&[("user", "hi")]))
        .gives(&json!("done"))
}

fn fine() -> Trace {
    trace(json!({}), vec![root()])
}

fn sampled(traces: &[Trace]) -> Sampled {
    let mut sampled = Sampled::default();
    for (nth, trace) in traces.iter().enumerate() {
        let facts = facts(&format!("tr-{nth}"), &trace.members);
        sampled.add(&facts, &digested(&facts, &trace.spans));
    }
    sampled
}

fn analysed(traces: &[Trace]) -> ExperimentAnalysis {
    sampled(traces).analyse(&SummaryFacts {
        experiment_id: "7".into(),
        focus: "comprehensive".into(),
        read_at_ms: NOW_MS,
    })
}

fn issues(traces: &[Trace]) -> Vec<DetectedIssue> {
    analysed(traces).detected_issues
}

/// The only issue of these traces and of so many fine ones.
fn only_issue(traces: Vec<Trace>, fine_ones: usize) -> DetectedIssue {
    let mut all = traces;
    all.extend((0..fine_ones).map(|_| fine()));
    let mut found = issues(&all);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

fn ids(issue: &DetectedIssue) -> Vec<&str> {
    issue.example_traces.iter().map(TraceId::as_str).collect()
}

#[test]
fn nothing_is_found_where_all_is_well() {
    assert!(issues(&(0..12).map(|_| fine()).collect::<Vec<_>>()).is_empty());
    assert!(issues(&[]).is_empty());
}

#[test]
fn traces_that_fail_alike_are_one_issue() {
    let fails = |message: &str| trace(json!({"state": "ERROR"}), vec![root().fails("KeyError", message)]);
    let found = only_issue(vec![fails("no order 1"), fails("no order 2")], 8);
    assert_eq!(
        (found.issue_type.as_str(), found.severity),
        ("failing_traces", Severity::Critical)
    );
    assert_eq!(found.title, "20 % of traces fail with KeyError in agent");
    assert_eq!((found.affected_traces, ids(&found)), (2, vec!["tr-0", "tr-1"]));
    assert_eq!(
        found.problem_snippets,
        ["KeyError: no order 1", "KeyError: no order 2"]
    );
    let others = issues(&[fails("no order 1"), fails("no customer")]);
    assert_eq!(others.len(), 2);
    let untold = only_issue(vec![trace(json!({"state": "ERROR"}), Vec::new())], 39);
    assert_eq!(untold.severity, Severity::Medium);
}

#[test]
fn a_tool_fails_from_a_tenth_of_its_calls_on() {
    let calls = |failing: u64, all: u64| {
        let call =
            |nth| span(nth + 2, Some(1), "TOOL", "look_up", (nth, nth + 1)).given(&json!({"order": nth}));
        let fails = |nth| {
            if nth < failing {
                call(nth).fails("Timeout", "late")
            } else {
                call(nth)
            }
        };
        trace(
            json!({}),
            std::iter::once(root()).chain((0..all).map(fails)).collect(),
        )
    };
    let found = only_issue(vec![calls(2, 20)], 20);
    assert_eq!(
        (found.issue_type.as_str(), found.severity),
        ("failing_tool", Severity::Medium)
    );
    assert_eq!(found.title, "look_up fails in 10 % of its calls");
    assert_eq!(found.problem_snippets, ["Timeout: late"]);
    assert!(issues(&[calls(2, 21)]).is_empty());
    assert!(issues(&[calls(1, 2)]).is_empty());
}

#[test]
fn each_flaw_is_found_by_its_rule() {
    let same = |times: u64| {
        let call = |nth| span(nth + 2, Some(1), "TOOL", "search", (nth, nth + 1)).given(&json!({"q": "x"}));
        trace(
            json!({}),
            std::iter::once(root()).chain((0..times).map(call)).collect(),
        )
    };
    let found = only_issue(vec![same(2), same(3)], 9);
    assert_eq!(
        (found.issue_type.as_str(), ids(&found)),
        ("repeated_tool_calls", vec!["tr-1"])
    );
    assert_eq!(found.problem_snippets, ["3 × search"]);

    let silent = trace(
        json!({"request_preview": "hello?"}),
        vec![root().gives(&Value::Null)],
    );
    let found = only_issue(vec![silent], 9);
    assert_eq!(
        (found.issue_type.as_str(), found.severity),
        ("unanswered", Severity::High)
    );
    assert_eq!(found.problem_snippets, ["hello?"]);

    let retriever = || span(2, Some(1), "RETRIEVER", "r", (1, 2)).gives(&json!([]));
    let empty = || trace(json!({}), vec![root(), retriever()]);
    assert!(issues(&[empty()]).is_empty());
    assert_eq!(only_issue(vec![empty(), empty()], 3).severity, Severity::High);

    let model = span(2, Some(1), "CHAT_MODEL", "m", (1, 2)).gives(&json!({"stop_reason": "max_tokens"}));
    let found = only_issue(vec![trace(json!({}), vec![root(), model])], 11);
    assert_eq!(
        (found.issue_type.as_str(), found.severity),
        ("cut_answers", Severity::Low)
    );

    let begun = |time: &str| {
        trace(
            json!({"state": "IN_PROGRESS", "request_time": time}),
            vec![root()],
        )
    };
    let (long_ago, just_now) = (begun("2026-11-20T00:00:00Z"), begun("2026-11-24T13:59:00Z"));
    let found = only_issue(vec![long_ago, just_now], 10);
    assert_eq!(
        (found.issue_type.as_str(), ids(&found)),
        ("stuck_traces", vec!["tr-0"])
    );
}

#[test]
fn far_longer_than_the_others_is_slow() {
    let takes = |ms: u64| trace(json!({"execution_duration_ms": ms}), vec![root()]);
    let mut traces: Vec<_> = (0..10).map(|nth| takes(400 + nth)).collect();
    traces.push(takes(999));
    assert!(issues(&traces).is_empty(), "no second is slow");
    traces.push(takes(5000));
    let found = issues(&traces);
    assert_eq!(
        (found[0].issue_type.as_str(), ids(&found[0])),
        ("slow_traces", vec!["tr-11"])
    );
    assert!(
        issues(&[takes(1), takes(1), takes(60_000)]).is_empty(),
        "too few to say"
    );
    let uses = |tokens: u64| {
        let usage = json!({"total_tokens": tokens}).to_string();
        trace(
            json!({"trace_metadata": {"mlflow.trace.tokenUsage": usage}}),
            vec![root()],
        )
    };
    let mut traces: Vec<_> = (0..10).map(|_| uses(100)).collect();
    traces.push(uses(9000));
    assert_eq!(issues(&traces)[0].issue_type, "many_tokens");
}

#[test]
fn bad_judgements_count_from_a_fifth_on() {
    let judged = |value: Value| {
        let assessment = json!({
            "name": "correct", "source": {"source_type": "HUMAN", "source_id": "ann"}, "feedback": {"value": value},
            "rationale": "the order was not looked up",
        });
        trace(json!({"assessments": [assessment]}), vec![root()])
    };
    let traces = |bad: usize, good: usize| {
        let bad = (0..bad).map(|nth| judged(if nth == 0 { json!(false) } else { json!("No") }));
        bad.chain((0..good).map(|_| judged(json!("yes"))))
            .collect::<Vec<_>>()
    };
    let found = only_issue(traces(2, 8), 0);
    assert_eq!(
        (found.issue_type.as_str(), found.severity),
        ("bad_judgements", Severity::High)
    );
    assert_eq!(found.problem_snippets, ["the order was not looked up"]);
    assert!(issues(&traces(2, 9)).is_empty() && issues(&traces(1, 1)).is_empty());
    // What is neither good nor bad by itself is not judged here.
    assert!(issues(&[judged(json!(1)), judged(json!("maybe")), judged(json!(1))]).is_empty());
}

#[test]
fn schemas_are_recommended_for_what_is_seen() {
    let keys = |traces: &[Trace]| -> Vec<String> {
        let schemas = analysed(traces).schemas_with_label_types;
        for schema in &schemas {
            schema.definition.check().unwrap();
            assert!(!schema.grounded_in_traces.is_empty(), "{}", schema.key);
        }
        schemas.into_iter().map(|schema| schema.key).collect()
    };
    assert_eq!(keys(&[]), Vec::<String>::new());
    assert_eq!(keys(&[fine()]), ["answer_correctness", "expected_response"]);
    let asked = chat(&[("user", "a"), ("assistant", "b"), ("user", "c")]);
    let agent = span(1, None, "AGENT", "agent", (0, 9))
        .given(&asked)
        .gives(&Value::Null);
    let tool = |id| span(id, Some(1), "TOOL", "t", (id, id + 1)).given(&json!({}));
    let retriever = span(9, Some(1), "RETRIEVER", "r", (1, 2)).gives(&json!([]));
    let spans = vec![agent, tool(2), tool(3), tool(4).fails("E", "x"), retriever];
    let mut all = keys(&[trace(json!({}), spans)]);
    all.sort();
    assert_eq!(
        all,
        [
            "answer_correctness",
            "completeness",
            "context_retention",
            "efficiency",
            "error_handling",
            "expected_response",
            "groundedness",
            "helpfulness",
            "retrieval_relevance",
            "tool_choice",
        ]
    );
}

#[test]
fn what_a_model_adds_keeps_to_the_rules_of_schemas() {
    let mut analysis = analysed(&[fine()]);
    let schema = |key: &str, options: &[&str]| {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let question = schemas::Question {
            key: key.to_owned(),
            label_type: LabelSchemaType::Feedback,
            name: "Is it?".to_owned(),
            description: "Look.".to_owned(),
            input: schemas::Input::Options(options),
        };
        RecommendedSchema::new(question, "because".to_owned(), 255, Vec::new(), Source::Model)
    };
    analysis.add_schema(schema("tone", &["good", "bad"]));
    analysis.add_schema(schema("tone", &["other"]));
    analysis.add_schema(schema("answer_correctness", &["x"]));
    analysis.add_schema(schema("twice", &["same", "same"]));
    let keys: Vec<_> = analysis
        .schemas_with_label_types
        .iter()
        .map(|schema| schema.key.as_str())
        .collect();
    assert_eq!(keys, ["tone", "answer_correctness", "expected_response"]);
    assert_eq!(analysis.schemas_with_label_types[0].priority_score, 100);
}

fn link(id: &TraceId) -> String {
    format!("http://host/traces/{id}")
}

/// Traces in which this text stands wherever a text can stand.
fn told(text: &str) -> String {
    let call = |id| {
        span(id, Some(1), "TOOL", text, (id, id + 1))
            .given(&json!({ text: text }))
            .fails(text, text)
    };
    let judged = json!({
        "name": text, "source": {"source_type": "HUMAN", "source_id": text}, "feedback": {"value": "no"}, "rationale": text,
    });
    let members = json!({
        "state": "ERROR", "request_preview": text, "response_preview": text, "assessments": [judged],
        "trace_metadata": {"mlflow.trace.session": text},
    });
    let root = || {
        span(1, None, text, text, (0, 9))
            .given(&json!(text))
            .gives(&json!(text))
            .fails(text, text)
    };
    let traces = || trace(members.clone(), vec![root(), call(2), call(3), call(4)]);
    let silent = trace(
        json!({"request_preview": text}),
        vec![span(1, None, text, text, (0, 1)).gives(&Value::Null)],
    );
    let mut analysis = analysed(&[traces(), traces(), silent]);
    analysis.focus = text.to_owned();
    analysis.add_issue(DetectedIssue {
        issue_type: text.to_owned(),
        severity: Severity::Low,
        title: text.to_owned(),
        description: text.to_owned(),
        affected_traces: 1,
        example_traces: vec!["tr-1".parse().unwrap()],
        problem_snippets: vec![text.to_owned()],
        source: Source::Model,
    });
    let insights = Insights {
        model: text.into(),
        summary: text.into(),
        findings: vec![Finding {
            title: text.into(),
            detail: text.into(),
            trace_ids: Vec::new(),
        }],
        recommendations: vec![text.into()],
    };
    report(&analysis, &link, &InsightsOutcome::Given(insights))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_text_of_a_trace_changes_what_the_report_is_made_of(text in hostile()) {
        prop_assume!(text.chars().any(char::is_alphanumeric));
        // With a number in it, it would be another kind of error; without, the same.
        let text = format!("x{}x", text.replace(|letter: char| letter.is_ascii_digit(), "n"));
        prop_assert_eq!(structure(&told(&text)), structure(&told("xnx")), "{}", told(&text));
    }
}

#[test]
fn a_report_reads_as_it_is_meant() {
    let usage = json!({"input_tokens": 70, "output_tokens": 30, "total_tokens": 100}).to_string();
    let metadata =
        json!({"trace_metadata": {"mlflow.trace.tokenUsage": usage, "mlflow.trace.session": "s-1"}});
    let tool = |id| span(id, Some(1), "TOOL", "look_up", (10, 30)).given(&json!({"order": id}));
    let failing = trace(
        json!({"state": "ERROR", "request_preview": "Where is 4711?"}),
        vec![
            root().fails("KeyError", "no order 4711"),
            tool(2).fails("KeyError", "no order 4711"),
            tool(3).fails("Timeout", "late"),
        ],
    );
    let analysis = analysed(&[
        failing,
        trace(metadata.clone(), vec![root(), tool(2)]),
        trace(metadata, vec![root()]),
    ]);
    insta::assert_snapshot!(report(
        &analysis,
        &link,
        &InsightsOutcome::Absent("no model is configured".into())
    ));
    insta::assert_json_snapshot!(analysis);
}

#[test]
fn a_model_is_shown_trouble_first_and_little_of_each_trace() {
    let long = "x".repeat(10_000);
    let failing = trace(
        json!({"state": "ERROR", "request_preview": long}),
        vec![root().fails("KeyError", &long)],
    );
    let excerpts = sampled(&[fine(), failing]).excerpts();
    assert_eq!(
        (&excerpts[0]["trace_id"], &excerpts[1]["trace_id"]),
        (&json!("tr-1"), &json!("tr-0"))
    );
    assert!(excerpts[0].to_string().len() < 1500, "{}", excerpts[0]);
}
