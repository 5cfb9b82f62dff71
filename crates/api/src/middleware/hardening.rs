//! What browsers are told not to do with our answers.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// For data: it is no page, and nothing may be run or loaded from it, whatever a trace holds.
const OF_DATA: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// For pages: the frontend's and the documentation's. Scripts come from us alone, styles may stand in the page. Pictures come
/// from us or stand in the page: one from elsewhere would carry what a trace says there.
const OF_PAGES: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; \
     object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'",
);

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Paths name traces and people: other sites are not told them.
const REFERRER_POLICY: (HeaderName, HeaderValue) =
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));

/// Adds them.
pub(super) fn harden(headers: &mut HeaderMap) {
    let is_page = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|content| content.as_bytes().starts_with(b"text/html"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        if is_page { OF_PAGES } else { OF_DATA },
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    let (name, value) = REFERRER_POLICY;
    headers.insert(name, value);
}
