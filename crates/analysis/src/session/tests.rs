use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::insights::{Finding, Insights, InsightsOutcome};
use crate::report::tests::{hostile, structure};

const MINUTE: i64 = 60_000;

/// What a reviewer gave to the item of this number, in this minute.
type Given<'a> = (usize, &'a str, &'a str, Value, i64);

fn schemas() -> Vec<LabelSchema> {
    let schemas = json!([
        {"name": "correct", "type": "FEEDBACK", "title": "Is it correct?", "categorical": {"options": ["yes", "partly", "no"]}},
        {"name": "tone", "type": "FEEDBACK", "title": "How friendly?", "numeric": {"min_value": 1, "max_value": 5}},
        {"name": "problems", "type": "FEEDBACK", "title": "What is wrong?", "categorical_list": {"options": ["fact", "length"]}},
        {"name": "answer", "type": "EXPECTATION", "title": "What should it say?", "text": {}},
        {"name": "sources", "type": "EXPECTATION", "title": "From where?", "text_list": {}},
    ]);
    serde_json::from_value(schemas).unwrap()
}

fn assessment((_, by, name, value, minute): &Given<'_>) -> Value {
    json!({
        "name": name, "source": {"source_type": "HUMAN", "source_id": by}, "feedback": {"value": value},
        "create_time_ms": minute * MINUTE, "last_update_time_ms": minute * MINUTE,
        "rationale": format!("because of {value}"), "valid": true,
    })
}

