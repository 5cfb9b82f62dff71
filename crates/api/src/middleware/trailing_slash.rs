//! A path of the API answers with and without a slash at its end.

use axum::extract::Request;
use http::Uri;
use http::uri::PathAndQuery;

/// Takes the slash from the end of an API path. Other paths keep theirs: a page's own links are relative to it.
pub(super) fn without(mut request: Request) -> Request {
    if let Some(uri) = trimmed(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

fn trimmed(uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_suffix('/')?.trim_end_matches('/');
    let is_ours = path.starts_with("/api/") || path == "/health";
    if !is_ours {
        return None;
    }
    let path_and_query = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query.ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_api_paths_lose_their_last_slash() {
        for (path, expected) in [
            ("/api/config/", Some("/api/config")),
            (
                "/api/traces/x/spans//?view=summary",
                Some("/api/traces/x/spans?view=summary"),
            ),
            ("/health/", Some("/health")),
            ("/api/config", None),
            ("/docs/", None),
            ("/assets/", None),
            ("/", None),
        ] {
            let got = trimmed(&path.parse().unwrap()).map(|uri| uri.to_string());
            assert_eq!(got.as_deref(), expected, "{path}");
        }
    }
}
