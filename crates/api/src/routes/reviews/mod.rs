//! Reviews: review apps, label schemas, labeling sessions and their items.

pub mod items;
pub mod label_schemas;
pub mod labeling_sessions;
pub mod linking;
pub mod review_apps;

use axum::Json;
use axum::response::{IntoResponse, Response};
use domain::Timestamp;
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use utoipa::ToSchema;

/// What was done, in words.
#[derive(Debug, Serialize, ToSchema)]
pub struct Done {
    /// What was done, for a person.
    #[schema(example = "the label schema \"tone\" is deleted")]
    message: String,
}

/// JSON with the thing's version, where it has one, as its `ETag`, for `If-Match`. The browser asks each time.
fn versioned(thing: &impl Serialize, version: Option<&Timestamp>) -> Response {
    let mut headers = HeaderMap::from_iter([(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    )]);
    let etag = version.and_then(|version| HeaderValue::from_str(&format!("\"{}\"", version.as_str())).ok());
    headers.extend(etag.map(|etag| (header::ETAG, etag)));
    (headers, Json(thing)).into_response()
}
