//! The built frontend: a folder with `index.html` and `assets/`, served wherever the API serves nothing.

use std::path::PathBuf;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use tower::ServiceExt;
use tower_http::services::{ServeDir, ServeFile};

use crate::problem::Problem;

/// Prefixes where an unknown path is an error and never the application.
const NOT_THE_APPLICATION: [&str; 4] = ["/api", "/health", "/docs", "/openapi.json"];

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
            .precompressed_gzip();
        let files = ServeDir::new(folder).append_index_html_on_directories(false);
        Self {
            files: files.precompressed_br().precompressed_gzip(),
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
        let is_asset = path.starts_with("/assets/");
        if found.status() != StatusCode::NOT_FOUND || is_asset {
            let is_missing = found.status() == StatusCode::NOT_FOUND;
            return if is_missing {
                Problem::no_such_route().into_response()
            } else {
                cached(found, is_asset)
            };
        }
        cached(self.index.oneshot(for_index).await.into_response(), false)
    }
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

fn cached(mut response: Response, is_asset: bool) -> Response {
    let is_sent = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    if is_sent {
        response.headers_mut().insert(
            header::CACHE_CONTROL,
            if is_asset { IMMUTABLE } else { REVALIDATE },
        );
    }
    response
}
