//! The SQL of filters, as text.

use super::TraceFilter;
use super::compile_traces::{Approach, Scope};
use crate::dialect::Dialect;
use crate::filter::RunFilter;
use crate::shape::SchemaShape;
use crate::sql::{Statement, Value};

fn compile(dialect: Dialect, schema: SchemaShape, filter: &str) -> (String, Vec<Value>) {
    let mut statement = Statement::new(dialect, "");
    let filter = TraceFilter::parse(filter).unwrap();
    filter
        .push_conditions(&mut statement, Scope::walk(schema, &[1, 2]))
        .unwrap();
    statement.into_parts()
}

fn newest(filter: &str) -> (String, Vec<Value>) {
    compile(Dialect::Sqlite, SchemaShape::NEWEST, filter)
}

#[test]
fn rows_of_a_key_are_looked_up_by_trace() {
    let rows = "EXISTS (SELECT 1 FROM trace_tags v WHERE v.request_id = t.request_id AND v.key = $1";
    let (text, values) = newest("tags.k = 'x'");
    assert_eq!(text, format!(" AND ({rows} AND v.value = $2))"));
    assert_eq!(values, ["k".into(), "x".into()]);
    assert_eq!(newest("tags.k IS NULL").0, format!(" AND (NOT {rows}))"));
    assert_eq!(newest("tags.k IS NOT NULL").0, format!(" AND ({rows}))"));
}

#[test]
fn promoted_values_are_columns_where_there_are_columns() {
    assert_eq!(newest("name LIKE 'a%'").0, " AND (t.trace_name LIKE $1)");
    assert_eq!(
        newest("metadata.`mlflow.trace.session` IS NULL").0,
        " AND (t.session_id IS NULL)"
    );
    assert_eq!(newest("name IS NOT NULL").0, " AND (t.trace_name IS NOT NULL)");
    let older = |filter| compile(Dialect::Postgres, SchemaShape::OLDEST, filter);
    let (text, values) = older("name = 'a'");
    assert!(text.contains("FROM trace_tags v"), "{text}");
    assert_eq!(values, ["mlflow.traceName".into(), "a".into()]);
    assert!(
        older("metadata.`mlflow.trace.session` = 's'")
            .0
            .contains("FROM trace_request_metadata v")
    );
    assert!(
        older("metadata.`mlflow.trace.cost` IS NULL")
            .0
            .contains("FROM trace_request_metadata v")
    );
}

#[test]
fn tokens_equal_column_by_column() {
    let (text, values) = newest("metadata.`mlflow.trace.cost` = '{\"input_cost\": 0.1}'");
    let equal =
        "(t.input_cost IS NOT NULL AND t.input_cost = $1 AND t.output_cost IS NULL AND t.total_cost IS NULL)";
    assert_eq!(text, format!(" AND ({equal})"));
    assert_eq!(values, [Value::Real(0.1)]);
    let any = "(t.input_cost IS NOT NULL OR t.output_cost IS NOT NULL OR t.total_cost IS NOT NULL)";
    assert_eq!(
        newest("metadata.`mlflow.trace.cost` != 'x'").0,
        format!(" AND ({any} AND NOT FALSE)")
    );
    assert_eq!(
        newest("metadata.`mlflow.trace.cost` IS NULL").0,
        format!(" AND (NOT {any})")
    );
}

#[test]
fn a_run_has_the_traces_made_in_it_and_those_linked_to_it() {
    let (text, values) = newest("run_id = 'r'");
    assert!(
        text.contains("e.destination_type = 'run'") && text.contains(" UNION ALL "),
        "{text}"
    );
    assert_eq!(values, ["r".into(), "mlflow.sourceRun".into(), "r".into()]);
    let (text, _) = compile(Dialect::Sqlite, SchemaShape::OLDEST, "run_id = 'r'");
    assert!(!text.contains("entity_associations"), "{text}");
    let (text, values) = newest("run_id != 'r'");
    assert!(!text.contains("entity_associations"), "{text}");
    assert_eq!(values, ["mlflow.sourceRun".into(), "r".into()]);
}

#[test]
fn few_traces_are_not_looked_for_in_a_whole_experiment() {
    let experiments = |dialect, filter| {
        let mut statement = Statement::new(dialect, "");
        TraceFilter::parse(filter)
            .unwrap()
            .push_experiments(&mut statement, &[7], Approach::Walk);
        statement.into_parts().0
    };
    for narrow in [
        "run_id = 'r'",
        "prompt = 'p/1' AND status = 'OK'",
        "request_id IN ('a', 'b')",
    ] {
        assert_eq!(experiments(Dialect::Sqlite, narrow), "+t.experiment_id = $1");
        assert_eq!(
            experiments(Dialect::Postgres, narrow),
            "t.experiment_id = $1::bigint"
        );
    }
    for wide in ["", "run_id != 'r'", "request_id LIKE 'a%'", "status = 'OK'"] {
        assert_eq!(experiments(Dialect::Sqlite, wide), "t.experiment_id = $1");
    }
}

