//! The built frontend: a folder with `index.html` and `assets/`, served wherever the API serves nothing.

use std::path::PathBuf;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use tower::ServiceExt;
use tower_http::services::{ServeDir, ServeFile};

use crate::problem::Problem;

/// Prefixes where an unknown path is an error and never the application.
const NOT_THE_APPLICATION: [&str; 5] = ["/api", "/health", "/docs", "/metrics", "/openapi.json"];

/// A file with a hash in its name never changes: a new build gives it a new name.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Everything else must be asked for again, or an old page would look for assets that are gone.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// The built frontend.
#[derive(Debug, Clone)]
pub struct Frontend {
    files: ServeDir,
    index: ServeFile,
}

impl Frontend {
    /// The frontend in this folder. Files with `.br`, `.gz` or `.zst` beside them are sent compressed.
    pub fn new(folder: PathBuf) -> Self {
        let index = ServeFile::new(folder.join("index.html"))
            .precompressed_br()
            .precompressed_gzip()
            .precompressed_zstd();
        let files = ServeDir::new(folder).append_index_html_on_directories(false);
        Self {
            files: files.precompressed_br().precompressed_gzip().precompressed_zstd(),
            index,
        }
    }

    /// The file at the request's path, else the application, which knows its own paths. A missing asset is 404: its
    /// place taken by a page would only hide that.
    pub async fn serve(self, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        if NOT_THE_APPLICATION.iter().any(|prefix| is_under(&path, prefix)) {
            return Problem::no_such_route().into_response();
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Problem::method_not_allowed().into_response();
        }
        let for_index = without_body(&request);
        let found = self.files.oneshot(request).await.into_response();
        if !found.status().is_client_error() && !found.status().is_server_error() {
            return cached(found, is_hashed(&path));
        }
        if path.starts_with("/assets/") {
            return Problem::no_such_route().into_response();
        }
        cached(self.index.oneshot(for_index).await.into_response(), false)
    }
}

/// Whether an asset's name ends in a hash of eight or more characters, as build tools write it: `index-Ab12Cd34.js`.
fn is_hashed(path: &str) -> bool {
    let Some(name) = path
        .strip_prefix("/assets/")
        .and_then(|path| path.rsplit('/').next())
    else {
        return false;
    };
    let parts = name.split(['-', '.']).skip(1);
    let is_hash = |part: &str| {
        let is_word = part
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        // A word of a language has no digit and no capital within.
        let is_odd = part
            .bytes()
            .skip(1)
            .any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        part.len() >= 8 && is_word && is_odd
    };
    parts.into_iter().any(is_hash)
}

fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn without_body(request: &Request) -> Request {
    let mut copy = Request::new(axum::body::Body::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

fn cached(mut response: Response, is_hashed: bool) -> Response {
    let is_sent = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    if is_sent {
        response.headers_mut().insert(
            header::CACHE_CONTROL,
            if is_hashed { IMMUTABLE } else { REVALIDATE },
        );
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_with_a_hash_is_taken_to_be_immutable() {
        for (path, expected) in [
            ("/assets/index-Ab12Cd34.js", true),
            ("/assets/fonts/inter-latin-C38fXH4l.woff2", true),
            ("/assets/main.3f2a9c1b.css", true),
            ("/assets/logo.svg", false),
            ("/assets/logo-background.svg", false),
            ("/index-Ab12Cd34.js", false),
        ] {
            assert_eq!(is_hashed(path), expected, "{path}");
        }
    }
}
