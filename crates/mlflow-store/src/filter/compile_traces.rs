//! The SQL of a filter of traces: conditions on `trace_info t`.
//!
//! Each condition is a test of a row of `trace_info` and joins nothing, so no trace is found twice. Most look their rows
//! up by the primary keys, which begin with the key and end with the trace, while the traces are walked in the order of
//! `(experiment_id, timestamp_ms)`; what few traces can have is found from the other side.

use super::analytics::push_analytics;
use super::compile_assessments::push_assessment;
use super::compile_spans::push_spans;
use super::refusal::Refusal;
use super::test::{KeyedTest, Number, NumberTest, TextTest};
use super::traces::{
    COST, NumberAttribute, SESSION, SOURCE_RUN, SpanField, TOKEN_USAGE, TRACE_NAME, TextAttribute,
    TraceClause, TraceFilter,
};
use crate::dialect::Dialect;
use crate::filter::comparator::Comparator;
use crate::shape::SchemaShape;
use crate::sql::Statement;

/// When a trace ended; one that never ended counts as if it had at once.
pub(super) const END_TIME: &str = "(t.timestamp_ms + COALESCE(t.execution_time_ms, 0))";

/// How the traces are found that pass a filter. It matters in SQLite, which knows nothing of how often a value occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Approach {
    /// Trace by trace, each looked at for what the filter asks: fast where many pass.
    Walk,
    /// From what the filter asks for, which is gathered first; else by reading the whole table from end to end: fast where few
    /// pass.
    Gather,
}

/// What a search of traces looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) schema: SchemaShape,
    pub(crate) approach: Approach,
    /// The experiments that are searched.
    pub(crate) experiments: &'a [i64],
    /// Whether there may be assessments of whole sessions among those that the filter asks for: of one that is of a trace of
    /// these experiments, all traces of the session count.
    pub(crate) sessions: bool,
}

#[cfg(test)]
impl<'a> Scope<'a> {
    pub(super) fn walk(schema: SchemaShape, experiments: &'a [i64]) -> Self {
        Self {
            schema,
            approach: Approach::Walk,
            experiments,
            sessions: true,
        }
    }
}

impl TraceFilter {
    /// Pushes the condition that the traces, `trace_info t`, are of these experiments.
    ///
    /// Where few traces are found by themselves, SQLite is kept from the index on the experiment: it has no statistics, and
    /// would walk all traces of the experiment to save itself the sorting of a few (60 times as long for a run's traces
    /// among 55,000).
    pub(crate) fn push_experiments(
        &self,
        statement: &mut Statement,
        experiments: &[i64],
        approach: Approach,
    ) {
        let column = match statement.dialect() {
            Dialect::Sqlite if self.is_narrow() || approach == Approach::Gather => "+t.experiment_id",
            _ => "t.experiment_id",
        };
        statement.is_one_of(column, experiments);
    }

    /// Pushes ` AND (…)` for each condition, after a `WHERE` that has one; the traces are `trace_info t`.
    pub(crate) fn push_conditions(&self, statement: &mut Statement, scope: Scope<'_>) -> Result<(), Refusal> {
        for clause in &self.clauses {
            check(clause, scope.schema)?;
        }
        let spans: Vec<(&SpanField, &TextTest)> = self.clauses.iter().filter_map(of_span).collect();
        if !spans.is_empty() {
            let starts: Vec<_> = self.clauses.iter().filter_map(lower_bound).collect();
            statement.push(" AND ");
            push_spans(statement, scope, &spans, &starts);
        }
        for clause in self.clauses.iter().filter(|clause| of_span(clause).is_none()) {
            statement.push(" AND (");
            push_clause(statement, scope, clause);
            statement.push(")");
        }
        Ok(())
    }
}

fn of_span(clause: &TraceClause) -> Option<(&SpanField, &TextTest)> {
    match clause {
        TraceClause::Span(field, test) => Some((field, test)),
        _ => None,
    }
}

/// When the traces that are searched began, at the earliest.
fn lower_bound(clause: &TraceClause) -> Option<Number> {
    match clause {
        TraceClause::Number(
            NumberAttribute::Timestamp,
            NumberTest {
                comparator: Comparator::Greater | Comparator::GreaterOrEqual,
                value,
            },
        ) => Some(*value),
        _ => None,
    }
}

/// Refuses what needs a table or a column that is not there.
fn check(clause: &TraceClause, schema: SchemaShape) -> Result<(), Refusal> {
    let (is_there, what) = match clause {
        TraceClause::Text(TextAttribute::ClientRequestId, _) => (schema.has_v3_columns, "client_request_id"),
        TraceClause::Prompt(_) => (schema.has_associations, "links of traces to prompts"),
        TraceClause::Span(..) => (schema.has_spans, "spans"),
        TraceClause::Issue(_) => (schema.has_assessments, "issues"),
        TraceClause::Assessment(_, _, test) if test.is_numeric() => {
            (schema.has_numeric_assessments, "assessments as numbers")
        }
        TraceClause::Assessment(..) => (schema.has_assessments, "assessments"),
        _ => (true, ""),
    };
    if is_there {
        Ok(())
    } else {
        Err(Refusal::new(format!(
            "MLflow's database is of a version that does not keep {what}, so traces cannot be filtered by them"
        )))
    }
}

