//! A span of MLflow as OpenTelemetry writes it in JSON (OTLP/JSON): ids in hex, times and integers as strings, names in camel case.
//!
//! MLflow stores each attribute as JSON text in a string; here it is the value itself, as MLflow's own OTLP has it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::TraceInfo;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde::Deserialize;
use serde_json::Value;

/// What stands before the trace's id.
pub(super) const BEFORE_TRACE_ID: &str =
    r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"mlflow.traceRequestId","value":{"stringValue":""#;

/// What stands after the last span.
pub(super) const TAIL: &[u8] = b"]}]}]}";

/// What stands before the first span: the trace's info as attributes of the resource.
pub(super) fn head(info: &TraceInfo) -> Bytes {
    let experiment = info.trace_location.mlflow_experiment.as_ref();
    let text = |value: &str| Value::from(value);
    let state = serde_json::to_value(info.state).unwrap_or_default();
    let told = [
        experiment.map(|experiment| {
            (
                "mlflow.experimentId".to_owned(),
                text(experiment.experiment_id.as_str()),
            )
        }),
        Some(("mlflow.trace.state".to_owned(), state)),
        info.client_request_id
            .as_deref()
            .map(|id| ("mlflow.trace.clientRequestId".to_owned(), text(id))),
    ];
    let tagged = |kind: &'static str, map: &BTreeMap<String, String>| {
        let pairs = map
            .iter()
            .map(move |(key, value)| (format!("mlflow.trace.{kind}.{key}"), Value::from(value.as_str())));
        pairs.collect::<Vec<_>>()
    };
    let attributes = told
        .into_iter()
        .flatten()
        .chain(tagged("metadata", &info.trace_metadata))
        .chain(tagged("tag", &info.tags))
        .fold(String::new(), |text, (key, value)| {
            text + "," + &json(&key_value(key, value))
        });
    let id = &info.trace_id;
    Bytes::from(format!(
        r#"{BEFORE_TRACE_ID}{id}"}}}}{attributes}]}},"scopeSpans":[{{"scope":{{"name":"mlflow"}},"spans":["#
    ))
}

/// Spans with commas between them, and before them unless they are the first.
pub(super) fn spans(stored: &[Bytes], are_first: bool) -> Result<Bytes, serde_json::Error> {
    let mut text = Vec::new();
    for (index, stored) in stored.iter().enumerate() {
        if index > 0 || !are_first {
            text.push(b',');
        }
        let stored: StoredSpan = serde_json::from_slice(stored)?;
        serde_json::to_writer(&mut text, &stored.into_otlp()?)?;
    }
    Ok(text.into())
}

fn json(value: &impl serde::Serialize) -> String {
    // Of texts and numbers: always there.
    serde_json::to_string(value).unwrap_or_default()
}

/// A span as MLflow stores it.
#[derive(Deserialize)]
struct StoredSpan {
    trace_id: String,
    span_id: String,
    parent_span_id: Option<String>,
    name: Option<String>,
    start_time_unix_nano: Option<u64>,
    end_time_unix_nano: Option<u64>,
    status: Option<StoredStatus>,
    attributes: Option<BTreeMap<String, Value>>,
    events: Option<Vec<StoredEvent>>,
    links: Option<Vec<StoredLink>>,
}

