//! What holds of any text: reading it never panics, and nothing of it gets into the SQL.

use proptest::prelude::*;

use super::compile_traces::{Approach, Scope};
use super::{RunFilter, RunOrder, TraceFilter, TraceOrder};
use crate::dialect::Dialect;
use crate::page_token::read_page_token;
use crate::shape::SchemaShape;
use crate::sql::Statement;

/// Pieces that filters are made of, in any order.
fn piece() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "status",
        "name",
        "run_id",
        "timestamp_ms",
        "tags.",
        "metadata.",
        "span.attributes.",
        "feedback.",
        "metrics.",
        "dataset.",
        "=",
        "!=",
        ">",
        "LIKE",
        "IN",
        "NOT",
        "IS",
        "NULL",
        "AND",
        "(",
        ")",
        ",",
        "'",
        "\"",
        "`",
        "\\",
        ".",
        " ",
        "-",
        "5",
        "1e",
        "''",
        "\\'",
        "r'",
        "\\x",
        "é",
        "\0",
    ]);
    prop_oneof![8 => fixed.prop_map(str::to_owned), 1 => any::<String>()]
}

fn comparison() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(vec![
        ("tags.`", "` = '"),
        ("tags.`", "` ILIKE \""),
        ("metadata.\"", "\" != '"),
        ("metadata.`", "` IS NULL AND status RLIKE '"),
        ("feedback.`", "` = '"),
        ("expectation.`", "` LIKE '"),
        ("span.attributes.`", "` LIKE '"),
        ("span.attributes.`", "` RLIKE '"),
        ("tags.`", "` IS NOT NULL AND run_id = '"),
        ("tags.`", "` IS NOT NULL AND trace.text LIKE '"),
        ("tags.`", "` IS NOT NULL AND issue.id = '"),
        ("tags.`", "` IS NOT NULL AND name = '"),
    ])
}

fn compile(dialect: Dialect, filter: &str, order_by: &str) -> Option<Statement> {
    let schema = SchemaShape::NEWEST;
    let filter = TraceFilter::parse(filter).ok()?;
    let order = TraceOrder::parse(&[order_by.to_owned()]).ok()?;
    let mut statement = Statement::new(dialect, "");
    order.push_joins(&mut statement, schema);
    filter
        .push_conditions(&mut statement, Scope::walk(schema, &[1, 2]))
        .ok()?;
    order.push(&mut statement, schema, Approach::Walk);
    Some(statement)
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(pieces in prop::collection::vec(piece(), 0..24)) {
        let text = pieces.concat();
        let _ = TraceFilter::parse(&text);
        let _ = RunFilter::parse(&text);
        let _ = TraceOrder::parse(std::slice::from_ref(&text));
        let _ = RunOrder::parse(std::slice::from_ref(&text));
        let _ = read_page_token(Some(&text));
    }

    /// The SQL is the same whatever the keys and values are, so nothing of them is in it.
    #[test]
    fn no_text_of_a_user_is_in_the_sql(
        (before, between) in comparison(),
        key in "[^`\"'\\\\\0]{1,12}",
        value in "[^`\"'\\\\\0]{0,12}",
    ) {
        let quote = &between[between.len() - 1..];
        let filter = |key: &str, value: &str| format!("{before}{key}{between}{value}{quote}");
        let order_by = |key: &str| format!("tags.`{key}` DESC");
        // Some keys have a meaning of their own.
        prop_assume!(super::traces::alias(&key).is_none());
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            let plain = compile(dialect, &filter("k", "v"), &order_by("k"));
            let given = compile(dialect, &filter(&key, &value), &order_by(&key));
            let (plain, given) = (plain.unwrap(), given.unwrap());
            prop_assert_eq!(plain.text(), given.text());
            prop_assert_eq!(plain.values().len(), given.values().len());
        }
    }
}
