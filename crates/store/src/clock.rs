//! Versions: the times of changes, made to grow.

use std::time::{SystemTime, UNIX_EPOCH};

use domain::Timestamp;

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The time of a change after the one that is known: now, or a millisecond later where clocks stand still or differ.
pub(crate) fn next_version(known: i64) -> i64 {
    now_ms().max(known.saturating_add(1))
}

/// The version that a thing was read in; one that is not there or no time matches nothing that is stored.
pub(crate) fn version_of(seen: Option<&Timestamp>) -> i64 {
    seen.and_then(Timestamp::unix_ms).unwrap_or(i64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_always_newer_than_the_one_before() {
        let ahead = now_ms() + 1_000_000;
        assert_eq!(next_version(ahead), ahead + 1);
        assert!(next_version(0) >= now_ms() - 1000);
    }
}