#[derive(Deserialize)]
struct StoredStatus {
    code: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct StoredEvent {
    name: Option<String>,
    time_unix_nano: Option<u64>,
    attributes: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct StoredLink {
    trace_id: String,
    span_id: String,
    attributes: Option<BTreeMap<String, Value>>,
}

impl StoredSpan {
    fn into_otlp(self) -> Result<Span, serde_json::Error> {
        let parent = self.parent_span_id.filter(|id| !id.is_empty());
        let links = self.links.unwrap_or_default().into_iter().map(|link| {
            let trace = link.trace_id.strip_prefix("tr-").unwrap_or(&link.trace_id);
            Ok(Link {
                trace_id: id::<16>(trace)?,
                span_id: id::<8>(&link.span_id)?,
                attributes: plain(link.attributes),
                ..Link::default()
            })
        });
        let events = self.events.unwrap_or_default().into_iter().map(|event| Event {
            time_unix_nano: event.time_unix_nano.unwrap_or_default(),
            name: event.name.unwrap_or_default(),
            attributes: plain(event.attributes),
            dropped_attributes_count: 0,
        });
        let attributes = self.attributes.unwrap_or_default();
        let attributes = attributes
            .into_iter()
            .map(|(key, value)| key_value(key, unpacked(value)));
        Ok(Span {
            trace_id: id::<16>(&self.trace_id)?,
            span_id: id::<8>(&self.span_id)?,
            parent_span_id: parent.map_or(Ok(Vec::new()), |parent| id::<8>(&parent))?,
            name: self.name.unwrap_or_default(),
            start_time_unix_nano: self.start_time_unix_nano.unwrap_or_default(),
            end_time_unix_nano: self.end_time_unix_nano.unwrap_or_default(),
            attributes: attributes.collect(),
            events: events.collect(),
            links: links.collect::<Result<_, serde_json::Error>>()?,
            status: self.status.map(StoredStatus::into_otlp),
            ..Span::default()
        })
    }
}

impl StoredStatus {
    fn into_otlp(self) -> Status {
        // MLflow 3 writes `STATUS_CODE_OK`, its SDK and MLflow 2 `OK`.
        let code = self.code.unwrap_or_default();
        let code = match code.trim_start_matches("STATUS_CODE_") {
            "OK" => StatusCode::Ok,
            "ERROR" => StatusCode::Error,
            _ => StatusCode::Unset,
        };
        Status {
            code: code.into(),
            message: self.message.unwrap_or_default(),
        }
    }
}

/// The bytes of an id: base64, or hex with or without `0x`.
fn id<const N: usize>(text: &str) -> Result<Vec<u8>, serde_json::Error> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let is_hex = digits.len() == 2 * N && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = if is_hex {
        let pair = |at| u8::from_str_radix(&digits[at..at + 2], 16).ok();
        (0..2 * N).step_by(2).map(pair).collect()
    } else {
        STANDARD.decode(text).ok()
    };
    bytes
        .filter(|bytes: &Vec<u8>| bytes.len() == N)
        .ok_or_else(|| serde::de::Error::custom(format_args!("{text:?} is no id of {N} bytes")))
}

/// An attribute's value: what the JSON text in it says, else the text.
fn unpacked(value: Value) -> Value {
    match value {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        other => other,
    }
}

fn plain(attributes: Option<BTreeMap<String, Value>>) -> Vec<KeyValue> {
    let attributes = attributes.unwrap_or_default().into_iter();
    attributes.map(|(key, value)| key_value(key, value)).collect()
}

fn key_value(key: String, value: Value) -> KeyValue {
    KeyValue {
        key,
        value: Some(any(value)),
        ..KeyValue::default()
    }
}

fn any(value: Value) -> AnyValue {
    let value = match value {
        Value::Null => None,
        Value::Bool(is) => Some(Any::BoolValue(is)),
        Value::Number(number) => Some(match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Any::IntValue(whole),
            // A whole number that is too large for OTLP keeps its digits.
            (None, Some(real)) if number.is_f64() => Any::DoubleValue(real),
            (None, _) => Any::StringValue(number.to_string()),
        }),
        Value::String(text) => Some(Any::StringValue(text)),
        Value::Array(items) => Some(Any::ArrayValue(ArrayValue {
            values: items.into_iter().map(any).collect(),
        })),
        Value::Object(members) => Some(Any::KvlistValue(KeyValueList {
            values: members
                .into_iter()
                .map(|(key, value)| key_value(key, value))
                .collect(),
        })),
    };
    AnyValue { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn converted(stored: &Value) -> Value {
        let text = spans(&[Bytes::from(stored.to_string())], true).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    #[test]
    fn a_span_is_as_opentelemetry_writes_it() {
        let stored = json!({
            "trace_id": "ZRMnDiaeDTfyp03kUua0OA==", "span_id": "DFx/0KajpFA=", "parent_span_id": null, "name": "näme",
            "start_time_unix_nano": 1_795_457_376_829_984_805_u64, "end_time_unix_nano": 1_795_457_376_874_595_806_u64,
            "status": {"code": "STATUS_CODE_ERROR", "message": "it failed"},
            "attributes": {"mlflow.spanType": "\"TOOL\"", "n": "{\"a\": [1, 2.5, null, true]}", "nan": "NaN", "x": "no json"},
            "events": [{"name": "exception", "time_unix_nano": 7, "attributes": {"exception.type": "E"}}],
            "links": [{"trace_id": "tr-6513270e269e0d37f2a74de452e6b438", "span_id": "0c5c7fd0a6a3a450", "attributes": null}],
        });
        let span = converted(&stored);
        assert_eq!(span["traceId"], "6513270e269e0d37f2a74de452e6b438");
        assert_eq!(span["spanId"], "0c5c7fd0a6a3a450");
        assert_eq!(span["startTimeUnixNano"], "1795457376829984805");
        assert_eq!(span["status"], json!({"code": 2, "message": "it failed"}));
        let values: BTreeMap<_, _> = span["attributes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| (pair["key"].as_str().unwrap(), pair["value"].clone()))
            .collect();
        assert_eq!(values["mlflow.spanType"], json!({"stringValue": "TOOL"}));
        assert_eq!(values["nan"], json!({"stringValue": "NaN"}));
        assert_eq!(values["x"], json!({"stringValue": "no json"}));
        let list = &values["n"]["kvlistValue"]["values"][0]["value"]["arrayValue"]["values"];
        assert_eq!(list[0], json!({"intValue": "1"}));
        assert_eq!(list[1], json!({"doubleValue": 2.5}));
        assert_eq!(list[3], json!({"boolValue": true}));
        assert_eq!(span["events"][0]["timeUnixNano"], "7");
        assert_eq!(span["links"][0]["spanId"], "0c5c7fd0a6a3a450");
    }

    #[test]
    fn what_is_null_counts_as_not_said_and_large_numbers_keep_their_digits() {
        let stored = json!({
            "trace_id": "ZRMnDiaeDTfyp03kUua0OA==", "span_id": "DFx/0KajpFA=", "name": null, "events": null, "links": null,
            "attributes": {"large": "18446744073709551615"}, "status": {"code": null}, "end_time_unix_nano": null,
        });
        let span = converted(&stored);
        let large = &span["attributes"][0]["value"];
        assert_eq!(*large, json!({"stringValue": "18446744073709551615"}));
    }

    #[test]
    fn what_has_no_id_is_refused() {
        let stored = json!({"trace_id": "1234", "span_id": "DFx/0KajpFA="}).to_string();
        let error = spans(&[stored.into()], true).unwrap_err();
        assert!(error.to_string().contains("no id of 16 bytes"), "{error}");
    }
}
