//! JSON as Python writes it: MLflow's filters compare the text of a stored value, so that the same value must have the
//! same text whoever stored it.

use std::fmt::Write;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Writes a value as `json.dumps` does: `", "` and `": "` between the parts, members in their order, all but ASCII
/// escaped, floats as Python's `repr`.
pub(crate) fn dumps(value: &RawValue) -> Result<String, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(value.get());
    Dumping {
        numbers: Numbers::AsTheyAre,
    }
    .deserialize(&mut reader)
}

/// The same, all whole numbers as doubles: what becomes of a value that went through a protobuf `Value`.
pub(crate) fn dumps_doubles(value: &RawValue) -> Result<String, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(value.get());
    Dumping {
        numbers: Numbers::AsDoubles,
    }
    .deserialize(&mut reader)
}

/// Writes a text as `json.dumps` does.
pub(crate) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_text(&mut out, text);
    out
}

/// Writes a number as Python's `repr` does: `0.1`, `1e+16`, `1e-05`, `3.0`.
pub(crate) fn float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    // The shortest digits that give the same number again, as both languages find them.
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn push_text(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(character),
            other => {
                let mut units = [0; 2];
                for unit in other.encode_utf16(&mut units) {
                    // Writing to a text cannot fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

/// What becomes of whole numbers.
#[derive(Debug, Clone, Copy)]
enum Numbers {
    AsTheyAre,
    AsDoubles,
}

impl Numbers {
    #[expect(clippy::cast_precision_loss, reason = "a double is what is asked for")]
    fn whole(self, number: i128) -> String {
        match self {
            Self::AsTheyAre => number.to_string(),
            Self::AsDoubles => float(number as f64),
        }
    }
}

/// Writes a value while it is read.
#[derive(Debug, Clone, Copy)]
struct Dumping {
    numbers: Numbers,
}

impl<'de> DeserializeSeed<'de> for Dumping {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Dumping {
    type Value = String;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<String, E> {
        Ok("null".to_owned())
    }

    fn visit_bool<E>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E>(self, value: i64) -> Result<String, E> {
        Ok(self.numbers.whole(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<String, E> {
        Ok(self.numbers.whole(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<String, E> {
        Ok(float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<String, E> {
        Ok(text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<String, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = list.next_element_seed(self)? {
            parts.push(part);
        }
        Ok(format!("[{}]", parts.join(", ")))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<String, A::Error> {
        let mut parts = Vec::new();
        while let Some(key) = members.next_key::<String>()? {
            parts.push(format!("{}: {}", text(&key), members.next_value_seed(self)?));
        }
        Ok(format!("{{{}}}", parts.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dumped(json: &str) -> String {
        dumps(&RawValue::from_string(json.to_owned()).unwrap()).unwrap()
    }

    /// Each right side was printed by Python 3.11's `json.dumps(json.loads(left))`.
    #[test]
    fn what_python_prints_is_printed() {
        for (json, python) in [
            (
                "\"größe 🚚\\u007f/\\/\"",
                "\"gr\\u00f6\\u00dfe \\ud83d\\ude9a\\u007f//\"",
            ),
            (
                r#"{"b":1,"a":[true,null,"x"]}"#,
                r#"{"b": 1, "a": [true, null, "x"]}"#,
            ),
            ("[]", "[]"),
            ("{}", "{}"),
            ("4.0", "4.0"),
            ("-0.0", "-0.0"),
            ("1e3", "1000.0"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("1e16", "1e+16"),
            ("9999999999999998.0", "9999999999999998.0"),
            ("1.5e300", "1.5e+300"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("1.25e-10", "1.25e-10"),
            ("18446744073709551615", "18446744073709551615"),
            ("-9223372036854775808", "-9223372036854775808"),
        ] {
            assert_eq!(dumped(json), python, "{json}");
        }
    }

    #[test]
    fn whole_numbers_can_become_doubles_wherever_they_stand() {
        let value =
            RawValue::from_string(r#"{"a": [1, -2, 2.5, "3"], "b": 9007199254740993}"#.to_owned()).unwrap();
        let written = r#"{"a": [1.0, -2.0, 2.5, "3"], "b": 9007199254740992.0}"#;
        assert_eq!(dumps_doubles(&value).unwrap(), written);
    }

    proptest! {
        #[test]
        fn what_is_written_means_the_same_and_is_ascii(text in any::<String>(), number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
            let value = serde_json::json!({"text": text, "list": [number]});
            let written = dumped(&value.to_string());
            prop_assert!(written.is_ascii());
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), value);
        }
    }
}
