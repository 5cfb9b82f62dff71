//! Pages of lists that may grow while they are read: each begins after the last entry of the one before.

use std::fmt::Write as _;

use crate::error::StoreError;

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The entries, in the list's order.
    pub entries: Vec<T>,
    /// Where the next page begins; `None` on the last.
    pub next_page_token: Option<String>,
}

/// Which page.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest<'a> {
    /// Entries at most; at least 1.
    pub size: u32,
    /// `next_page_token` of the page before.
    pub token: Option<&'a str>,
}

/// The place of an entry in its list: a number, and the id of the entry among those of the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) number: i64,
    pub(crate) id: String,
}

impl Place {
    /// Before all entries.
    fn start() -> Self {
        Self {
            number: i64::MIN,
            id: String::new(),
        }
    }

    /// A token is opaque to those who use it: hex, so that it can stand in any URL.
    fn to_token(&self) -> String {
        let mut token = String::new();
        for byte in format!("{}.{}", self.number, self.id).bytes() {
            // Writing to a text cannot fail.
            let _ = write!(token, "{byte:02x}");
        }
        token
    }

    fn from_token(token: &str) -> Option<Self> {
        let bytes = (0..token.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(token.get(at..at + 2)?, 16).ok());
        let text = String::from_utf8(bytes.collect::<Option<_>>()?).ok()?;
        let (number, id) = text.split_once('.')?;
        let is_id = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric());
        let place = Self {
            number: number.parse().ok()?,
            id: id.to_owned(),
        };
        // What stands for the same place in other digits was never written.
        (is_id && place.to_token() == token).then_some(place)
    }
}

impl PageRequest<'_> {
    /// The place that the page begins after.
    pub(crate) fn after(&self) -> Result<Place, StoreError> {
        match self.token.filter(|token| !token.is_empty()) {
            None => Ok(Place::start()),
            Some(token) => Place::from_token(token).ok_or(StoreError::PageToken),
        }
    }

    /// One more than fits, to see whether more follow.
    pub(crate) fn limit(&self) -> i64 {
        i64::from(self.size) + 1
    }

    /// The page of entries that were found with [`Self::limit`].
    pub(crate) fn page<T>(&self, found: Vec<(Place, T)>) -> Page<T> {
        let size = self.size as usize;
        let has_more = found.len() > size;
        let last = found
            .get(size.saturating_sub(1))
            .filter(|_| has_more)
            .map(|(place, _)| place.to_token());
        Page {
            entries: found.into_iter().take(size).map(|(_, entry)| entry).collect(),
            next_page_token: last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_the_round_trip() {
        for number in [i64::MIN, -1, 0, 1_795_457_376_829] {
            let place = Place {
                number,
                id: "0f1e2d".into(),
            };
            assert_eq!(Place::from_token(&place.to_token()), Some(place));
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for token in [
            "x", "0", "é", "3", "2e", "312e", "312e27", "ff", "312e3", "zz2e61", "312E61", "2b312e61",
            "30312e61", "+3",
        ] {
            assert_eq!(Place::from_token(token), None, "{token}");
        }
    }

    #[test]
    fn a_page_has_a_token_only_when_more_follow() {
        let entries = |count: i64| {
            (0..count).map(|number| {
                let place = Place {
                    number,
                    id: "a".into(),
                };
                (place, number)
            })
        };
        let request = PageRequest { size: 2, token: None };
        let full = request.page(entries(2).collect());
        assert_eq!((full.entries, full.next_page_token), (vec![0, 1], None));
        let more = request.page(entries(3).collect());
        assert_eq!(more.entries, [0, 1]);
        let next = PageRequest {
            size: 2,
            token: more.next_page_token.as_deref(),
        };
        assert_eq!(next.after().unwrap().number, 1);
    }
}
