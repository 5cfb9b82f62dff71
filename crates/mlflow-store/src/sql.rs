//! A statement under construction: fixed fragments of SQL, and values that are bound and never spliced.

use crate::dialect::Dialect;

/// A value that a statement binds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Int(i64),
    Real(f64),
    Bool(bool),
    Text(String),
    /// A native array; PostgreSQL only.
    Texts(Vec<String>),
    /// A native array; PostgreSQL only.
    Ints(Vec<i64>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// What can be a value of a list.
pub(crate) trait Listed: Clone + Into<Value> + Into<serde_json::Value> {
    /// The list as a native array.
    fn array(values: &[Self]) -> Value;
}

impl Listed for i64 {
    fn array(values: &[Self]) -> Value {
        Value::Ints(values.to_vec())
    }
}

impl Listed for String {
    fn array(values: &[Self]) -> Value {
        Value::Texts(values.to_vec())
    }
}

/// SQL text with the values bound to it.
///
/// The text grows by fixed fragments only; whatever a user sent can enter as a bound value and in no other way.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    dialect: Dialect,
    text: String,
    values: Vec<Value>,
    is_planned_for_values: bool,
}

impl Statement {
    pub(crate) fn new(dialect: Dialect, start: &'static str) -> Self {
        let mut text = String::with_capacity(512);
        text.push_str(start);
        Self {
            dialect,
            text,
            values: Vec::new(),
            is_planned_for_values: false,
        }
    }

    /// Has PostgreSQL plan it for the values that it has. A statement that comes again and again is soon planned for any: that
    /// saves 1.5 ms each time, and looks for a value that is rare as if it were common.
    pub(crate) fn plan_for_values(&mut self) {
        self.is_planned_for_values = true;
    }

    pub(crate) fn is_planned_for_values(&self) -> bool {
        self.is_planned_for_values
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Adds a fixed fragment.
    pub(crate) fn push(&mut self, fragment: &'static str) -> &mut Self {
        self.text.push_str(fragment);
        self
    }

    /// Adds the fragment for the statement's database.
    pub(crate) fn pick(&mut self, sqlite: &'static str, postgres: &'static str) -> &mut Self {
        self.push(self.dialect.pick(sqlite, postgres))
    }

    /// Adds a number, as a part of an alias (`j0`, `j1`, …).
    pub(crate) fn number(&mut self, number: usize) -> &mut Self {
        self.text.push_str(&number.to_string());
        self
    }

    /// Binds a value and adds its placeholder: both databases take `$n`.
    ///
    /// For PostgreSQL the type stands beside it. A prepared statement is known by its text alone, and one that was prepared
    /// for a whole number would take the bytes of a double for one.
    pub(crate) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        let value = value.into();
        let postgres_type = match &value {
            Value::Int(_) => "::bigint",
            Value::Real(_) => "::double precision",
            Value::Bool(_) => "::boolean",
            Value::Text(_) => "::text",
            Value::Texts(_) => "::text[]",
            Value::Ints(_) => "::bigint[]",
        };
        self.values.push(value);
        self.text.push('$');
        self.number(self.values.len()).pick("", postgres_type)
    }

    /// Binds a list as one value and adds its placeholder: a native array in PostgreSQL, JSON in SQLite, which has none.
    pub(crate) fn bind_list<T: Listed>(&mut self, values: &[T]) -> &mut Self {
        match self.dialect {
            Dialect::Sqlite => self.bind(serde_json::Value::from(values).to_string()),
            Dialect::Postgres => self.bind(T::array(values)),
        }
    }

    /// Adds the condition that a column holds one of these values, which are bound as one.
    ///
    /// A list of one becomes an equality, so that an index on the column can serve an order as well.
    pub(crate) fn is_one_of<T: Listed>(&mut self, column: &'static str, values: &[T]) -> &mut Self {
        match values {
            [] => self.push("FALSE"),
            [only] => self.push(column).push(" = ").bind(only.clone()),
            many => {
                self.push(column);
                self.pick(" IN (SELECT value FROM json_each(", " = ANY(");
                self.bind_list(many).pick("))", ")")
            }
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }

    /// The text and the values, in the order of their placeholders.
    #[cfg(test)]
    pub(crate) fn into_parts(self) -> (String, Vec<Value>) {
        (self.text, self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_bound_in_order() {
        let mut statement = Statement::new(Dialect::Sqlite, "SELECT 1 WHERE a");
        statement.push(" > ").bind(5).push(" AND b").number(2);
        statement
            .pick(" IS ", " = ")
            .bind("x'; --")
            .push(" AND c = ")
            .bind(1.5)
            .push(" AND d = ")
            .bind(true);
        let (text, values) = statement.into_parts();
        assert_eq!(text, "SELECT 1 WHERE a > $1 AND b2 IS $2 AND c = $3 AND d = $4");
        let bound = [
            Value::Int(5),
            "x'; --".into(),
            Value::Real(1.5),
            Value::Bool(true),
        ];
        assert_eq!(values, bound);
    }

    #[test]
    fn a_list_is_one_value() {
        let written = |dialect, values: &[i64]| {
            let mut statement = Statement::new(dialect, "");
            statement.is_one_of("t.x", values);
            statement.into_parts()
        };
        let (text, values) = written(Dialect::Sqlite, &[1, 2]);
        assert_eq!(text, "t.x IN (SELECT value FROM json_each($1))");
        assert_eq!(values, ["[1,2]".into()]);
        let (text, values) = written(Dialect::Postgres, &[1, 2]);
        assert_eq!(
            (text.as_str(), values),
            ("t.x = ANY($1::bigint[])", vec![Value::Ints(vec![1, 2])])
        );
        assert_eq!(
            written(Dialect::Postgres, &[7]),
            ("t.x = $1::bigint".into(), vec![Value::Int(7)])
        );
        assert_eq!(written(Dialect::Sqlite, &[]), ("FALSE".into(), vec![]));
    }

    #[test]
    fn texts_are_listed_as_they_are() {
        let texts = ["a\"b".to_owned(), "ß".to_owned()];
        let mut statement = Statement::new(Dialect::Sqlite, "");
        statement.is_one_of("t.x", &texts);
        assert_eq!(statement.values(), [r#"["a\"b","ß"]"#.into()]);
        let mut statement = Statement::new(Dialect::Postgres, "");
        statement.is_one_of("t.x", &texts);
        assert_eq!(statement.values(), [Value::Texts(texts.to_vec())]);
    }
}
