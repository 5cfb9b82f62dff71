//! The comparisons of a filter: `key comparator value`, joined by AND.
//!
//! As MLflow does it, AND only stands between comparisons and means nothing: one too many changes nothing, and neither
//! does one too few.

use super::comparator::Comparator;
use super::key::Key;
use super::literal::read_list;
use super::refusal::{Refusal, excerpt};
use super::scanner::{Scanner, is_word};

/// The longest filter, in bytes.
const MAX_LENGTH: usize = 64 * 1024;

/// Comparisons of one filter, at most: each is a condition of the statement.
const MAX_COMPARISONS: usize = 100;

/// What a key is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operand {
    /// Nothing: `IS NULL`.
    Nothing,
    /// A quoted text, as it stands between its quotes.
    Text(String),
    /// A number as it is written.
    Number(String),
    /// A list of quoted texts.
    List(Vec<String>),
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comparison {
    pub(super) key: Key,
    pub(super) comparator: Comparator,
    pub(super) operand: Operand,
    /// The start of how it was written, for messages.
    pub(super) written: String,
}

/// Reads a filter.
pub(super) fn read_comparisons(filter: &str) -> Result<Vec<Comparison>, Refusal> {
    if filter.len() > MAX_LENGTH {
        return Err(Refusal::new(format!(
            "the filter is longer than {MAX_LENGTH} bytes"
        )));
    }
    if filter.contains('\0') {
        return Err(Refusal::new("the filter must hold no NUL: no database keeps it"));
    }
    let mut scanner = Scanner::new(filter);
    let mut comparisons = Vec::new();
    loop {
        scanner.skip_space();
        if scanner.is_done() {
            return Ok(comparisons);
        }
        if scanner.eat_keyword("AND") {
            continue;
        }
        if comparisons.len() == MAX_COMPARISONS {
            let message = format!("the filter has more than {MAX_COMPARISONS} comparisons");
            return Err(Refusal::new(message));
        }
        comparisons.push(read_comparison(&mut scanner)?);
    }
}

/// The texts that keys are compared with.
#[cfg(feature = "doors")]
pub(crate) fn texts(filter: &str) -> Result<Vec<String>, Refusal> {
    let texts = |comparison: Comparison| match comparison.operand {
        Operand::Text(text) => vec![text],
        Operand::List(texts) => texts,
        Operand::Nothing | Operand::Number(_) => Vec::new(),
    };
    Ok(read_comparisons(filter)?.into_iter().flat_map(texts).collect())
}

fn read_comparison(scanner: &mut Scanner<'_>) -> Result<Comparison, Refusal> {
    let start = scanner.place();
    let key = read_key(scanner)?;
    scanner.skip_space();
    let comparator = read_comparator(scanner, key)?;
    scanner.skip_space();
    let key = Key::new(key)?;
    let operand = read_operand(scanner, comparator)?;
    Ok(Comparison {
        key,
        comparator,
        operand,
        written: excerpt(scanner.since(start)),
    })
}

fn read_key<'a>(scanner: &mut Scanner<'a>) -> Result<&'a str, Refusal> {
    if scanner.eat_keyword("OR") || scanner.peek() == Some('(') {
        return Err(Refusal::new(
            "a filter is comparisons joined by AND; OR and parentheses around them are not possible",
        ));
    }
    let rest = scanner.rest();
    let key = scanner.key()?;
    if key.is_empty() || key.starts_with(|first: char| first.is_ascii_digit()) {
        let message = format!(
            "expected a key, such as status or tags.`my key`, and found: {}",
            excerpt(rest)
        );
        return Err(Refusal::new(message));
    }
    Ok(key)
}

fn read_comparator(scanner: &mut Scanner<'_>, key: &str) -> Result<Comparator, Refusal> {
    let mut ahead = scanner.clone();
    let symbols = ahead.take_while(|character| matches!(character, '<' | '>' | '=' | '~' | '!'));
    let written = if symbols.is_empty() {
        words(&mut ahead)
    } else {
        symbols.to_owned()
    };
    let mut all = Comparator::ALL.into_iter();
    if let Some(comparator) = all.find(|comparator| comparator.as_str() == written) {
        *scanner = ahead;
        return Ok(comparator);
    }
    let hint = match scanner.peek() {
        Some('-' | '/' | '$' | '#' | '@' | ':' | '+' | '*') => {
            "; a key with other characters than letters, digits, _ and . must be quoted: tags.`my-key`"
        }
        _ => "",
    };
    let possible = Comparator::ALL.map(Comparator::as_str).join(", ");
    Err(Refusal::new(format!(
        "expected a comparator after `{}` ({possible}), and found: {}{hint}",
        excerpt(key),
        excerpt(scanner.rest())
    )))
}

/// A comparator that is made of words, in capitals and with one space between them.
fn words(scanner: &mut Scanner<'_>) -> String {
    let mut words = scanner.word().to_ascii_uppercase();
    let followers: &[&str] = match words.as_str() {
        "IS" => &["NOT", "NULL"],
        "NOT" => &["IN"],
        _ => &[],
    };
    for follower in followers {
        let mut ahead = scanner.clone();
        ahead.skip_space();
        if ahead.eat_keyword(follower) {
            *scanner = ahead;
            words.push(' ');
            words.push_str(follower);
        }
    }
    words
}

