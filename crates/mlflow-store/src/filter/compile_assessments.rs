//! The SQL of conditions on assessments.
//!
//! An assessment is of one trace; one whose metadata names a session is of all traces of its trace's session.

use super::compile_traces::{Approach, Scope};
use super::test::{KeyedTest, TextTest};
use super::traces::{AssessmentKind, AssessmentTest, SESSION, TraceClause, TraceFilter};
use crate::python_json;
use crate::shape::SchemaShape;
use crate::sql::Statement;

/// How MLflow 3.17.2 tells that an assessment is of a session, by its metadata, which is JSON text.
const NAMES_SESSION: &str = " AND a.assessment_metadata LIKE '%\"mlflow.trace.session\":%'";

impl TraceFilter {
    /// The names of the assessments that it asks for.
    pub(crate) fn assessment_names(&self) -> Vec<String> {
        let name = |clause: &TraceClause| match clause {
            TraceClause::Assessment(_, name, _) => Some(name.clone()),
            _ => None,
        };
        self.clauses.iter().filter_map(name).collect()
    }
}

/// Pushes a SELECT that tells whether any assessment of these names is of a whole session.
pub(crate) fn push_any_of_session(
    statement: &mut Statement,
    schema: SchemaShape,
    experiments: &[i64],
    names: &[String],
) {
    statement.push("SELECT EXISTS (SELECT 1 FROM assessments a WHERE ");
    push_experiments(statement, schema, experiments);
    statement.push(" AND ").is_one_of("a.name", names);
    statement.push(NAMES_SESSION).push(")");
}

/// Pushes the condition that `assessments a` are of these experiments, where their own rows tell.
fn push_experiments(statement: &mut Statement, schema: SchemaShape, experiments: &[i64]) {
    if schema.has_numeric_assessments {
        // MLflow fills this column for all of them, and keeps it true, from the revision on that brought it.
        statement.is_one_of("a.experiment_id", experiments);
    } else {
        statement.push("TRUE");
    }
}

/// What to look for: assessments that MLflow counts, of this name and value.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    kind: AssessmentKind,
    name: &'a str,
    test: &'a AssessmentTest,
}

impl AssessmentTest {
    pub(super) fn is_numeric(&self) -> bool {
        matches!(self, Self::Number(_))
    }
}

/// Pushes the condition that the trace, or its session, has such an assessment; or has none, for `IS NULL`.
pub(super) fn push_assessment(
    statement: &mut Statement,
    scope: Scope<'_>,
    kind: AssessmentKind,
    name: &str,
    test: &AssessmentTest,
) {
    let wanted = Wanted { kind, name, test };
    let is_absent = matches!(test, AssessmentTest::Keyed(KeyedTest::Absent));
    statement.push(if is_absent { "NOT (" } else { "(" });
    match scope.approach {
        Approach::Walk => {
            statement.push("EXISTS (SELECT 1 FROM assessments a WHERE a.trace_id = t.request_id");
        }
        Approach::Gather => {
            statement.push("t.request_id IN (SELECT a.trace_id FROM assessments a WHERE ");
            push_experiments(statement, scope.schema, scope.experiments);
        }
    }
    wanted.push(statement);
    statement.push(")");
    if scope.sessions {
        statement.push(" OR ");
        if scope.schema.has_promoted_columns {
            push_session_by_column(statement, scope, wanted);
        } else {
            push_session_by_metadata(statement, scope, wanted);
        }
    }
    statement.push(")");
}

/// The sessions are found once: nothing in the inner SELECT changes with the trace.
fn push_session_by_column(statement: &mut Statement, scope: Scope<'_>, wanted: Wanted<'_>) {
    // Never NULL, so that NOT has the meaning that it seems to have.
    statement.push(
        "(t.session_id IS NOT NULL AND t.session_id IN (SELECT o.session_id FROM assessments a \
         JOIN trace_info o ON o.request_id = a.trace_id WHERE o.session_id IS NOT NULL AND ",
    );
    // The plus keeps SQLite from walking all traces: assessments are fewer.
    let experiment = statement.dialect().pick("+o.experiment_id", "o.experiment_id");
    statement.is_one_of(experiment, scope.experiments);
    wanted.push(statement);
    statement.push(NAMES_SESSION).push("))");
}

/// Before revision 75868b020152, sessions are metadata.
fn push_session_by_metadata(statement: &mut Statement, scope: Scope<'_>, wanted: Wanted<'_>) {
    statement.push(
        "EXISTS (SELECT 1 FROM trace_request_metadata v WHERE v.request_id = t.request_id AND v.key = ",
    );
    statement.bind(SESSION);
    statement.push(
        " AND v.value IN (SELECT w.value FROM assessments a JOIN trace_info o ON o.request_id = a.trace_id \
         JOIN trace_request_metadata w ON w.request_id = o.request_id WHERE w.key = ",
    );
    statement.bind(SESSION).push(" AND ");
    let experiment = statement.dialect().pick("+o.experiment_id", "o.experiment_id");
    statement.is_one_of(experiment, scope.experiments);
    wanted.push(statement);
    statement.push(NAMES_SESSION).push("))");
}

impl Wanted<'_> {
    /// Pushes the conditions on `assessments a`, each after an AND.
    fn push(self, statement: &mut Statement) {
        // The plus keeps SQLite from the index on the type alone, which half of all rows share.
        statement
            .push(" AND ")
            .pick("+a.assessment_type", "a.assessment_type")
            .push(match self.kind {
                AssessmentKind::Feedback => " = 'feedback'",
                AssessmentKind::Expectation => " = 'expectation'",
            });
        statement
            .push(" AND a.name = ")
            .bind(self.name)
            .push(" AND a.valid = TRUE");
        match self.test {
            AssessmentTest::Keyed(KeyedTest::Text(test)) => push_value(statement, test),
            AssessmentTest::Keyed(_) => {}
            AssessmentTest::Number(test) => {
                statement.push(" AND a.is_numeric_value = TRUE AND ");
                test.push(statement, "a.aggregate_value");
            }
        }
    }
}

/// Values are JSON texts. One that equals is equal as it stands (`true`, `5`) or is a JSON text of it (`"yes"`).
fn push_value(statement: &mut Statement, test: &TextTest) {
    let (value, start) = match test {
        TextTest::Is(value) => (value, " AND ("),
        TextTest::IsNot(value) => (value, " AND NOT ("),
        pattern => {
            statement.push(" AND ");
            return pattern.push(statement, "a.value");
        }
    };
    statement.push(start).push("a.value = ").bind(value.as_str());
    statement
        .push(" OR a.value = ")
        .bind(python_json::text(value))
        .push(")");
}
