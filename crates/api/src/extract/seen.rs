//! The version of a thing that a user has before their eyes when they change it.

use axum::extract::FromRequestParts;
use domain::Timestamp;
use http::header;
use http::request::Parts;
use utoipa::IntoParams;

use crate::problem::Problem;

/// The version that `If-Match` names: the `ETag` that the thing came with, which is its `last_update_time`. A change to
/// another version is a conflict.
#[derive(Debug)]
pub struct Seen(Option<Timestamp>);

impl Seen {
    /// The version: from the header, else from the body that was sent back.
    pub fn or(self, in_body: Option<Timestamp>) -> Option<Timestamp> {
        self.0.or(in_body)
    }
}

/// The header, for the OpenAPI document.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IfMatch {
    /// The `ETag` that the thing came with: a change to another version is a conflict.
    #[param(
        rename = "If-Match",
        pattern = r#"^\s*(\*|(W/)?".*")\s*$"#,
        example = "\"2026-11-23T18:09:40.120Z\"",
        required = false
    )]
    _if_match: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Seen {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else {
            return Ok(Self(None));
        };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let tag = text.strip_prefix("W/").unwrap_or(text);
        let tag = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        match tag {
            Some(tag) => Ok(Self(Some(Timestamp::from_text(tag)))),
            None => Err(Problem::invalid_field("If-Match", "must be one ETag, in quotes")),
        }
    }
}
