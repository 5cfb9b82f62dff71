//! JSON as Python writes it: members in the order they were given, `, ` and `: ` between things. MLflow's own search
//! looks for texts of spans in exactly this form.

use std::fmt::{self, Display, Write};

/// A value. `Raw` is a text that is in this form already.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Int(i64),
    Float(f64),
    Text(String),
    Raw(&'static str),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

/// An object: `object! { "role": "user", "content": text }`.
macro_rules! object {
    ($($key:literal: $value:expr),* $(,)?) => {
        $crate::json::Json::Object(vec![$(($key, $crate::json::Json::from($value))),*])
    };
}
pub(crate) use object;

impl Json {
    pub(crate) fn list<T: Into<Self>>(values: impl IntoIterator<Item = T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }

    /// A member of an object.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members
                .iter()
                .find_map(|(name, value)| (*name == key).then_some(value)),
            _ => None,
        }
    }

    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Display for Json {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Int(value) => write!(out, "{value}"),
            Self::Float(value) => out.write_str(&float(*value)),
            Self::Text(text) => out.write_str(&quoted(text)),
            Self::Raw(text) => out.write_str(text),
            Self::List(values) => {
                out.write_char('[')?;
                for (index, value) in values.iter().enumerate() {
                    out.write_str(if index > 0 { ", " } else { "" })?;
                    value.fmt(out)?;
                }
                out.write_char(']')
            }
            Self::Object(members) => {
                out.write_char('{')?;
                for (index, (key, value)) in members.iter().enumerate() {
                    out.write_str(if index > 0 { ", " } else { "" })?;
                    write!(out, "{}: {value}", quoted(key))?;
                }
                out.write_char('}')
            }
        }
    }
}

/// A string cannot fail to be written.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// Python leaves the plain form below 1e-4 and writes exponents with two digits.
fn float(value: f64) -> String {
    if value == 0.0 || (1e-4..1e16).contains(&value.abs()) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    match text.split_once("e-") {
        Some((digits, exponent)) => format!("{digits}e-{exponent:0>2}"),
        None => text,
    }
}

/// The same JSON text in ASCII, as MLflow writes the values of assessments.
pub(crate) fn in_ascii(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter.is_ascii() {
            ascii.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            // A `String` takes all that is written.
            write!(ascii, "\\u{unit:04x}").ok();
        }
    }
    ascii
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Json {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Json {
    fn from(values: Vec<T>) -> Self {
        Self::list(values)
    }
}

impl<T: Into<Self>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_python_writes_them() {
        let value =
            object! { "role": "user", "n": vec![1_i64, 2], "none": None::<&str>, "x": 0.5, "q": "„a\"\n" };
        assert_eq!(
            value.to_string(),
            r#"{"role": "user", "n": [1, 2], "none": null, "x": 0.5, "q": "„a\"\n"}"#
        );
        for (number, text) in [
            (0.0, "0.0"),
            (0.0001, "0.0001"),
            (0.000_056_25, "5.625e-05"),
            (4.8e-12, "4.8e-12"),
            (3.0, "3.0"),
            (-0.5, "-0.5"),
        ] {
            assert_eq!(float(number), text);
        }
    }

    #[test]
    fn what_is_not_ascii_is_escaped() {
        assert_eq!(in_ascii("\"größe 👍\""), r#""gr\u00f6\u00dfe \ud83d\udc4d""#);
    }
}
