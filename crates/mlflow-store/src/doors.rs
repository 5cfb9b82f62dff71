//! Doors to what is measured and fuzzed by itself (feature `doors`); no part of the API.

use crate::dialect::Dialect;
use crate::filter::{self, Approach, Refusal, RunFilter, RunOrder, Scope, TraceFilter, TraceOrder};
use crate::page_token;
use crate::shape::SchemaShape;
use crate::sql::{Statement, Value};

/// Reads a filter of traces and an order of them.
///
/// # Errors
/// When MLflow would refuse either.
pub fn read_search(filter: &str, order_by: &[String]) -> Result<(), Refusal> {
    TraceFilter::parse(filter)?;
    TraceOrder::parse(order_by)?;
    Ok(())
}

/// What a filter and an order became.
#[derive(Debug)]
pub struct Compiled {
    /// The SQL behind `FROM`.
    pub text: String,
    /// The texts that each placeholder stands for: one, or those of a list.
    pub bound: Vec<Vec<String>>,
}

impl From<Statement> for Compiled {
    fn from(statement: Statement) -> Self {
        let texts = |value: &Value| match value {
            Value::Int(number) => vec![number.to_string()],
            Value::Real(number) => vec![number.to_string()],
            Value::Bool(flag) => vec![flag.to_string()],
            Value::Text(text) => vec![text.clone()],
            Value::Texts(texts) => texts.clone(),
            Value::Ints(numbers) => numbers.iter().map(i64::to_string).collect(),
        };
        Self {
            text: statement.text().to_owned(),
            bound: statement.values().iter().map(texts).collect(),
        }
    }
}

/// A search of traces for each database, old and new, and each way to go about it. The first is PostgreSQL's. Where the schema
/// lacks what is asked for there is none.
///
/// # Errors
/// When MLflow would refuse the filter or the order.
pub fn compile_traces(filter: &str, order_by: &[String]) -> Result<Vec<Compiled>, Refusal> {
    let (filter, order) = (TraceFilter::parse(filter)?, TraceOrder::parse(order_by)?);
    let mut all = Vec::new();
    for schema in [SchemaShape::NEWEST, SchemaShape::OLDEST] {
        for dialect in [Dialect::Postgres, Dialect::Sqlite] {
            for approach in [Approach::Walk, Approach::Gather] {
                let scope = Scope {
                    schema,
                    approach,
                    experiments: &[1, 2],
                    sessions: true,
                };
                let mut statement = Statement::new(dialect, "");
                order.push_joins(&mut statement, schema);
                statement.push(" WHERE ");
                filter.push_experiments(&mut statement, scope.experiments, approach);
                if filter.push_conditions(&mut statement, scope).is_ok() {
                    statement.push(" ORDER BY ");
                    order.push(&mut statement, schema, approach);
                    all.push(statement.into());
                }
            }
        }
    }
    Ok(all)
}

/// A search of runs for each database. The first is PostgreSQL's.
///
/// # Errors
/// As [`compile_traces`].
pub fn compile_runs(filter: &str, order_by: &[String]) -> Result<Vec<Compiled>, Refusal> {
    let (filter, order) = (RunFilter::parse(filter)?, RunOrder::parse(order_by)?);
    let compile = |dialect| {
        let mut statement = Statement::new(dialect, "");
        order.push_joins(&mut statement);
        statement.push(" WHERE TRUE");
        filter.push_conditions(&mut statement);
        statement.push(" ORDER BY ");
        order.push(&mut statement);
        statement.into()
    };
    Ok([Dialect::Postgres, Dialect::Sqlite].map(compile).into())
}

/// The texts that the keys of a filter are compared with.
///
/// # Errors
/// When it is not made of comparisons.
pub fn texts(filter: &str) -> Result<Vec<String>, Refusal> {
    filter::texts(filter)
}

/// The offset that a page token names.
///
/// # Errors
/// When it is none.
pub fn read_page_token(token: &str) -> Result<i64, Refusal> {
    page_token::read_page_token(Some(token))
}

/// The token of the page that begins at an offset.
pub fn write_page_token(offset: i64) -> String {
    page_token::write_page_token(offset)
}
