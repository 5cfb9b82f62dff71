//! Points in time and durations as MLflow writes them.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An instant as MLflow spells it (RFC 3339, UTC, milliseconds: `2026-11-23T18:09:36.829Z`).
///
/// The text is kept as it came, so that it leaves as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(String);

impl Timestamp {
    /// The instant `ms` milliseconds after the Unix epoch, held within the years 0 to 9999 that RFC 3339 can write.
    pub fn from_unix_ms(ms: i64) -> Self {
        let ms = ms.clamp(-62_167_219_200_000, 253_402_300_799_999);
        let at = OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(ms);
        let (date, hms) = (at.date(), at.time());
        Self(format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            hms.hour(),
            hms.minute(),
            hms.second(),
            hms.millisecond()
        ))
    }

    /// The instant that a text stands for; one that is no RFC 3339 has no milliseconds.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as MLflow wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Milliseconds since the Unix epoch, cut (not rounded) as MLflow's SDK does; `None` when the text is not RFC 3339.
    pub fn unix_ms(&self) -> Option<i64> {
        let at = OffsetDateTime::parse(&self.0, &Rfc3339).ok()?;
        i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
    }
}

/// Reads a protobuf JSON duration (`0.045s`, `3s`, `1.000340012s`); `None` when the text is not one or is negative.
pub(crate) fn parse_proto_duration(text: &str) -> Option<Duration> {
    let (seconds, fraction) = match text.strip_suffix('s')?.split_once('.') {
        Some((seconds, fraction)) if (1..=9).contains(&fraction.len()) => (seconds, fraction),
        Some(_) => return None,
        None => (text.strip_suffix('s')?, "0"),
    };
    if !seconds
        .bytes()
        .chain(fraction.bytes())
        .all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let nanos: u32 = format!("{fraction:0<9}").parse().ok()?;
    Some(Duration::new(seconds.parse().ok()?, nanos))
}

/// Writes a duration as protobuf JSON does, in milliseconds (`0.045s`, `3s`).
pub(crate) fn format_proto_duration(ms: u64) -> String {
    match ms % 1000 {
        0 => format!("{}s", ms / 1000),
        fraction => format!("{}.{fraction:03}s", ms / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_time_of_a_captured_trace() {
        let at: Timestamp = serde_json::from_str("\"2026-11-23T18:09:36.829Z\"").unwrap();
        assert_eq!(at.unix_ms(), Some(1_795_457_376_829));
        assert_eq!(Timestamp::from_unix_ms(1_795_457_376_829), at);
    }

    #[test]
    fn refuses_what_is_not_a_duration() {
        for text in ["", "s", "1", "-1s", "1.s", ".5s", "1.0000000001s", "1e3s", "+1s"] {
            assert_eq!(parse_proto_duration(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_timestamp_survives_the_round_trip(ms in -62_167_219_200_000_i64..=253_402_300_799_999) {
            prop_assert_eq!(Timestamp::from_unix_ms(ms).unix_ms(), Some(ms));
        }

        #[test]
        fn a_duration_survives_the_round_trip(ms in 0_u64..=u64::from(u32::MAX)) {
            let read = parse_proto_duration(&format_proto_duration(ms)).unwrap();
            prop_assert_eq!(read, Duration::from_millis(ms));
        }
    }
}
