//! What a value is tested for, once it is known what it is: of text, of a number, or for being there.

use super::comparator::Comparator;
use super::grammar::{Comparison, Operand};
use super::refusal::{Refusal, listing};
use crate::sql::Statement;

/// A test of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TextTest {
    Is(String),
    IsNot(String),
    Like(String),
    ILike(String),
    RLike(String),
    OneOf(Vec<String>),
    NoneOf(Vec<String>),
}

/// A test of a value that a key may have, as tags do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyedTest {
    Present,
    Absent,
    Text(TextTest),
}

/// A number of a filter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Real(f64),
}

/// A test of a number; the comparator is one of those that compare.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct NumberTest<T> {
    pub(super) comparator: Comparator,
    pub(super) value: T,
}

/// `=` and `!=`, then those of texts, as MLflow 3.17.2 accepts them of one kind of key or another.
pub(super) const EQUALITY: &[Comparator] = &[Comparator::Equal, Comparator::NotEqual];
pub(super) const PATTERNS: &[Comparator] = &[Comparator::Like, Comparator::ILike];
pub(super) const REGEX: &[Comparator] = &[Comparator::RLike];
pub(super) const LISTS: &[Comparator] = &[Comparator::In, Comparator::NotIn];
pub(super) const PRESENCE: &[Comparator] = &[Comparator::IsNull, Comparator::IsNotNull];
pub(super) const RANGES: &[Comparator] = &[
    Comparator::Less,
    Comparator::LessOrEqual,
    Comparator::Greater,
    Comparator::GreaterOrEqual,
];

impl Comparison {
    /// A refusal that names this comparison.
    pub(super) fn refuse(&self, why: impl std::fmt::Display) -> Refusal {
        Refusal::new(format!("`{}`: {why}", self.written))
    }

    /// Refuses a comparator that what is compared does not take.
    pub(super) fn check_comparator(&self, what: &str, possible: &[&[Comparator]]) -> Result<(), Refusal> {
        let possible = possible.concat();
        if possible.contains(&self.comparator) {
            return Ok(());
        }
        let names: Vec<&str> = possible.iter().map(|comparator| comparator.as_str()).collect();
        Err(self.refuse(format!(
            "{what} cannot be compared with {}; it takes {}",
            self.comparator.as_str(),
            listing(&names)
        )))
    }

    pub(super) fn text(&self, what: &str) -> Result<String, Refusal> {
        match &self.operand {
            Operand::Text(text) => Ok(text.clone()),
            _ => Err(self.refuse(format!("{what} is compared with a text between quotes"))),
        }
    }

    pub(super) fn text_test(&self, what: &str, possible: &[&[Comparator]]) -> Result<TextTest, Refusal> {
        self.check_comparator(what, possible)?;
        let list = match &self.operand {
            Operand::List(values) => values.clone(),
            _ => Vec::new(),
        };
        let test = match self.comparator {
            Comparator::In => TextTest::OneOf(list),
            Comparator::NotIn => TextTest::NoneOf(list),
            Comparator::NotEqual => TextTest::IsNot(self.text(what)?),
            Comparator::Like => TextTest::Like(self.text(what)?),
            Comparator::ILike => TextTest::ILike(self.text(what)?),
            Comparator::RLike => TextTest::RLike(self.text(what)?),
            _ => TextTest::Is(self.text(what)?),
        };
        Ok(test)
    }

    pub(super) fn keyed_test(&self, what: &str, possible: &[&[Comparator]]) -> Result<KeyedTest, Refusal> {
        match self.comparator {
            Comparator::IsNull => Ok(KeyedTest::Absent),
            Comparator::IsNotNull => Ok(KeyedTest::Present),
            _ => {
                let with_presence = [possible, &[PRESENCE]].concat();
                self.text_test(what, &with_presence).map(KeyedTest::Text)
            }
        }
    }

    /// A test of a column of whole numbers, which may be compared with others.
    pub(super) fn number_test(&self, what: &str) -> Result<NumberTest<Number>, Refusal> {
        let written = self.number(what)?;
        let value = if written.contains(['.', 'e', 'E']) {
            written.parse().map(Number::Real).ok()
        } else {
            written.parse().map(Number::Int).ok()
        };
        let comparator = self.comparator;
        let value = value.ok_or_else(|| self.refuse(format!("{written} is beyond what {what} can be")))?;
        Ok(NumberTest { comparator, value })
    }

    /// A test of a column of fractions.
    pub(super) fn real_test(&self, what: &str) -> Result<NumberTest<f64>, Refusal> {
        let written = self.number(what)?;
        let comparator = self.comparator;
        let value = written
            .parse()
            .map_err(|_| self.refuse(format!("{written} is no number")))?;
        Ok(NumberTest { comparator, value })
    }

