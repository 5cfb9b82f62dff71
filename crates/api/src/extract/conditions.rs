//! How a reader wants an answer: as fresh as can be, only if it changed, and in which coding.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, Method, header};
use service::{Coding, Fingerprint, Freshness};
use utoipa::IntoParams;

use super::coding::preferred;

/// How a reader wants an answer.
#[derive(Debug)]
pub struct Conditions {
    /// `Cache-Control: no-cache` asks past the cache.
    pub freshness: Freshness,
    /// The coding that the reader likes best (`Accept-Encoding`).
    pub coding: Option<Coding>,
    if_none_match: Option<String>,
}

/// The header that asks past the cache, for the OpenAPI document.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct PastTheCache {
    /// `no-cache` asks past the cache.
    #[param(rename = "Cache-Control", example = "no-cache", required = false)]
    _cache_control: String,
}

/// The headers by which an answer is asked for that the reader may have, for the OpenAPI document.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IfChanged {
    /// The `ETag` of an answer that the reader has: 304 when it is the newest still.
    #[param(
        rename = "If-None-Match",
        example = "W/\"7653c812c268871d82a0f71b3df3e678\"",
        required = false
    )]
    _if_none_match: String,
    /// `no-cache` asks past the cache.
    #[param(rename = "Cache-Control", example = "no-cache", required = false)]
    _cache_control: String,
}

impl Conditions {
    /// Whether the reader has an answer of this fingerprint already.
    pub fn has(&self, fingerprint: Fingerprint) -> bool {
        let Some(known) = &self.if_none_match else {
            return false;
        };
        let etag = fingerprint.to_etag();
        let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        known.trim() == "*" || known.split(',').any(|tag| opaque(tag) == opaque(&etag))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Conditions {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // RFC 9110, 13.1.2: of no meaning to other methods.
        let may_be_unchanged = matches!(parts.method, Method::GET | Method::HEAD);
        Ok(Self {
            freshness: freshness(&parts.headers),
            coding: preferred(&parts.headers),
            if_none_match: joined(&parts.headers, header::IF_NONE_MATCH).filter(|_| may_be_unchanged),
        })
    }
}

fn freshness(headers: &HeaderMap) -> Freshness {
    let asked = joined(headers, header::CACHE_CONTROL)
        .or_else(|| joined(headers, header::PRAGMA))
        .unwrap_or_default();
    let past_the_cache = ["no-cache", "no-store"];
    let is_asked = asked.split(',').any(|word| {
        past_the_cache
            .iter()
            .any(|past| word.trim().eq_ignore_ascii_case(past))
    });
    if is_asked {
        Freshness::Bypass
    } else {
        Freshness::Cached
    }
}

fn joined(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let values: Vec<_> = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    (!values.is_empty()).then(|| values.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cache_asks_past_the_cache() {
        for (value, expected) in [
            ("no-cache", Freshness::Bypass),
            ("private, No-Cache", Freshness::Bypass),
            ("max-age=0", Freshness::Cached),
            ("max-age=60", Freshness::Cached),
            ("", Freshness::Cached),
        ] {
            let headers = HeaderMap::from_iter([(header::CACHE_CONTROL, value.parse().unwrap())]);
            assert_eq!(freshness(&headers), expected, "{value}");
        }
    }
}
