//! The SQL of conditions on spans: all of them hold of one span.

use super::compile_traces::{Approach, Scope};
use super::test::{Number, TextTest};
use super::traces::SpanField;
use crate::sql::Statement;

/// How much earlier than its trace a span may have begun; MLflow 3.17.2 allows as much for clocks that differ.
const TOLERANCE_MS: i64 = 10_000;
const NS_PER_MS: i64 = 1_000_000;

/// Pushes the condition that the trace has a span which passes all tests, and began no earlier than any of `starts`, in
/// milliseconds.
pub(super) fn push_spans(
    statement: &mut Statement,
    scope: Scope<'_>,
    tests: &[(&SpanField, &TextTest)],
    starts: &[Number],
) {
    match scope.approach {
        Approach::Walk => {
            // SQLite must look the spans up by their trace: without statistics it would rather walk all spans of the
            // experiment which have the type and status, for each trace. The plus keeps it from that index; PostgreSQL
            // knows better by itself.
            statement.push("EXISTS (SELECT 1 FROM spans s WHERE s.trace_id = t.request_id AND ");
            statement
                .pick("+s.experiment_id", "s.experiment_id")
                .push(" = t.experiment_id");
        }
        Approach::Gather => {
            // A span counts for a trace of its own experiment, which goes without saying where only one is searched.
            statement.push(match scope.experiments {
                [_] => "t.request_id IN (SELECT s.trace_id FROM spans s WHERE ",
                _ => "(t.request_id, t.experiment_id) IN (SELECT s.trace_id, s.experiment_id FROM spans s WHERE ",
            });
            statement.is_one_of("s.experiment_id", scope.experiments);
        }
    }
    for start in starts {
        statement.push(" AND s.start_time_unix_nano >= ");
        match *start {
            Number::Int(start) => {
                statement.bind(start.saturating_sub(TOLERANCE_MS).saturating_mul(NS_PER_MS))
            }
            Number::Real(start) => statement.bind((start - 10_000.0) * 1_000_000.0),
        };
    }
    for (field, test) in tests {
        statement.push(" AND ");
        match field {
            SpanField::Name => test.push(statement, "s.name"),
            SpanField::Type => test.push(statement, "s.type"),
            SpanField::Status => test.push(statement, "s.status"),
            SpanField::Content => test.push(statement, "s.content"),
            SpanField::Attribute(name) => in_content(name, test).push(statement, "s.content"),
        }
    }
    statement.push(")");
}

/// A test of an attribute, as a test of the span's content.
///
/// The content holds `"name": "\"value\""`: values of attributes are JSON texts in a JSON text. MLflow 3.17.2 looks for
/// the attribute and, right behind it, for what the filter says; so a pattern has to begin with `%`, and `=` never finds
/// anything.
fn in_content(name: &str, test: &TextTest) -> TextTest {
    let pattern = |value: &str| format!("%\"{name}\"{value}%");
    match test {
        TextTest::Is(value) => TextTest::Is(pattern(value)),
        TextTest::IsNot(value) => TextTest::IsNot(pattern(value)),
        TextTest::Like(value) => TextTest::Like(pattern(value)),
        TextTest::ILike(value) => TextTest::ILike(pattern(value)),
        TextTest::RLike(value) => {
            let (start, value) = match value.strip_prefix('^') {
                Some(value) => (r#""\\""#, value),
                None => (r#""\\".*"#, value.as_str()),
            };
            let (value, end) = match value.strip_suffix('$') {
                Some(value) => (value, r#"\\""#),
                None => (value, ""),
            };
            TextTest::RLike(format!("\"{name}\": {start}{value}{end}"))
        }
        // Lists are refused when the filter is read.
        TextTest::OneOf(_) | TextTest::NoneOf(_) => test.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_looked_for_in_the_content() {
        let like = |value: &str| in_content("llm.model", &TextTest::Like(value.into()));
        assert_eq!(like("%gpt%"), TextTest::Like("%\"llm.model\"%gpt%%".into()));
        let regex = |value: &str| match in_content("a", &TextTest::RLike(value.into())) {
            TextTest::RLike(pattern) => pattern,
            other => panic!("{other:?}"),
        };
        assert_eq!(regex("x"), r#""a": "\\".*x"#);
        assert_eq!(regex("^x$"), r#""a": "\\"x\\""#);
        assert_eq!(regex("^"), r#""a": "\\""#);
        assert_eq!(regex("$"), r#""a": "\\".*\\""#);
    }
}
