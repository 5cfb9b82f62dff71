//! The SQL of a filter of runs: conditions on `runs r`, each a test of a row of it, so that no run is found twice.

use super::comparator::Comparator;
use super::compile_traces::push_rows;
use super::runs::{DatasetField, RunClause, RunFilter, RunText, RunTime};
use super::test::{KeyedTest, NumberTest, TextTest};
use crate::sql::Statement;

/// The tag that holds a run's name; the column may be empty, for runs of MLflow 1.29 and before.
const RUN_NAME: &str = "mlflow.runName";

const TAG_ROWS: &str = "EXISTS (SELECT 1 FROM tags v WHERE v.run_uuid = r.run_uuid AND v.key = ";
const PARAM_ROWS: &str = "EXISTS (SELECT 1 FROM params v WHERE v.run_uuid = r.run_uuid AND v.key = ";

impl RunFilter {
    /// Pushes ` AND (…)` for each condition, after a `WHERE` that has one; the runs are `runs r`.
    pub(crate) fn push_conditions(&self, statement: &mut Statement) {
        for clause in &self.clauses {
            statement.push(" AND (");
            push_clause(statement, clause);
            statement.push(")");
        }
    }
}

fn push_clause(statement: &mut Statement, clause: &RunClause) {
    match clause {
        RunClause::Text(RunText::RunName, test) => {
            push_rows(statement, TAG_ROWS, RUN_NAME, &KeyedTest::Text(test.clone()));
        }
        RunClause::Text(attribute, test) => test.push(statement, attribute.column()),
        RunClause::Number(time, test) => test.push(statement, time.column()),
        RunClause::Metric(key, test) => push_metric(statement, key, *test),
        RunClause::Param(key, test) => push_rows(statement, PARAM_ROWS, key, test),
        RunClause::Tag(key, test) => push_rows(statement, TAG_ROWS, key, test),
        RunClause::Dataset(field, test) => push_dataset(statement, *field, test),
    }
}

impl RunText {
    pub(super) fn column(self) -> &'static str {
        match self {
            Self::RunId => "r.run_uuid",
            Self::RunName => "r.name",
            Self::Status => "r.status",
            Self::UserId => "r.user_id",
            Self::ArtifactUri => "r.artifact_uri",
        }
    }
}

impl RunTime {
    pub(super) fn column(self) -> &'static str {
        match self {
            Self::Start => "r.start_time",
            Self::End => "r.end_time",
        }
    }
}

/// NaN is kept as 0 with a mark; as anywhere, it differs from every number and compares with none.
fn push_metric(statement: &mut Statement, key: &str, test: NumberTest<f64>) {
    statement.push("EXISTS (SELECT 1 FROM latest_metrics v WHERE v.run_uuid = r.run_uuid AND v.key = ");
    statement.bind(key).push(" AND (");
    test.push(statement, "v.value");
    statement.push(if test.comparator == Comparator::NotEqual {
        " OR v.is_nan = TRUE))"
    } else {
        " AND v.is_nan = FALSE))"
    });
}

fn push_dataset(statement: &mut Statement, field: DatasetField, test: &TextTest) {
    statement.push("EXISTS (SELECT 1 FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id");
    if field == DatasetField::Context {
        statement
            .push(" JOIN input_tags g ON g.input_uuid = i.input_uuid AND g.name = 'mlflow.data.context'");
    }
    // Datasets are inputs of runs only (MLflow 3.17.2), and the index begins with the type.
    statement.push(" WHERE i.destination_type = 'RUN' AND i.destination_id = r.run_uuid AND ");
    test.push(
        statement,
        match field {
            DatasetField::Name => "d.name",
            DatasetField::Digest => "d.digest",
            DatasetField::Context => "g.value",
        },
    );
    statement.push(")");
}