#[test]
fn conditions_on_spans_hold_of_one_span() {
    let filter = "span.name = 'a' AND timestamp > 20000 AND span.status != 'OK' AND timestamp_ms >= 20000.5";
    let (text, values) = newest(filter);
    let span = "EXISTS (SELECT 1 FROM spans s WHERE s.trace_id = t.request_id AND +s.experiment_id = t.experiment_id \
                AND s.start_time_unix_nano >= $1 AND s.start_time_unix_nano >= $2 \
                AND s.name = $3 AND s.status <> $4)";
    assert_eq!(
        text,
        format!(" AND {span} AND (t.timestamp_ms > $5) AND (t.timestamp_ms >= $6)")
    );
    assert_eq!(
        values[..2],
        [Value::Int(10_000_000_000), Value::Real(10_000_500_000.0)]
    );
    let (text, values) = newest(&format!("span.name = 'a' AND timestamp >= {}", i64::MAX));
    assert!(text.contains("$1"), "{text}");
    assert_eq!(values[0], Value::Int(i64::MAX));
    assert!(
        !newest("span.name = 'a' AND timestamp < 5")
            .0
            .contains("start_time")
    );
}

#[test]
fn assessments_are_of_the_trace_or_of_its_session() {
    let (text, values) = newest("feedback.q = 'ja'");
    let wanted = |from| {
        format!(
            " AND +a.assessment_type = 'feedback' AND a.name = ${from} AND a.valid = TRUE \
             AND (a.value = ${} OR a.value = ${})",
            from + 1,
            from + 2
        )
    };
    let direct = format!(
        "EXISTS (SELECT 1 FROM assessments a WHERE a.trace_id = t.request_id{})",
        wanted(1)
    );
    assert!(
        text.starts_with(&format!(" AND (({direct} OR (t.session_id IS NOT NULL")),
        "{text}"
    );
    assert!(text.contains(&wanted(5)), "{text}");
    let expected: [Value; 7] = ["q", "ja", "\"ja\"", "[1,2]", "q", "ja", "\"ja\""].map(Value::from);
    assert_eq!(values, expected);
    assert!(newest("expectation.q IS NULL").0.starts_with(" AND (NOT (EXISTS"));
    let postgres = compile(Dialect::Postgres, SchemaShape::NEWEST, "feedback.q > 1").0;
    assert!(!postgres.contains('+'), "{postgres}");
    assert!(
        postgres.contains("a.is_numeric_value = TRUE AND a.aggregate_value > $2"),
        "{postgres}"
    );
}

#[test]
fn what_the_schema_lacks_is_refused() {
    let filters = [
        "client_request_id = 'c'",
        "prompt = 'p/1'",
        "span.name = 'a'",
        "trace.text LIKE 'a'",
        "issue.id = 'i'",
        "feedback.q = 'a'",
        "expectation.q > 1",
    ];
    for filter in filters {
        let parsed = TraceFilter::parse(filter).unwrap();
        let mut statement = Statement::new(Dialect::Sqlite, "");
        let refusal = parsed
            .push_conditions(&mut statement, Scope::walk(SchemaShape::OLDEST, &[1]))
            .unwrap_err();
        assert!(refusal.to_string().contains("does not keep"), "{refusal}");
        assert_eq!(statement.text(), "", "nothing of a refused filter is pushed");
    }
    let schema = SchemaShape {
        has_assessments: true,
        ..SchemaShape::OLDEST
    };
    let (text, _) = compile(Dialect::Sqlite, schema, "feedback.q = 'a'");
    assert!(text.contains("JOIN trace_request_metadata w"), "{text}");
}

#[test]
fn nan_differs_from_every_number() {
    let compile = |filter| {
        let mut statement = Statement::new(Dialect::Sqlite, "");
        RunFilter::parse(filter).unwrap().push_conditions(&mut statement);
        statement.into_parts().0
    };
    assert!(compile("metrics.m != 0").ends_with("(v.value <> $2 OR v.is_nan = TRUE)))"));
    assert!(compile("metrics.m < 1").ends_with("(v.value < $2 AND v.is_nan = FALSE)))"));
    assert!(compile("run_name = 'x'").contains("FROM tags v"));
    assert!(compile("dataset.context = 'x'").contains("JOIN input_tags g"));
    assert!(!compile("dataset.name = 'x'").contains("input_tags"));
}