    fn number(&self, what: &str) -> Result<&str, Refusal> {
        match &self.operand {
            Operand::Number(written) => {
                self.check_comparator(what, &[EQUALITY, RANGES])?;
                Ok(written)
            }
            _ => Err(self.refuse(format!("{what} is compared with a number, without quotes"))),
        }
    }
}

impl TextTest {
    /// Pushes the condition that a column passes.
    pub(super) fn push(&self, statement: &mut Statement, column: &'static str) {
        match self {
            Self::Is(text) => statement.push(column).push(" = ").bind(text.as_str()),
            Self::IsNot(text) => statement.push(column).push(" <> ").bind(text.as_str()),
            Self::Like(pattern) => {
                let pattern = for_database(pattern, statement);
                statement.push(column).push(" LIKE ").bind(pattern)
            }
            Self::ILike(pattern) => {
                let pattern = for_database(pattern, statement);
                // SQLite's lower() knows ASCII only, and so does MLflow on SQLite.
                statement
                    .pick("lower(", "")
                    .push(column)
                    .pick(") LIKE lower(", " ILIKE ");
                statement.bind(pattern).pick(")", "")
            }
            Self::RLike(pattern) => statement
                .push(column)
                .pick(" REGEXP ", " ~ ")
                .bind(pattern.as_str()),
            Self::OneOf(texts) => statement.is_one_of(column, texts),
            Self::NoneOf(texts) => statement.push("NOT (").is_one_of(column, texts).push(")"),
        };
    }
}

/// A pattern that means itself at its end. A backslash is nothing special to SQLite; to PostgreSQL it needs a character
/// after it, and the statement fails where there is none.
fn for_database(pattern: &str, statement: &Statement) -> String {
    let backslashes = pattern.len() - pattern.trim_end_matches('\\').len();
    let missing = if backslashes % 2 == 1 {
        statement.dialect().pick("", "\\")
    } else {
        ""
    };
    format!("{pattern}{missing}")
}

/// How a comparator of numbers is written.
fn symbol(comparator: Comparator) -> &'static str {
    match comparator {
        Comparator::NotEqual => " <> ",
        Comparator::Less => " < ",
        Comparator::LessOrEqual => " <= ",
        Comparator::Greater => " > ",
        Comparator::GreaterOrEqual => " >= ",
        _ => " = ",
    }
}

impl NumberTest<Number> {
    pub(super) fn push(self, statement: &mut Statement, column: &'static str) {
        statement.push(column).push(symbol(self.comparator));
        match self.value {
            Number::Int(number) => statement.bind(number),
            Number::Real(number) => statement.bind(number),
        };
    }
}

impl NumberTest<f64> {
    pub(super) fn push(self, statement: &mut Statement, column: &'static str) {
        statement
            .push(column)
            .push(symbol(self.comparator))
            .bind(self.value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;
    use crate::sql::Value;

    #[test]
    fn each_database_gets_its_own_patterns() {
        let pushed = |dialect, test: &TextTest| {
            let mut statement = Statement::new(dialect, "");
            test.push(&mut statement, "c");
            statement.into_parts()
        };
        let like = TextTest::Like("a\\".into());
        assert_eq!(
            pushed(Dialect::Sqlite, &like),
            ("c LIKE $1".into(), vec!["a\\".into()])
        );
        assert_eq!(pushed(Dialect::Postgres, &like).1, ["a\\\\".into()]);
        let whole = TextTest::Like("a\\\\".into());
        assert_eq!(pushed(Dialect::Postgres, &whole).1, ["a\\\\".into()]);
        let in_any_case = TextTest::ILike("A%".into());
        assert_eq!(pushed(Dialect::Sqlite, &in_any_case).0, "lower(c) LIKE lower($1)");
        assert_eq!(pushed(Dialect::Postgres, &in_any_case).0, "c ILIKE $1::text");
        let regex = TextTest::RLike("^a".into());
        assert_eq!(pushed(Dialect::Sqlite, &regex).0, "c REGEXP $1");
        assert_eq!(pushed(Dialect::Postgres, &regex).0, "c ~ $1::text");
        let none = TextTest::NoneOf(vec!["a".into()]);
        assert_eq!(pushed(Dialect::Sqlite, &none).0, "NOT (c = $1)");
    }

    #[test]
    fn numbers_keep_their_type() {
        let mut statement = Statement::new(Dialect::Sqlite, "");
        let comparator = Comparator::GreaterOrEqual;
        let (int, real) = (Number::Int(5), Number::Real(5.0));
        NumberTest {
            comparator,
            value: int,
        }
        .push(&mut statement, "a");
        NumberTest {
            comparator,
            value: real,
        }
        .push(&mut statement, "b");
        let (text, values) = statement.into_parts();
        assert_eq!(text, "a >= $1b >= $2");
        assert_eq!(values, [Value::Int(5), Value::Real(5.0)]);
    }
}
