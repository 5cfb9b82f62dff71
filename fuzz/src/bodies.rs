//! Bodies of requests, read as what each route takes.

use api::doors::read_body;
use api::routes::labels::{ChangedLabelBody, NewLabelBody};
use api::routes::reviews::items::{ItemBody, NewItemsBody};
use api::routes::reviews::labeling_sessions::LabelingSessionBody;
use api::routes::reviews::linking::{LinkToRunBody, LinkToSessionBody};
use api::routes::reviews::review_apps::ReviewAppBody;
use api::routes::runs::{CreateRunBody, SearchRunsBody, UpdateRunBody};
use api::routes::search::SearchTracesBody;
use api::routes::traces::TraceBatchBody;
use domain::LabelSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::is_json;

/// What is no JSON is 400, and what breaks a rule 422, with the field and the rule; what is read is an object.
pub(crate) fn run(data: &[u8]) {
    check::<ChangedLabelBody>(data);
    check::<CreateRunBody>(data);
    check::<ItemBody>(data);
    check::<LabelSchema>(data);
    check::<LabelingSessionBody>(data);
    check::<LinkToRunBody>(data);
    check::<LinkToSessionBody>(data);
    check::<NewItemsBody>(data);
    check::<NewLabelBody>(data);
    check::<ReviewAppBody>(data);
    check::<SearchRunsBody>(data);
    check::<SearchTracesBody>(data);
    check::<TraceBatchBody>(data);
    check::<UpdateRunBody>(data);
}

fn check<T: DeserializeOwned>(data: &[u8]) {
    let is_json = is_json(data);
    let Err(problem) = read_body::<T>(data) else {
        assert!(is_json && data.trim_ascii_start().starts_with(b"{"), "read");
        return;
    };
    let body = serde_json::to_value(problem.body("", "")).unwrap_or_default();
    let details = &body["error"]["details"];
    match body["status"].as_u64() {
        // By its grammar half a character is JSON, and so is what is too deep to be read.
        Some(400) => assert!(serde_json::from_slice::<Value>(data).is_err(), "{body}"),
        Some(422) => {
            assert!(
                details["field"].as_str().is_some_and(|field| !field.is_empty()),
                "{body}"
            );
            assert!(
                details["rule"].as_str().is_some_and(|rule| !rule.is_empty()),
                "{body}"
            );
        }
        _ => assert_eq!(body["status"], 422),
    }
}
