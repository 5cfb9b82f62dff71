//! Spans as MLflow 2 wrote them, rewritten to the shape of MLflow 3.
//!
//! MLflow 3 still serves what MLflow 2 stored, as it was stored: ids in hex under `context`, `start_time`, `status_code`.
//! Who reads spans here should know one shape only. Nothing but names, ids and the status' spelling changes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::span::JsonStr;

#[derive(Deserialize)]
struct SpanV2<'a> {
    #[serde(borrow)]
    name: Option<JsonStr<'a>>,
    #[serde(borrow)]
    context: Context<'a>,
    #[serde(borrow)]
    parent_id: Option<JsonStr<'a>>,
    #[serde(borrow)]
    start_time: Option<&'a RawValue>,
    #[serde(borrow)]
    end_time: Option<&'a RawValue>,
    #[serde(borrow)]
    status_code: Option<JsonStr<'a>>,
    #[serde(borrow)]
    status_message: Option<JsonStr<'a>>,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
    #[serde(borrow, default)]
    events: Vec<EventV2<'a>>,
}

#[derive(Deserialize)]
struct Context<'a> {
    #[serde(borrow)]
    span_id: JsonStr<'a>,
    #[serde(borrow)]
    trace_id: JsonStr<'a>,
}

#[derive(Deserialize)]
struct EventV2<'a> {
    #[serde(borrow)]
    name: Option<JsonStr<'a>>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct SpanV3<'a> {
    trace_id: String,
    span_id: String,
    parent_span_id: Option<String>,
    name: Option<&'a JsonStr<'a>>,
    start_time_unix_nano: Option<&'a RawValue>,
    end_time_unix_nano: Option<&'a RawValue>,
    events: Vec<EventV3<'a>>,
    status: StatusV3<'a>,
    attributes: Option<&'a RawValue>,
    links: [(); 0],
}

#[derive(Serialize)]
struct EventV3<'a> {
    name: Option<&'a JsonStr<'a>>,
    time_unix_nano: Option<&'a RawValue>,
    attributes: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct StatusV3<'a> {
    code: String,
    message: &'a str,
}

/// The span in the shape of MLflow 3; `None` when it is not one of MLflow 2.
pub fn to_v3(json: &str) -> Option<String> {
    let span: SpanV2<'_> = serde_json::from_str(json).ok()?;
    let text = |text: &'_ Option<JsonStr<'_>>| text.as_ref().map(|text| text.0.clone().into_owned());
    let rewritten = SpanV3 {
        trace_id: base64_of_hex(&span.context.trace_id.0),
        span_id: base64_of_hex(&span.context.span_id.0),
        parent_span_id: span
            .parent_id
            .as_ref()
            .filter(|id| !id.0.is_empty())
            .map(|id| base64_of_hex(&id.0)),
        name: span.name.as_ref(),
        start_time_unix_nano: span.start_time,
        end_time_unix_nano: span.end_time,
        events: span.events.iter().map(EventV3::from).collect(),
        status: StatusV3 {
            code: format!(
                "STATUS_CODE_{}",
                text(&span.status_code).as_deref().unwrap_or("UNSET")
            ),
            message: span.status_message.as_ref().map_or("", |message| &message.0),
        },
        attributes: span.attributes,
        links: [],
    };
    serde_json::to_string(&rewritten).ok()
}

impl<'a> From<&'a EventV2<'a>> for EventV3<'a> {
    fn from(event: &'a EventV2<'a>) -> Self {
        Self {
            name: event.name.as_ref(),
            time_unix_nano: event.timestamp,
            attributes: event.attributes,
        }
    }
}

/// An id that is not hex stays as it is: better an odd id than none.
fn base64_of_hex(id: &str) -> String {
    let digits = id.strip_prefix("0x").unwrap_or(id);
    let pairs = digits.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs
        .map(|pair| {
            u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16)
                .ok()
                .filter(|_| pair.len() == 2)
        })
        .collect();
    bytes.map_or_else(|| id.to_owned(), |bytes| STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_span_of_mlflow_2_gets_the_shape_of_mlflow_3() {
        let old = json!({
            "name": "root", "context": {"span_id": "0x0c5c7fd0a6a3a450", "trace_id": "6513270e269e0d37f2a74de452e6b438"},
            "parent_id": null, "start_time": 1_795_457_376_872_393_064_u64, "end_time": 2,
            "status_code": "ERROR", "status_message": "boom ü", "attributes": {"mlflow.spanType": "\"CHAIN\""},
            "events": [{"name": "exception", "timestamp": 3, "attributes": {"a": 1}}],
        });
        let new: Value = serde_json::from_str(&to_v3(&old.to_string()).unwrap()).unwrap();
        let expected = json!({
            "trace_id": "ZRMnDiaeDTfyp03kUua0OA==", "span_id": "DFx/0KajpFA=", "parent_span_id": null, "name": "root",
            "start_time_unix_nano": 1_795_457_376_872_393_064_u64, "end_time_unix_nano": 2,
            "events": [{"name": "exception", "time_unix_nano": 3, "attributes": {"a": 1}}],
            "status": {"code": "STATUS_CODE_ERROR", "message": "boom ü"},
            "attributes": {"mlflow.spanType": "\"CHAIN\""}, "links": [],
        });
        assert_eq!(new, expected);
    }

    #[test]
    fn a_span_of_mlflow_3_is_not_taken_for_an_old_one() {
        assert_eq!(
            to_v3(r#"{"span_id": "DFx/0KajpFA=", "attributes": {"context": "{}"}}"#),
            None
        );
        assert_eq!(to_v3("{}"), None);
        assert_eq!(base64_of_hex("xyz"), "xyz");
        assert_eq!(base64_of_hex("abc"), "abc");
    }
}
