//! Values with bounds, checked while they are read, so that the error names the field.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounded<const MIN: u32, const MAX: u32>(pub u32);

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Bounded<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number<const MIN: u32, const MAX: u32>;

        impl<const MIN: u32, const MAX: u32> Number<MIN, MAX> {
            fn check<E: Error>(number: Option<u32>) -> Result<Bounded<MIN, MAX>, E> {
                match number {
                    Some(number) if (MIN..=MAX).contains(&number) => Ok(Bounded(number)),
                    _ => Err(E::custom(format_args!(
                        "must be a whole number from {MIN} to {MAX}"
                    ))),
                }
            }
        }

        impl<const MIN: u32, const MAX: u32> Visitor<'_> for Number<MIN, MAX> {
            type Value = Bounded<MIN, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from {MIN} to {MAX}")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Self::check(u32::try_from(number).ok())
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Self::check(u32::try_from(number).ok())
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
                Self::check(None)
            }

            /// A number in a query string.
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Self::check(text.parse().ok())
            }
        }
        deserializer.deserialize_any(Number)
    }
}

/// A list of one to `MAX` values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtLeastOne<T, const MAX: usize>(pub Vec<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for AtLeastOne<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T, const MAX: usize>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for List<T, MAX> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of 1 to {MAX}")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
                let mut list = Vec::new();
                while let Some(value) = seq.next_element()? {
                    list.push(value);
                    if list.len() > MAX {
                        return Err(A::Error::custom(format_args!(
                            "must be a list of 1 to {MAX}, and is longer"
                        )));
                    }
                }
                if list.is_empty() {
                    return Err(A::Error::custom(format_args!(
                        "must be a list of 1 to {MAX}, and is empty"
                    )));
                }
                Ok(list)
            }
        }
        deserializer
            .deserialize_seq(List::<T, MAX>(std::marker::PhantomData))
            .map(Self)
    }
}

/// A page token of MLflow's: printable ASCII. It answers 500 to anything else.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Token(pub String);

impl TryFrom<String> for Token {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Self(text));
        }
        Err("must be a token that a page before gave")
    }
}

/// Yes or no; in a query string also `1`, `0`, and any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bool;

        impl Visitor<'_> for Bool {
            type Value = Flag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or false")
            }

            fn visit_bool<E>(self, is: bool) -> Result<Flag, E> {
                Ok(Flag(is))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Flag, E> {
                match text.to_ascii_lowercase().as_str() {
                    "true" | "1" => Ok(Flag(true)),
                    "false" | "0" => Ok(Flag(false)),
                    _ => Err(E::custom("must be true or false")),
                }
            }
        }
        deserializer.deserialize_any(Bool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn bounded(value: Value) -> Result<Bounded<1, 10>, serde_json::Error> {
        serde_json::from_value(value)
    }

    proptest! {
        #[test]
        fn exactly_the_numbers_within_the_bounds_are_taken(number in -20_i64..40) {
            prop_assert_eq!(bounded(json!(number)).is_ok(), (1..=10).contains(&number));
        }
    }

    #[test]
    fn a_value_outside_of_the_bounds_is_told_the_bounds() {
        for wrong in [
            json!(0),
            json!(11),
            json!(-1),
            json!(1.5),
            json!(u64::MAX),
            json!("x"),
        ] {
            let error = bounded(wrong).unwrap_err().to_string();
            assert!(
                error.starts_with("must be a whole number from 1 to 10"),
                "{error}"
            );
        }
        assert!(
            bounded(json!([]))
                .unwrap_err()
                .to_string()
                .contains("a whole number from 1 to 10")
        );
    }

    #[test]
    fn a_list_is_counted() {
        let list = |value: Value| serde_json::from_value::<AtLeastOne<u32, 2>>(value).map(|list| list.0);
        assert_eq!(list(json!([1, 2])).unwrap(), [1, 2]);
        assert!(
            list(json!([]))
                .unwrap_err()
                .to_string()
                .contains("1 to 2, and is empty")
        );
        assert!(
            list(json!([1, 2, 3]))
                .unwrap_err()
                .to_string()
                .contains("1 to 2, and is longer")
        );
    }
}