fn push_clause(statement: &mut Statement, scope: Scope<'_>, clause: &TraceClause) {
    let is_promoted = scope.schema.has_promoted_columns;
    match clause {
        TraceClause::Text(attribute, test) => test.push(statement, attribute.column()),
        TraceClause::Number(attribute, test) => test.push(statement, attribute.column()),
        TraceClause::Tag(key, test) if is_promoted && key == TRACE_NAME => {
            push_column(statement, "t.trace_name", test);
        }
        TraceClause::Metadata(key, test) if is_promoted && key == SESSION => {
            push_column(statement, "t.session_id", test);
        }
        TraceClause::Metadata(key, test) if is_promoted && matches!(key.as_str(), TOKEN_USAGE | COST) => {
            push_analytics(statement, key, test);
        }
        TraceClause::Tag(key, test) => {
            let rows = match scope.approach {
                Approach::Walk => {
                    "EXISTS (SELECT 1 FROM trace_tags v WHERE v.request_id = t.request_id AND v.key = "
                }
                Approach::Gather => "t.request_id IN (SELECT v.request_id FROM trace_tags v WHERE v.key = ",
            };
            push_rows(statement, rows, key, test);
        }
        TraceClause::Metadata(key, test) => {
            let rows = match scope.approach {
                Approach::Walk => {
                    "EXISTS (SELECT 1 FROM trace_request_metadata v WHERE v.request_id = t.request_id AND v.key = "
                }
                Approach::Gather => {
                    "t.request_id IN (SELECT v.request_id FROM trace_request_metadata v WHERE v.key = "
                }
            };
            push_rows(statement, rows, key, test);
        }
        TraceClause::Run(run) => push_run(statement, scope.schema, run),
        TraceClause::Prompt(version) => {
            statement.push(
                "t.request_id IN (SELECT e.source_id FROM entity_associations e \
                 WHERE e.destination_type = 'prompt_version' AND e.source_type = 'trace' AND e.destination_id = ",
            );
            statement.bind(version.as_str()).push(")");
        }
        TraceClause::Issue(issue) => {
            statement.push("EXISTS (SELECT 1 FROM assessments a WHERE a.trace_id = t.request_id AND ");
            statement
                .pick("+a.assessment_type", "a.assessment_type")
                .push(" = 'issue' AND a.name = ");
            statement.bind(issue.as_str()).push(")");
        }
        TraceClause::Assessment(kind, name, test) => push_assessment(statement, scope, *kind, name, test),
        // All conditions on spans are pushed as one.
        TraceClause::Span(..) => {}
    }
}

impl TextAttribute {
    fn column(self) -> &'static str {
        match self {
            Self::RequestId => "t.request_id",
            Self::Status => "t.status",
            Self::ClientRequestId => "t.client_request_id",
        }
    }
}

impl NumberAttribute {
    fn column(self) -> &'static str {
        match self {
            Self::Timestamp => "t.timestamp_ms",
            Self::ExecutionTime => "t.execution_time_ms",
            Self::EndTime => END_TIME,
        }
    }
}

fn push_column(statement: &mut Statement, column: &'static str, test: &KeyedTest) {
    match test {
        KeyedTest::Present => {
            statement.push(column).push(" IS NOT NULL");
        }
        KeyedTest::Absent => {
            statement.push(column).push(" IS NULL");
        }
        KeyedTest::Text(test) => test.push(statement, column),
    }
}

/// Pushes a test of the row of a key; `rows` is its EXISTS up to the key.
pub(super) fn push_rows(statement: &mut Statement, rows: &'static str, key: &str, test: &KeyedTest) {
    if matches!(test, KeyedTest::Absent) {
        statement.push("NOT ");
    }
    statement.push(rows).bind(key);
    if let KeyedTest::Text(test) = test {
        statement.push(" AND ");
        test.push(statement, "v.value");
    }
    statement.push(")");
}

/// The traces of a run are few, and are found from its side.
fn push_run(statement: &mut Statement, schema: SchemaShape, run: &str) {
    statement.push("t.request_id IN (");
    if schema.has_associations {
        statement.push(
            "SELECT e.source_id FROM entity_associations e \
             WHERE e.destination_type = 'run' AND e.source_type = 'trace' AND e.destination_id = ",
        );
        statement.bind(run).push(" UNION ALL ");
    }
    statement.push("SELECT v.request_id FROM trace_request_metadata v WHERE v.key = ");
    statement
        .bind(SOURCE_RUN)
        .push(" AND v.value = ")
        .bind(run)
        .push(")");
}
