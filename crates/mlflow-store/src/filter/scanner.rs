//! The smallest parts of a filter's text: words, quoted texts, numbers, keys.
//!
//! Where these end is what sqlparse says, which MLflow reads filters with: a doubled quote, or a quote after a backslash,
//! does not end a text, and both stay in it as they are.

use super::refusal::{Refusal, excerpt};

/// A place in a text.
#[derive(Debug, Clone)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// What was read since a place.
    pub(super) fn since(&self, place: usize) -> &'a str {
        self.text.get(place..self.at).unwrap_or_default()
    }

    pub(super) fn is_done(&self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn skip_space(&mut self) {
        self.take_while(char::is_whitespace);
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    pub(super) fn eat(&mut self, expected: char) -> bool {
        let is_there = self.peek() == Some(expected);
        if is_there {
            self.at += expected.len_utf8();
        }
        is_there
    }

    /// The characters from here that are all of a kind; maybe none.
    pub(super) fn take_while(&mut self, is_kind: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|character| !is_kind(character)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// A word; maybe empty.
    pub(super) fn word(&mut self) -> &'a str {
        self.take_while(is_word)
    }

    /// Goes past a keyword, in any case, if it stands here.
    pub(super) fn eat_keyword(&mut self, keyword: &str) -> bool {
        let mut ahead = self.clone();
        let is_there = ahead.word().eq_ignore_ascii_case(keyword) && ahead.peek() != Some('.');
        if is_there {
            *self = ahead;
        }
        is_there
    }

    /// The text between the quote that stands here and the one that ends it, raw.
    pub(super) fn quoted(&mut self) -> Result<&'a str, Refusal> {
        let unclosed = || Refusal::new(format!("a quote is never closed: {}", excerpt(self.rest())));
        let Some(quote @ ('\'' | '"' | '`')) = self.peek() else {
            return Err(unclosed());
        };
        let inside = self.rest().get(1..).unwrap_or_default();
        let length = closing_quote(inside.as_bytes(), quote).ok_or_else(unclosed)?;
        self.at += 1 + length + 1;
        Ok(inside.get(..length).unwrap_or_default())
    }

    /// A number as it is written, with its sign; maybe empty. `1.`, `.5` and `1e-3` are numbers, `+1` is none.
    pub(super) fn number(&mut self) -> &'a str {
        let start = self.at;
        self.eat('-');
        let whole = self.digits();
        let has_fraction = self.eat('.');
        let fraction = if has_fraction { self.digits() } else { 0 };
        if whole + fraction == 0 {
            self.at = start;
        } else if whole > 0 && (!has_fraction || fraction > 0) {
            self.exponent();
        }
        self.since(start)
    }

    fn digits(&mut self) -> usize {
        self.take_while(|character| character.is_ascii_digit()).len()
    }

    fn exponent(&mut self) {
        let start = self.at;
        if self.eat('e') || self.eat('E') {
            self.eat('-');
            if self.digits() == 0 {
                self.at = start;
            }
        }
    }

    /// A key as it is written: words and quoted texts joined by dots; maybe empty.
    pub(super) fn key(&mut self) -> Result<&'a str, Refusal> {
        let start = self.at;
        match self.peek() {
            Some('`' | '"') => {
                self.quoted()?;
            }
            _ if self.word().is_empty() => return Ok(""),
            _ => {}
        }
        while self.eat('.') {
            match self.peek() {
                Some('`' | '"' | '\'') => {
                    self.quoted()?;
                }
                _ => {
                    self.word();
                }
            }
        }
        Ok(self.since(start))
    }
}

pub(super) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Where the quote that ends a text is.
///
/// When the text ends with a quote that was read as a part of it, and none follows, that one ends it: `'a\'` is `a\`.
fn closing_quote(inside: &[u8], quote: char) -> Option<usize> {
    let quote = u8::try_from(quote).ok()?;
    let mut last_resort = None;
    let mut at = 0;
    while let Some(&byte) = inside.get(at) {
        let is_before_quote = inside.get(at + 1) == Some(&quote);
        if byte == quote && is_before_quote {
            last_resort = Some(at);
            at += 2;
        } else if byte == quote {
            return Some(at);
        } else if byte == b'\\' && quote != b'`' && is_before_quote {
            last_resort = Some(at + 1);
            at += 2;
        } else {
            at += 1;
        }
    }
    last_resort
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_texts_end_where_sqlparse_ends_them() {
        let cases = [
            ("'a' b", "a"),
            ("'' b", ""),
            ("'it''s' b", "it''s"),
            (r"'it\'s' b", r"it\'s"),
            (r"'a\' b", r"a\"),
            (r"'a\\' b", r"a\\"),
            (r#""a\"b" 'c'"#, r#"a\"b"#),
            ("\"a'b\"", "a'b"),
            ("`a``b` c", "a``b"),
            (r"`a\` c", r"a\"),
            ("'a'' b", "a"),
            ("'größe'", "größe"),
        ];
        for (text, inside) in cases {
            assert_eq!(Scanner::new(text).quoted().unwrap(), inside, "{text}");
        }
        for unclosed in ["'", "'a", "\"a'", "`", ""] {
            assert!(Scanner::new(unclosed).quoted().is_err(), "{unclosed}");
        }
    }

    #[test]
    fn numbers_end_where_sqlparse_ends_them() {
        let cases = [
            ("5 ", "5"),
            ("-5", "-5"),
            ("1.5a", "1.5"),
            ("1.", "1."),
            (".5", ".5"),
            ("-.5", "-.5"),
            ("1e3", "1e3"),
            ("1.5E-3", "1.5E-3"),
            ("1e+3", "1"),
            ("1e", "1"),
            ("+5", ""),
            ("-", ""),
            (".", ""),
            ("-a", ""),
            ("", ""),
        ];
        for (text, number) in cases {
            assert_eq!(Scanner::new(text).number(), number, "{text}");
        }
    }

    #[test]
    fn keys_are_words_and_quoted_texts_with_dots() {
        let cases = [
            ("name = 1", "name"),
            ("tags.`my key`='a'", "tags.`my key`"),
            ("tags.\"my.key\" = 1", "tags.\"my.key\""),
            ("tags.'a' = 1", "tags.'a'"),
            ("a.b.c>1", "a.b.c"),
            ("tags..x.", "tags..x."),
            ("`a`.`b` x", "`a`.`b`"),
            ("größe=1", "größe"),
            ("'a' = 1", ""),
            ("= 1", ""),
        ];
        for (text, key) in cases {
            assert_eq!(Scanner::new(text).key().unwrap(), key, "{text}");
        }
        assert!(Scanner::new("tags.`x = 1").key().is_err());
    }
}