fn read_operand(scanner: &mut Scanner<'_>, comparator: Comparator) -> Result<Operand, Refusal> {
    if matches!(comparator, Comparator::IsNull | Comparator::IsNotNull) {
        return Ok(Operand::Nothing);
    }
    let takes_list = matches!(comparator, Comparator::In | Comparator::NotIn);
    let comparator = comparator.as_str();
    match scanner.peek() {
        Some('(') if takes_list => return Ok(Operand::List(read_list(scanner)?)),
        Some('(') => {
            return Err(Refusal::new(format!(
                "{comparator} takes one value; a list goes with IN or NOT IN"
            )));
        }
        _ if takes_list => {
            return Err(Refusal::new(format!(
                "{comparator} takes a list of quoted values between parentheses: ('a', 'b')"
            )));
        }
        Some('\'' | '"') => return Ok(Operand::Text(scanner.quoted()?.to_owned())),
        _ => {}
    }
    let rest = scanner.rest();
    let number = scanner.number();
    if number.is_empty() || scanner.peek().is_some_and(is_word) {
        return Err(Refusal::new(format!(
            "expected a value after {comparator}, a number or a text between quotes, and found: {}",
            excerpt(rest)
        )));
    }
    Ok(Operand::Number(number.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(filter: &str) -> Vec<(String, Comparator, Operand)> {
        let comparisons = read_comparisons(filter).unwrap();
        let parts = comparisons.into_iter().map(|comparison| {
            let Key { entity, name } = comparison.key;
            let key = entity.map_or(name.clone(), |entity| format!("{entity}:{name}"));
            (key, comparison.comparator, comparison.operand)
        });
        parts.collect()
    }

    fn text(text: &str) -> Operand {
        Operand::Text(text.to_owned())
    }

    #[test]
    fn comparisons_are_joined_by_and() {
        let two = [
            ("a".to_owned(), Comparator::Equal, text("x")),
            (
                "tags:b".to_owned(),
                Comparator::GreaterOrEqual,
                Operand::Number("5".into()),
            ),
        ];
        for filter in [
            "a = 'x' AND tags.b >= 5",
            "a='x'and tags.b>=5",
            "\n a  =\t\"x\"  aNd  tags.`b` >= 5 ",
            "AND a = 'x' AND AND tags.b >= 5 AND",
            "a = 'x' tags.b >= 5",
        ] {
            assert_eq!(read(filter), two, "{filter}");
        }
        for nothing in ["", "  ", "AND", " and AND"] {
            assert_eq!(read(nothing), [], "{nothing}");
        }
    }

    #[test]
    fn comparators_are_read_in_any_case() {
        let list = Operand::List(vec!["x".into()]);
        let cases = [
            ("a like 'x'", Comparator::Like, text("x")),
            ("a ILIKE'x'", Comparator::ILike, text("x")),
            ("a rlike 'x'", Comparator::RLike, text("x")),
            ("a in('x')", Comparator::In, list.clone()),
            ("a Not  In ('x')", Comparator::NotIn, list),
            ("a is null", Comparator::IsNull, Operand::Nothing),
            ("a IS\nNOT  NULL", Comparator::IsNotNull, Operand::Nothing),
            ("a<='x'", Comparator::LessOrEqual, text("x")),
            (
                "a != -1.5e3",
                Comparator::NotEqual,
                Operand::Number("-1.5e3".into()),
            ),
        ];
        for (filter, comparator, operand) in cases {
            assert_eq!(read(filter), [("a".to_owned(), comparator, operand)], "{filter}");
        }
    }

    #[test]
    fn a_refusal_says_what_was_found() {
        let cases = [
            ("a = 'x' OR b = 'y'", "OR and parentheses"),
            ("(a = 'x')", "OR and parentheses"),
            ("tags.my-key = 'x'", "must be quoted"),
            ("a == 'x'", "expected a comparator after `a`"),
            ("a NOT LIKE 'x'", "expected a comparator"),
            ("a IS 'x'", "expected a comparator"),
            ("a = x", "between quotes"),
            ("a = `x`", "between quotes"),
            ("a = 'x", "never closed"),
            ("a IN 'x'", "list of quoted values"),
            ("a = ('x')", "a list goes with IN"),
            ("a = 10ms", "found: 10ms"),
            ("a = 0x1F", "found: 0x1F"),
            ("a = 'x';", "expected a key"),
            ("5 < a", "expected a key"),
            ("'x' = a", "expected a key"),
            ("a = 'x' -- y", "expected a key"),
            ("tags. = 'x'", "names no key"),
            ("a = 'x\0'", "NUL"),
            ("a", "expected a comparator"),
            ("a =", "expected a value"),
        ];
        for (filter, part) in cases {
            let message = read_comparisons(filter).unwrap_err().to_string();
            assert!(message.contains(part), "{filter}: {message}");
        }
    }

    #[test]
    fn filters_have_limits() {
        let filter = |count| vec!["a = 'x'"; count].join(" AND ");
        assert_eq!(read(&filter(MAX_COMPARISONS)).len(), MAX_COMPARISONS);
        assert!(read_comparisons(&filter(MAX_COMPARISONS + 1)).is_err());
        assert!(read_comparisons(&format!("a = '{}'", "x".repeat(MAX_LENGTH))).is_err());
    }
}
