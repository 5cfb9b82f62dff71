//! Doors to what is fuzzed by itself (feature `doors`); no part of the API.

use crate::error::StoreError;
use crate::page::{PageRequest, Place};

/// The number and the id that a page token names.
///
/// # Errors
/// When it is none.
pub fn read_page_token(token: &str) -> Result<(i64, String), StoreError> {
    let (size, token) = (1, Some(token));
    let place = PageRequest { size, token }.after()?;
    Ok((place.number, place.id))
}

/// The token of a page that has entries after this place.
pub fn write_page_token(number: i64, id: &str) -> Option<String> {
    let place = || Place {
        number,
        id: id.to_owned(),
    };
    let request = PageRequest { size: 1, token: None };
    request.page(vec![(place(), ()), (place(), ())]).next_page_token
}
