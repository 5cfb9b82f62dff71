//! The token and cost metadata, which MLflow 3.17.2 keeps in columns and gives out as the JSON text it makes of them.
//!
//! A filter that equals that text, to the character, finds the trace; any other text equals none.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::test::{KeyedTest, TextTest};
use super::traces::TOKEN_USAGE;
use crate::python_json;
use crate::sql::{Statement, Value};

/// A member of the JSON, and its column.
type Member = (&'static str, &'static str);

const TOKEN_USAGE_MEMBERS: &[Member] = &[
    ("input_tokens", "t.input_tokens"),
    ("output_tokens", "t.output_tokens"),
    ("total_tokens", "t.total_tokens"),
    ("cache_read_input_tokens", "t.cache_read_input_tokens"),
    ("cache_creation_input_tokens", "t.cache_creation_input_tokens"),
    (
        "cache_creation_input_tokens_above_1hr",
        "t.cache_creation_input_tokens_above_1hr",
    ),
];

const COST_MEMBERS: &[Member] = &[
    ("input_cost", "t.input_cost"),
    ("output_cost", "t.output_cost"),
    ("total_cost", "t.total_cost"),
];

/// Pushes a condition on the metadata of this key, one of the two.
pub(super) fn push_analytics(statement: &mut Statement, key: &str, test: &KeyedTest) {
    let members = if key == TOKEN_USAGE {
        TOKEN_USAGE_MEMBERS
    } else {
        COST_MEMBERS
    };
    match test {
        KeyedTest::Absent => {
            statement.push("NOT ");
            push_any(statement, members);
        }
        KeyedTest::Present => push_any(statement, members),
        KeyedTest::Text(TextTest::Is(json)) => push_equal(statement, members, &canonical(members, key, json)),
        KeyedTest::Text(TextTest::IsNot(json)) => {
            push_any(statement, members);
            statement.push(" AND NOT ");
            push_equal(statement, members, &canonical(members, key, json));
        }
        // These are refused when the filter is read.
        KeyedTest::Text(_) => {
            statement.push("FALSE");
        }
    }
}

fn push_any(statement: &mut Statement, members: &[Member]) {
    let mut joint = "(";
    for (_, column) in members {
        statement.push(joint).push(column).push(" IS NOT NULL");
        joint = " OR ";
    }
    statement.push(")");
}

fn push_equal(statement: &mut Statement, members: &[Member], values: &HashMap<&'static str, Value>) {
    if values.is_empty() {
        statement.push("FALSE");
        return;
    }
    let mut joint = "(";
    for (name, column) in members {
        statement.push(joint).push(column);
        match values.get(name) {
            // NOT of a whole needs each part to be true or false.
            Some(value) => statement
                .push(" IS NOT NULL AND ")
                .push(column)
                .push(" = ")
                .bind(value.clone()),
            None => statement.push(" IS NULL"),
        };
        joint = " AND ";
    }
    statement.push(")");
}

/// The members of a JSON text that is written as MLflow writes it; none of any other text.
fn canonical(members: &[Member], key: &str, json: &str) -> HashMap<&'static str, Value> {
    let read: HashMap<String, &RawValue> = serde_json::from_str(json).unwrap_or_default();
    let mut written = Vec::new();
    let mut values = HashMap::new();
    for (name, _) in members {
        let Some(number) = read.get(*name).map(|number| number.get()) else {
            continue;
        };
        let (text, value) = if key == TOKEN_USAGE {
            let Ok(count) = number.parse::<i64>() else {
                return HashMap::new();
            };
            (count.to_string(), Value::Int(count))
        } else {
            let Some(cost) = number.parse::<f64>().ok().filter(|cost| cost.is_finite()) else {
                return HashMap::new();
            };
            (python_json::float(cost), Value::Real(cost))
        };
        written.push(format!("\"{name}\": {text}"));
        values.insert(*name, value);
    }
    let is_canonical = json == format!("{{{}}}", written.join(", "));
    if is_canonical { values } else { HashMap::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::traces::COST;

    fn is_canonical(key: &str, json: &str) -> bool {
        let members = if key == TOKEN_USAGE {
            TOKEN_USAGE_MEMBERS
        } else {
            COST_MEMBERS
        };
        !canonical(members, key, json).is_empty()
    }

    #[test]
    fn only_the_text_that_mlflow_writes_equals() {
        for json in [
            r#"{"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}"#,
            r#"{"total_tokens": -1}"#,
        ] {
            assert!(is_canonical(TOKEN_USAGE, json), "{json}");
        }
        for json in [
            "",
            "{}",
            "5",
            r#"{"input_tokens":10}"#,
            r#"{"input_tokens": 10.0}"#,
            r#"{"input_tokens": "10"}"#,
            r#"{"input_tokens": null}"#,
            r#"{"output_tokens": 5, "input_tokens": 10}"#,
            r#"{"input_tokens": 10, "other": 5}"#,
            r#"{"input_tokens": 99999999999999999999}"#,
        ] {
            assert!(!is_canonical(TOKEN_USAGE, json), "{json}");
        }
        for json in [
            r#"{"input_cost": 0.1, "total_cost": 1e-05}"#,
            r#"{"output_cost": 5.0}"#,
        ] {
            assert!(is_canonical(COST, json), "{json}");
        }
        for json in [
            r#"{"input_cost": 5}"#,
            r#"{"input_cost": 0.10}"#,
            r#"{"input_cost": 0.00001}"#,
        ] {
            assert!(!is_canonical(COST, json), "{json}");
        }
    }
}
