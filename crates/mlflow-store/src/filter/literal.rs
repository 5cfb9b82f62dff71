//! The texts of an `IN` list, which MLflow reads as Python literals: there, and only there, escapes have a meaning.

use super::refusal::Refusal;
use super::scanner::Scanner;

/// Values of one list, at most.
pub(super) const MAX_VALUES: usize = 10_000;

/// Reads `('a', "b", …)`; the scanner stands at the parenthesis.
pub(super) fn read_list(scanner: &mut Scanner<'_>) -> Result<Vec<String>, Refusal> {
    scanner.eat('(');
    let mut values = Vec::new();
    loop {
        scanner.skip_space();
        if scanner.eat(')') {
            break;
        }
        if values.len() == MAX_VALUES {
            return Err(Refusal::new(format!(
                "a list may hold at most {MAX_VALUES} values"
            )));
        }
        values.push(read_texts(scanner)?);
        scanner.skip_space();
        if !scanner.eat(',') && scanner.peek() != Some(')') {
            return Err(ill_formed());
        }
    }
    if values.is_empty() {
        return Err(Refusal::new("a list must hold at least one value"));
    }
    Ok(values)
}

fn ill_formed() -> Refusal {
    Refusal::new("a list must be quoted values between parentheses, with commas between them: ('a', 'b')")
}

/// One value: a literal, or several that stand side by side, which Python joins.
fn read_texts(scanner: &mut Scanner<'_>) -> Result<String, Refusal> {
    let mut value = String::new();
    let mut has_any = false;
    loop {
        let is_raw = match scanner.peek() {
            Some('\'' | '"') => false,
            Some(prefix @ ('r' | 'R' | 'u' | 'U')) => {
                scanner.next();
                matches!(prefix, 'r' | 'R')
            }
            _ if has_any => return Ok(value),
            _ => return Err(ill_formed()),
        };
        read_text(scanner, is_raw, &mut value)?;
        has_any = true;
        scanner.skip_space();
    }
}

fn read_text(scanner: &mut Scanner<'_>, is_raw: bool, value: &mut String) -> Result<(), Refusal> {
    // Python reads three quotes as one that three others close.
    if ["'''", "\"\"\""]
        .iter()
        .any(|quotes| scanner.rest().starts_with(quotes))
    {
        return Err(Refusal::new("a value in a list must not begin with three quotes"));
    }
    let Some(quote @ ('\'' | '"')) = scanner.next() else {
        return Err(ill_formed());
    };
    loop {
        match scanner.next() {
            None | Some('\n') => return Err(Refusal::new("a quote in a list is never closed")),
            Some(end) if end == quote => return Ok(()),
            Some('\\') if is_raw => {
                value.push('\\');
                value.extend(scanner.next());
            }
            Some('\\') => read_escape(scanner, value)?,
            Some(character) => value.push(character),
        }
    }
}

/// What follows a backslash. One that Python gives no meaning to stays in the text.
fn read_escape(scanner: &mut Scanner<'_>, value: &mut String) -> Result<(), Refusal> {
    let Some(kind) = scanner.next() else {
        return Err(ill_formed());
    };
    let character = match kind {
        '\n' => return Ok(()),
        '\\' | '\'' | '"' => kind,
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        'x' => numbered(scanner, "", 2, 2, 16)?,
        'u' => numbered(scanner, "", 4, 4, 16)?,
        'U' => numbered(scanner, "", 8, 8, 16)?,
        'N' => {
            return Err(Refusal::new(
                "a value in a list must not name a character with \\N",
            ));
        }
        '0'..='7' => numbered(scanner, kind.encode_utf8(&mut [0; 4]), 0, 2, 8)?,
        other => {
            value.push('\\');
            other
        }
    };
    if character == '\0' {
        return Err(Refusal::new("a value must hold no NUL: no database keeps it"));
    }
    value.push(character);
    Ok(())
}

/// A character by its number, of some digits more.
fn numbered(
    scanner: &mut Scanner<'_>,
    start: &str,
    least: usize,
    most: usize,
    radix: u32,
) -> Result<char, Refusal> {
    let mut digits = start.to_owned();
    while digits.len() < start.len() + most {
        let Some(digit) = scanner.peek().filter(|digit| digit.is_digit(radix)) else {
            break;
        };
        scanner.next();
        digits.push(digit);
    }
    let number = u32::from_str_radix(&digits, radix)
        .ok()
        .filter(|_| digits.len() >= start.len() + least);
    number
        .and_then(char::from_u32)
        .ok_or_else(|| Refusal::new("a value in a list has an escape that names no character"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, Refusal> {
        let mut scanner = Scanner::new(text);
        let values = read_list(&mut scanner)?;
        assert!(scanner.is_done(), "{text}: {}", scanner.rest());
        Ok(values)
    }

    #[test]
    fn lists_are_read_as_python_reads_them() {
        let cases: [(&str, &[&str]); 15] = [
            ("('a')", &["a"]),
            ("( 'a' ,\n\"b\" , )", &["a", "b"]),
            ("('a' 'b', 'c')", &["ab", "c"]),
            ("('it''s')", &["its"]),
            (r"('it\'s')", &["it's"]),
            (r"('a\\')", &[r"a\"]),
            (r"('a\n\x41\t')", &["a\nA\t"]),
            (r"('\u00e9\U0001F600')", &["é😀"]),
            (r"('\101\7x')", &["A\u{7}x"]),
            (r"('\d\.')", &[r"\d\."]),
            (r"(r'a\n\'')", &[r"a\n\'"]),
            ("(u'a', R\"b\")", &["a", "b"]),
            ("('a)b')", &["a)b"]),
            ("('größe')", &["größe"]),
            ("('')", &[""]),
        ];
        for (text, values) in cases {
            assert_eq!(read(text).unwrap(), values, "{text}");
        }
    }

    #[test]
    fn what_is_no_list_of_texts_is_refused() {
        let texts = [
            "()",
            "( )",
            "(,)",
            "('a',,'b')",
            "(1)",
            "('a', 1)",
            "(b'a')",
            "(f'a')",
            "(a)",
            "('a' b)",
            "('a'",
            "('a",
            "('a\nb')",
            r"('\x4')",
            r"('\ud800')",
            r"('\U00110000')",
            r"('\N{DIGIT ONE}')",
            r"('\x00')",
            r"('\0')",
            "(('a'))",
            r"('a\",
            "(r",
            "(u)",
            "('''a''')",
            "('''a')",
            "(\"\"\"a\"\"\")",
        ];
        for text in texts {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_has_a_limit() {
        let list = |count: usize| format!("({})", vec!["'a'"; count].join(","));
        assert_eq!(read(&list(MAX_VALUES)).unwrap().len(), MAX_VALUES);
        assert!(read(&list(MAX_VALUES + 1)).is_err());
    }
}
