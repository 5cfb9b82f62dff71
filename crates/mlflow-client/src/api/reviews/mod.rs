//! Databricks' managed evals: review apps, their labeling sessions, and the sessions' items.
//!
//! Source of paths and shapes: the public client `databricks-agents` (1.13.0); they were called on no workspace. An
//! open-source server has none of these routes: every call is [`ClientError::RouteAbsent`] there.

mod items;
mod review_apps;
mod sessions;

use domain::{LabelingSessionId, ReviewAppId};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::ClientError;
use crate::transport::Call;

const REVIEW_APPS: &str = "/api/2.0/managed-evals/review-apps";

fn app_path(app: &ReviewAppId) -> String {
    format!("{REVIEW_APPS}/{app}")
}

fn sessions_path(app: &ReviewAppId) -> String {
    format!("{REVIEW_APPS}/{app}/labeling-sessions")
}

fn session_path(app: &ReviewAppId, session: &LabelingSessionId) -> String {
    format!("{REVIEW_APPS}/{app}/labeling-sessions/{session}")
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it, in the server's order.
    pub entries: Vec<T>,
    /// Where the next page begins; `None` on the last.
    pub next_page_token: Option<String>,
}

/// A page as it is answered. An empty list is left out: `{}`.
#[derive(Deserialize)]
struct PageAnswer<T> {
    #[serde(
        default = "Vec::new",
        alias = "review_apps",
        alias = "labeling_sessions",
        alias = "items"
    )]
    entries: Vec<T>,
    next_page_token: Option<String>,
}

impl<T> From<PageAnswer<T>> for Page<T> {
    fn from(answer: PageAnswer<T>) -> Self {
        Self {
            entries: answer.entries,
            next_page_token: answer.next_page_token.filter(|token| !token.is_empty()),
        }
    }
}

/// A GET of one page.
fn page_call(operation: &'static str, path: String, page_size: u32, page_token: Option<&str>) -> Call {
    let call = Call::get(operation, path).query("page_size", page_size.to_string());
    match page_token {
        Some(token) => call.query("page_token", token),
        None => call,
    }
}

/// What is given of a new thing: there is nothing yet that a null could take away.
fn given(mut new: Value) -> Value {
    if let Some(members) = new.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    new
}

/// A PATCH that sets these members and no others. The mask stands in the query, with the names as the body has them.
fn patch_call(
    operation: &'static str,
    path: String,
    fields: &[&'static str],
    whole: &impl Serialize,
) -> Result<Call, ClientError> {
    let body = members(operation, fields, whole)?;
    let call = Call::write(operation, Method::PATCH, path, &body)?;
    Ok(call.query("update_mask", fields.join(",")).idempotent())
}

/// These members of something; null for one that it leaves out, which as a masked member takes away what was there.
fn members(
    operation: &'static str,
    fields: &[&'static str],
    whole: &impl Serialize,
) -> Result<Map<String, Value>, ClientError> {
    let mut whole = serde_json::to_value(whole).map_err(|error| ClientError::Malformed {
        operation,
        reason: error.to_string(),
    })?;
    let mut take = |field: &str| whole.get_mut(field).map(Value::take).unwrap_or_default();
    Ok(fields
        .iter()
        .map(|field| ((*field).to_owned(), take(field)))
        .collect())
}

#[cfg(test)]
mod tests;
