//! Orders: which are accepted, and their SQL.

use super::compile_traces::Approach;
use super::{RunOrder, TraceOrder};
use crate::dialect::Dialect;
use crate::shape::SchemaShape;
use crate::sql::{Statement, Value};

fn texts(order_by: &[&str]) -> Vec<String> {
    order_by.iter().map(|key| (*key).to_owned()).collect()
}

fn traces(schema: SchemaShape, order_by: &[&str]) -> (String, Vec<Value>) {
    let order = TraceOrder::parse(&texts(order_by)).unwrap();
    let mut statement = Statement::new(Dialect::Sqlite, "");
    order.push_joins(&mut statement, schema);
    statement.push(" ORDER BY ");
    order.push(&mut statement, schema, Approach::Walk);
    statement.into_parts()
}

fn runs(order_by: &[&str]) -> (String, Vec<Value>) {
    let order = RunOrder::parse(&texts(order_by)).unwrap();
    let mut statement = Statement::new(Dialect::Sqlite, "");
    order.push_joins(&mut statement);
    statement.push(" ORDER BY ");
    order.push(&mut statement);
    statement.into_parts()
}

#[test]
fn traces_are_ordered_by_columns_and_ties_are_broken() {
    let cases: [(&[&str], &str); 8] = [
        (&[], "t.timestamp_ms DESC, t.request_id"),
        (&["timestamp"], "t.timestamp_ms, t.request_id"),
        (&[" timestamp_ms  desc "], "t.timestamp_ms DESC, t.request_id"),
        (&["request_id DESC"], "t.request_id DESC, t.timestamp_ms DESC"),
        (
            &["status", "trace.timestamp ASC", "request_id"],
            "t.status, t.timestamp_ms, t.request_id",
        ),
        (
            &["execution_time DESC"],
            "(t.execution_time_ms IS NULL), t.execution_time_ms DESC, t.timestamp_ms DESC, t.request_id",
        ),
        (
            &["end_time", "experiment_id DESC"],
            "(t.timestamp_ms + COALESCE(t.execution_time_ms, 0)), t.experiment_id DESC, t.timestamp_ms DESC, \
             t.request_id",
        ),
        (
            &["name", "metadata.`mlflow.trace.session` DESC"],
            "(t.trace_name IS NULL), t.trace_name, (t.session_id IS NULL), t.session_id DESC, t.timestamp_ms DESC, \
             t.request_id",
        ),
    ];
    for (order_by, list) in cases {
        let (text, values) = traces(SchemaShape::NEWEST, order_by);
        assert_eq!(text, format!(" ORDER BY {list}"));
        assert_eq!(values, []);
    }
}

#[test]
fn what_is_no_column_is_joined() {
    let (text, values) = traces(SchemaShape::NEWEST, &["status", "tags.`a b` DESC", "run_id"]);
    assert_eq!(
        text,
        " LEFT JOIN trace_tags j1 ON j1.request_id = t.request_id AND j1.key = $1 \
         LEFT JOIN trace_request_metadata j2 ON j2.request_id = t.request_id AND j2.key = $2 \
         ORDER BY t.status, (j1.value IS NULL), j1.value DESC, (j2.value IS NULL), j2.value, \
         t.timestamp_ms DESC, t.request_id"
    );
    assert_eq!(values, ["a b".into(), "mlflow.sourceRun".into()]);
    let (text, _) = traces(SchemaShape::OLDEST, &["name"]);
    assert!(text.starts_with(" LEFT JOIN trace_tags j0"), "{text}");
}

#[test]
fn runs_are_ordered_with_nan_after_numbers() {
    assert_eq!(runs(&[]).0, " ORDER BY r.start_time DESC, r.run_uuid");
    assert_eq!(
        runs(&["created"]).0,
        " ORDER BY (r.start_time IS NULL), r.start_time, r.run_uuid"
    );
    assert_eq!(
        runs(&["metrics.m DESC", "params.p"]).0,
        " LEFT JOIN latest_metrics j0 ON j0.run_uuid = r.run_uuid AND j0.key = $1 \
         LEFT JOIN params j1 ON j1.run_uuid = r.run_uuid AND j1.key = $2 \
         ORDER BY CASE WHEN j0.is_nan = TRUE THEN 1 WHEN j0.value IS NULL THEN 2 ELSE 0 END, j0.value DESC, \
         (j1.value IS NULL), j1.value, r.start_time DESC, r.run_uuid"
    );
}

#[test]
fn orders_are_refused_for_what_is_wrong_with_them() {
    let refused: [(&[&str], &str); 19] = [
        (&[""], "a key with ASC or DESC"),
        (&["DESC DESC DESC"], "a key with ASC or DESC"),
        (&["name sideways"], "a key with ASC or DESC"),
        (&["name, status"], "a key with ASC or DESC"),
        (&["name;"], "a key with ASC or DESC"),
        (&["'name'"], "a key with ASC or DESC"),
        (&["tags.x DESC NULLS LAST"], "a key with ASC or DESC"),
        (&["tags.`x"], "never closed"),
        (&["tags."], "names no key"),
        (&["trace_id"], "traces are ordered by"),
        (&["Name"], "traces are ordered by"),
        (&["text"], "traces are ordered by"),
        (&["prompt"], "traces are ordered by"),
        (&["span.name"], "traces are ordered by"),
        (&["feedback.x"], "traces are ordered by"),
        (&["metrics.x"], "what can stand before the dot"),
        (&["metadata.`mlflow.trace.cost`"], "give no order"),
        (&["timestamp", "timestamp_ms DESC"], "duplicate fields"),
        (&["name", "tags.`mlflow.traceName`"], "duplicate fields"),
    ];
    for (order_by, part) in refused {
        let message = TraceOrder::parse(&texts(order_by)).unwrap_err().to_string();
        assert!(message.contains(part), "{order_by:?}: {message}");
    }
    for order_by in [
        &["dataset.name"][..],
        &["timestamp"],
        &["created", "start_time"],
        &["x.y"],
    ] {
        assert!(RunOrder::parse(&texts(order_by)).is_err(), "{order_by:?}");
    }
    assert!(TraceOrder::parse(&vec!["tags.x".to_owned(); 21]).is_err());
}