fn item(nth: usize, given: &[Given<'_>]) -> ItemFacts {
    let assessments: Vec<_> = given
        .iter()
        .filter(|given| given.0 == nth)
        .map(assessment)
        .collect();
    let trace = json!({
        "trace_id": format!("tr-{nth}"), "state": "OK", "request_time": "2026-11-23T18:09:36.829Z",
        "assessments": assessments, "request_preview": format!("question {nth}"),
    });
    ItemFacts {
        trace_id: Some(format!("tr-{nth}").parse().unwrap()),
        state: if assessments.is_empty() {
            ItemState::Pending
        } else {
            ItemState::Completed
        },
        labels: BTreeMap::new(),
        last_updated_by: Some("ann@example.com".into()),
        last_update_time_ms: Some(0),
        trace: Some(serde_json::from_value(trace).unwrap()),
    }
}

fn session(items: usize, given: &[Given<'_>]) -> SessionFacts {
    SessionFacts {
        session_id: "s1".into(),
        name: "Week 47".into(),
        run_id: "r1".into(),
        experiment_id: "1".into(),
        assigned_users: vec!["Ann@example.com".into(), "bob@example.com".into()],
        schemas: schemas(),
        items: (0..items).map(|nth| item(nth, given)).collect(),
        read_at_ms: 0,
    }
}

fn analysed(facts: &SessionFacts) -> Value {
    serde_json::to_value(analyse(facts)).unwrap()
}

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";

#[test]
fn counts_are_those_of_a_session_counted_by_hand() {
    let found = analysed(&session(
        4,
        &[
            (0, ANN, "correct", json!("yes"), 1),
            (1, ANN, "correct", json!("no"), 3),
            (2, ANN, "correct", json!("yes"), 50),
            (0, BOB, "correct", json!("yes"), 1),
            (1, BOB, "correct", json!("yes"), 2),
            (0, "eve", "correct", json!("maybe"), 9),
            (0, ANN, "tone", json!(4), 1),
            (0, BOB, "tone", json!("2.5"), 1),
            (1, BOB, "tone", json!({"x": 1}), 1),
        ],
    ));
    assert_eq!(found["totals"]["items"], 4);
    assert_eq!(found["totals"]["labeled"], 3);
    assert_eq!(found["totals"]["ratings"], 9);
    assert_eq!(found["totals"]["done_share"], 0.75);
    let correct = &found["schemas"][0];
    assert_eq!(
        (
            &correct["ratings"],
            &correct["items_rated"],
            &correct["items_missing"]
        ),
        (&json!(6), &json!(3), &json!(1))
    );
    assert_eq!(
        correct["distribution"]["options"],
        json!([
            {"option": "yes", "count": 4, "share": 4.0 / 6.0, "is_offered": true},
            {"option": "partly", "count": 0, "share": 0.0, "is_offered": true},
            {"option": "no", "count": 1, "share": 1.0 / 6.0, "is_offered": true},
            {"option": "maybe", "count": 1, "share": 1.0 / 6.0, "is_offered": false},
        ])
    );
    // Of the pairs yes-yes, yes-maybe, yes-maybe, no-yes one is equal.
    assert_eq!(correct["agreement"]["percent_agreement"], 0.25);
    assert_eq!(
        (&correct["agreement"]["items"], &correct["agreement"]["reviewers"]),
        (&json!(2), &json!(3))
    );
    let tone = &found["schemas"][1];
    assert_eq!((&tone["ratings"], &tone["unreadable"]), (&json!(3), &json!(1)));
    assert_eq!(tone["distribution"]["numbers"]["mean"], 3.25);
    assert_eq!(found["disagreements"]["total"], 3);
    // Numbers that are as far apart as any come first, then more different answers.
    let first = &found["disagreements"]["shown"][0];
    assert_eq!(
        (&first["schema"], &first["trace_id"]),
        (&json!("tone"), &json!("tr-0"))
    );
    assert_eq!(
        first["opinions"][1],
        json!({"reviewer": BOB, "answer": "2.5", "rationale": "because of \"2.5\""})
    );
}

#[test]
fn reviewers_are_told_how_far_they_are_and_how_long_it_takes() {
    let names = ["correct", "tone", "problems", "answer", "sources"];
    let mut given: Vec<Given<'_>> = Vec::new();
    for (item, minute) in [(0, 0), (1, 2), (2, 6), (3, 90)] {
        given.extend(names.map(|name| (item, ANN, name, json!("yes"), minute)));
    }
    given.push((4, ANN, "correct", json!("no"), 91));
    let found = analysed(&session(6, &given));
    let reviewers: HashMap<_, _> = found["reviewers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reviewer| (reviewer["name"].as_str().unwrap(), reviewer))
        .collect();
    // By their name as it is assigned, in any case.
    let ann = reviewers["Ann@example.com"];
    assert_eq!(
        [
            &ann["items_complete"],
            &ann["items_partial"],
            &ann["items_missing"]
        ],
        [&json!(4), &json!(1), &json!(1)]
    );
    assert_eq!(ann["is_assigned"], true);
    // 2, 4 and 1 minutes; 84 are a pause.
    assert_eq!(ann["time_per_item"]["median_ms"], 120_000.0);
    assert_eq!(ann["time_per_item"]["items"], 3);
    let bob = reviewers[BOB];
    assert_eq!(
        (&bob["items_missing"], &bob["time_per_item"], &bob["first_label"]),
        (&json!(6), &Value::Null, &Value::Null)
    );
}

#[test]
fn the_newest_valid_word_of_a_person_counts() {
    let mut facts = session(
        1,
        &[
            (0, ANN, "correct", json!("no"), 5),
            (0, "ANN@example.com", "correct", json!("yes"), 7),
            (0, ANN, "correct", json!("partly"), 6),
            (0, BOB, "correct", json!("no"), 8),
            (0, "judge", "correct", json!("no"), 9),
            (0, "eve", "correct", Value::Null, 9),
        ],
    );
    let assessments = &mut facts.items[0].trace.as_mut().unwrap().assessments;
    assessments[3].valid = false;
    assessments[4].source.source_type = "LLM_JUDGE".into();
    let found = analysed(&facts);
    assert_eq!(found["schemas"][0]["ratings"], 1);
    assert_eq!(found["schemas"][0]["distribution"]["options"][0]["count"], 1);
    assert_eq!(
        found["schemas"][0]["agreement"]["why_none"],
        "no item was rated by two reviewers"
    );
}

#[test]
fn the_label_of_an_item_counts_where_nobody_assessed_its_trace() {
    let mut facts = session(2, &[(0, BOB, "correct", json!("no"), 5)]);
    let label = |value: &str| serde_json::from_value(json!({"value": value, "comment": "so it is"})).unwrap();
    for item in &mut facts.items {
        item.labels = [
            ("correct".to_owned(), label("yes")),
            ("unknown".to_owned(), label("x")),
        ]
        .into();
    }
    let found = analysed(&facts);
    let correct = &found["schemas"][0];
    assert_eq!(
        (&correct["ratings"], &correct["items_rated"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(correct["distribution"]["options"][0]["count"], 1);
    assert_eq!(correct["rationales"][1]["text"], "so it is");
}

#[test]
fn two_reviewers_are_told_cohens_kappa_and_more_another() {
    let words = |by: &'static str, answers: &[&'static str]| -> Vec<Given<'static>> {
        let given = answers.iter().enumerate();
        given
            .map(|(nth, answer)| (nth, by, "correct", json!(answer), 1))
            .collect()
    };
    let mut given = words(ANN, &["yes", "yes", "no", "no"]);
    given.extend(words(BOB, &["yes", "no", "no", "no"]));
    let found = analysed(&session(4, &given));
    // p_o = 3/4, p_e = (2·1 + 2·3)/16.
    let kappa = found["schemas"][0]["agreement"]["cohens_kappa"].as_f64().unwrap();
    assert!((kappa - 0.5).abs() < 1e-12, "{kappa}");
    assert_eq!(found["schemas"][0]["agreement"]["fleiss_kappa"], Value::Null);
    given.extend(words("eve", &["yes", "yes", "no", "yes"]));
    let found = analysed(&session(4, &given));
    let agreement = &found["schemas"][0]["agreement"];
    assert!(
        agreement["cohens_kappa"].is_null() && agreement["fleiss_kappa"].is_f64(),
        "{agreement}"
    );
    assert_eq!(agreement["alpha_metric"], "nominal");
    assert!(agreement["interpretation"].is_string());
}

#[test]
fn whole_numbers_are_counted_each_and_others_in_ranges() {
    let histogram = |numbers: &[f64]| {
        let given: Vec<Given<'_>> = numbers
            .iter()
            .enumerate()
            .map(|(nth, number)| (nth, ANN, "tone", json!(number), 1))
            .collect();
        let found = analysed(&session(numbers.len(), &given));
        let bins = found["schemas"][1]["distribution"]["numbers"]["histogram"].clone();
        let counts = bins
            .as_array()
            .unwrap()
            .iter()
            .map(|bin| bin["count"].as_u64().unwrap());
        counts.collect::<Vec<_>>()
    };
    assert_eq!(histogram(&[1.0, 1.0, 3.0, 4.0]), [2, 0, 1, 1]);
    assert_eq!(histogram(&[0.0, 5.0, 100.0]), [2, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(histogram(&[7.25]), [1]);
    assert_eq!(histogram(&[-1e308, 1e308]), Vec::<u64>::new());
}

fn link(id: &TraceId) -> String {
    format!("http://host/traces/{id}")
}

/// A session in which this text stands wherever a text can stand.
fn told(text: &str) -> String {
    let mut facts = session(
        2,
        &[
            (0, "a", "correct", json!(format!("{text}1")), 1),
            (0, "b", "correct", json!("yes"), 1),
            (0, "a", "problems", json!([text]), 1),
            (0, "a", "tone", json!(1), 1),
            (0, "a", "answer", json!(text), 1),
        ],
    );
    facts.name = text.into();
    facts.assigned_users = vec![text.into(), "b".into()];
    facts.schemas[1].name = format!("{text}2");
    facts.schemas[2].title = text.into();
    if let Some(options) = &mut facts.schemas[2].categorical_list {
        options.options = vec![text.into(), "other".into()];
    }
    let trace = facts.items[0].trace.as_mut().unwrap();
    trace.request_preview = Some(text.into());
    trace.assessments[0].source.source_id = text.into();
    for assessment in &mut trace.assessments {
        assessment.rationale = Some(format!("because {text}"));
    }
    let insights = Insights {
        model: text.into(),
        summary: text.into(),
        findings: vec![Finding {
            title: text.into(),
            detail: text.into(),
            trace_ids: vec!["tr-1".parse().unwrap()],
        }],
        recommendations: vec![text.into()],
    };
    report(&analyse(&facts), &link, &InsightsOutcome::Given(insights))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn no_text_of_a_session_changes_what_its_report_is_made_of(text in hostile()) {
        // Of what is not shown, or of a space alone, nothing stands between the stars of a title.
        prop_assume!(text.chars().any(char::is_alphanumeric));
        let text = format!("x{text}x");
        prop_assert_eq!(structure(&told(&text)), structure(&told("xx")), "{}", told(&text));
    }

    #[test]
    fn whatever_was_given_it_is_counted(
        given in proptest::collection::vec((0_usize..3, 0_usize..3, 0_usize..5, 0_usize..9, -5_i64..5), 0..40),
    ) {
        let values = [
            json!("yes"), json!(3), json!(-1.5e300), json!(true), json!(["fact", 2]), json!([[]]), json!({"a": 1}), json!(null), json!("4"),
        ];
        let names = ["correct", "tone", "problems", "answer", "sources"];
        let given: Vec<Given<'_>> = given
            .into_iter()
            .map(|(item, by, name, value, minute)| (item, [ANN, BOB, "eve"][by], names[name], values[value].clone(), minute))
            .collect();
        let facts = session(3, &given);
        let found = analysed(&facts);
        prop_assert!(report(&analyse(&facts), &link, &InsightsOutcome::Absent("none".into())).starts_with("# Labels of"));
        for schema in found["schemas"].as_array().unwrap() {
            prop_assert_eq!(schema["items_rated"].as_u64().unwrap() + schema["items_missing"].as_u64().unwrap(), 3);
        }
    }
}

#[test]
fn a_report_reads_as_it_is_meant() {
    let given = [
        (0, ANN, "correct", json!("yes"), 1),
        (1, ANN, "correct", json!("no"), 3),
        (0, BOB, "correct", json!("yes"), 1),
        (1, BOB, "correct", json!("yes"), 2),
        (0, ANN, "tone", json!(4), 1),
        (0, ANN, "problems", json!(["fact"]), 1),
        (1, BOB, "answer", json!("It is on its way."), 2),
    ];
    let analysis = analyse(&session(3, &given));
    let markdown = report(
        &analysis,
        &link,
        &InsightsOutcome::Absent("no model is configured".into()),
    );
    insta::assert_snapshot!(markdown);
    insta::assert_json_snapshot!(analysis);
}
