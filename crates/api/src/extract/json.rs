//! JSON bodies: what cannot be read is 400, what breaks a rule is 422 and names the field.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use futures::StreamExt;
use http::header;
use http_body::Body;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;

use crate::problem::Problem;
use crate::state::AppState;

/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Of a body that is refused, so many bytes and so much time are taken on: a connection that is closed on bytes that were not
/// read is reset, and who sent them may not read the answer.
const THROWN_AWAY: (usize, Duration) = (16 << 20, Duration::from_secs(2));

/// A JSON body. Members it does not know are ignored, as the server before this one did.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        if !is_json(&request) {
            return Err(Problem::not_json());
        }
        if is_encoded(&request) {
            return Err(Problem::encoded());
        }
        let limit = state.settings().max_body_bytes;
        // What says beforehand that it is too large is not waited for.
        if request.body().size_hint().lower() > limit as u64 {
            tokio::spawn(thrown_away(request.into_body()));
            return Err(Problem::body_too_large(limit));
        }
        let body = axum::body::to_bytes(request.into_body(), limit);
        match tokio::time::timeout(BODY_TIME, body).await {
            Ok(body) => Ok(Self(parse(&body.map_err(|error| unread(&error, limit))?)?)),
            Err(_) => Err(Problem::unreadable("the request body was not sent in time")),
        }
    }
}

/// Reads what is on its way, within bounds, and keeps nothing.
async fn thrown_away(body: axum::body::Body) {
    let (bytes, time) = THROWN_AWAY;
    let mut pieces = body.into_data_stream();
    let reading = async {
        let mut taken = 0;
        while let Some(Ok(piece)) = pieces.next().await {
            taken += piece.len();
            if taken > bytes {
                break;
            }
        }
    };
    // Whoever is not done by then sees the connection end.
    let _ = tokio::time::timeout(time, reading).await;
}

fn is_json(request: &Request) -> bool {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = content_type
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// Whether it would have to be inflated first. Nothing is: a few bytes could become any number.
fn is_encoded(request: &Request) -> bool {
    let mut encodings = request.headers().get_all(header::CONTENT_ENCODING).iter();
    encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// The body was cut off by the limit, or by the client.
fn unread(error: &axum::Error, limit: usize) -> Problem {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return Problem::body_too_large(limit);
        }
        cause = error.source();
    }
    Problem::unreadable("the request body was not sent completely")
}

pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Of what it ignores the parser would not see it.
    let text = std::str::from_utf8(body)
        .map_err(|error| Problem::unreadable(format!("the request body is not UTF-8: {error}")))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        match error.classify() {
            Category::Data => broken_rule(if path == "." { "" } else { &path }, &error),
            // serde_json calls a value of another type so where it wants the word of an enumeration.
            Category::Syntax if error.to_string().starts_with("expected value") && is_json_text(text) => {
                Problem::invalid_field(
                    if path == "." { "body" } else { &path },
                    "must be one of the words that are known",
                )
            }
            Category::Syntax | Category::Eof | Category::Io => not_json(&error),
        }
    })?;
    deserializer.end().map_err(|error| not_json(&error))?;
    // serde would take a list for an object whose members stand in order.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Problem::invalid_field("body", "must be an object"));
    }
    Ok(value)
}

fn is_json_text(body: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(body).is_ok()
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::unreadable(format!("the request body is not JSON: {error}"))
}

/// The error in words that go on after the field's name; where it stands in the text is said by the path.
fn broken_rule(path: &str, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(text, _)| text);
    if let Some(field) = text
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'))
    {
        let dot = if path.is_empty() { "" } else { "." };
        return Problem::invalid_field(format!("{path}{dot}{field}"), "is required");
    }
    let rule = match (text.rsplit_once(", expected "), text.split_once(" must be ")) {
        (Some((_, "a sequence")), _) => "must be a list".to_owned(),
        (Some((_, "a boolean")), _) => "must be true or false".to_owned(),
        (Some((_, "a map")), _) => "must be an object".to_owned(),
        (Some((_, "u32" | "u64" | "i64" | "usize")), _) => "must be a whole number".to_owned(),
        (Some((_, expected)), _) if expected.starts_with("struct ") => "must be an object".to_owned(),
        (Some((_, expected)), _) => format!("must be {expected}"),
        // An id says its own name first: "trace_id must be …".
        (None, Some((name, rule))) if !name.contains(' ') => format!("must be {rule}"),
        (None, _) => text.to_owned(),
    };
    Problem::invalid_field(if path.is_empty() { "body" } else { path }, rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ExperimentId;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its errors are looked at")]
    struct Body {
        ids: Vec<ExperimentId>,
        count: Option<u32>,
        of: Option<Box<Body>>,
    }

    fn problem(text: &str) -> serde_json::Value {
        let problem = parse::<Body>(text.as_bytes()).unwrap_err();
        serde_json::to_value(problem.body("", "")).unwrap()
    }

    #[test]
    fn a_broken_rule_names_the_field_and_the_rule() {
        for (body, field, rule) in [
            (
                r#"{"ids":["1","x"]}"#,
                "ids[1]",
                "must be a number of up to 19 digits (such as 1)",
            ),
            (r#"{"ids":["1"],"count":"2"}"#, "count", "must be a whole number"),
            (r#"{"ids":["1"],"of":{"ids":3}}"#, "of.ids", "must be a list"),
            (r#"{"ids":["1"],"of":{}}"#, "of.ids", "is required"),
            (r#"{"count":2}"#, "ids", "is required"),
            (r#"[["1"], 2, null]"#, "body", "must be an object"),
            ("[]", "body", "must be an object"),
            ("3", "body", "must be an object"),
        ] {
            let problem = problem(body);
            let details = &problem["error"]["details"];
            assert_eq!(
                (details["field"].as_str(), details["rule"].as_str()),
                (Some(field), Some(rule)),
                "{body}"
            );
            assert_eq!(problem["status"], 422, "{body}");
        }
    }

    #[test]
    fn what_is_not_json_is_unreadable() {
        for body in ["", "{", "{\"ids\":}", "{\"ids\":[]} x", "\u{1}"] {
            assert_eq!(problem(body)["status"], 400, "{body}");
        }
    }

    #[test]
    fn what_is_not_utf8_is_unreadable_wherever_it_stands() {
        let problem = parse::<Body>(b"{\"ids\":[],\"unknown\":\"\xa8\"}").unwrap_err();
        let problem = serde_json::to_value(problem.body("", "")).unwrap();
        assert_eq!(problem["status"], 400);
    }
}
