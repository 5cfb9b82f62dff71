//! No page of another site changes anything in a user's name.
//!
//! A browser says where a request comes from; what is no browser says nothing, and has no user's session to abuse. Pages of
//! the same site count as others: on a platform that hosts many applications, neighbours share a site.

use axum::extract::Request;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::problem::Problem;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses what may change something and comes from a page that is neither ours nor of an allowed origin.
pub(super) fn check(request: &Request, allowed: &[HeaderValue]) -> Result<(), Problem> {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let headers = request.headers();
    let is_allowed = || {
        headers
            .get(header::ORIGIN)
            .is_some_and(|origin| allowed.contains(origin))
    };
    if is_safe || is_own(request, headers) || is_allowed() {
        return Ok(());
    }
    Err(Problem::cross_origin())
}

/// Whether it comes from a page of ours, from the user's own hand, or from no browser.
fn is_own(request: &Request, headers: &HeaderMap) -> bool {
    match (headers.get(SEC_FETCH_SITE), headers.get(header::ORIGIN)) {
        (Some(site), _) => matches!(site.as_bytes(), b"same-origin" | b"none"),
        // An older browser, or one that was told of no secure origin.
        (None, Some(origin)) => {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let host = host.or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
            let of_origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
            of_origin.is_some_and(|(_, of_origin)| host == Some(of_origin))
        }
        (None, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn is_let_in(method: Method, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/api/sessions");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let allowed = [HeaderValue::from_static("http://localhost:5173")];
        check(&request.body(Body::empty()).unwrap(), &allowed).is_ok()
    }

    #[test]
    fn what_changes_something_comes_from_our_pages_or_from_no_page() {
        for (headers, expected) in [
            (&[][..], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://localhost:5173"),
                ],
                true,
            ),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://localhost:5174"),
                ],
                false,
            ),
            (
                &[("origin", "https://reviews.example"), ("host", "reviews.example")],
                true,
            ),
            (
                &[("origin", "https://reviews.example"), ("host", "other.example")],
                false,
            ),
            (
                &[
                    ("origin", "https://reviews.example:444"),
                    ("host", "reviews.example"),
                ],
                false,
            ),
            (&[("origin", "null"), ("host", "null")], false),
        ] {
            assert_eq!(is_let_in(Method::POST, headers), expected, "{headers:?}");
            assert_eq!(is_let_in(Method::DELETE, headers), expected, "{headers:?}");
            assert!(is_let_in(Method::GET, headers), "{headers:?}");
        }
    }
}
