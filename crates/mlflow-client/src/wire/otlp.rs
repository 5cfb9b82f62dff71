//! OTLP spans (`traces/get`) to MLflow's dictionary format, as `get-trace-artifact` gives it.
//!
//! Numbers keep the text they came with, so that nanoseconds and doubles lose nothing. Attribute values become JSON
//! text in Python's spelling (`{"a": 1, "b": [true, null]}`), because that is what the dictionary format stores.

use std::borrow::Cow;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::span::JsonStr;
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The answer of `traces/get`; the spans are read in a second step, because they borrow from this text.
#[derive(Debug, Deserialize)]
pub(crate) struct TraceAnswer {
    trace: AnsweredTrace,
}

#[derive(Debug, Deserialize)]
struct AnsweredTrace {
    spans: Option<Box<RawValue>>,
}

impl TraceAnswer {
    /// The spans as `{"spans":[…]}` in the dictionary format.
    pub(crate) fn into_dictionary(self) -> Result<Bytes, serde_json::Error> {
        let text = self.trace.spans.as_deref().map_or("[]", RawValue::get);
        let spans: Vec<OtlpSpan<'_>> = serde_json::from_str(text)?;
        let spans = spans.iter().map(DictSpan::from).collect();
        Ok(serde_json::to_vec(&Dictionary { spans })?.into())
    }
}

#[derive(Debug, Deserialize)]
struct OtlpSpan<'a> {
    #[serde(borrow)]
    trace_id: JsonStr<'a>,
    #[serde(borrow)]
    span_id: JsonStr<'a>,
    #[serde(borrow)]
    parent_span_id: Option<JsonStr<'a>>,
    #[serde(borrow)]
    name: Option<JsonStr<'a>>,
    #[serde(borrow)]
    start_time_unix_nano: Option<&'a RawValue>,
    #[serde(borrow)]
    end_time_unix_nano: Option<&'a RawValue>,
    #[serde(borrow, default)]
    attributes: Vec<KeyValue<'a>>,
    #[serde(borrow, default)]
    events: Vec<OtlpEvent<'a>>,
    #[serde(borrow, default)]
    links: Vec<OtlpLink<'a>>,
    #[serde(borrow)]
    status: Option<OtlpStatus<'a>>,
}

#[derive(Debug, Deserialize)]
struct OtlpStatus<'a> {
    #[serde(borrow)]
    code: Option<JsonStr<'a>>,
    #[serde(borrow)]
    message: Option<JsonStr<'a>>,
}

#[derive(Debug, Deserialize)]
struct OtlpEvent<'a> {
    #[serde(borrow)]
    name: Option<JsonStr<'a>>,
    #[serde(borrow)]
    time_unix_nano: Option<&'a RawValue>,
    #[serde(borrow, default)]
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Debug, Deserialize)]
struct OtlpLink<'a> {
    #[serde(borrow)]
    trace_id: JsonStr<'a>,
    #[serde(borrow)]
    span_id: JsonStr<'a>,
    #[serde(borrow, default)]
    attributes: Vec<KeyValue<'a>>,
}

#[derive(Debug, Deserialize)]
struct KeyValue<'a> {
    // An empty key is left out, as protobuf's JSON does with all defaults.
    #[serde(borrow, default)]
    key: JsonStr<'a>,
    // Null is a key without a value.
    #[serde(borrow, default)]
    value: AnyValue<'a>,
}

/// One of; none set is null.
#[derive(Debug, Default, Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are the wire's")]
struct AnyValue<'a> {
    #[serde(borrow)]
    string_value: Option<JsonStr<'a>>,
    bool_value: Option<bool>,
    #[serde(borrow)]
    int_value: Option<&'a RawValue>,
    #[serde(borrow)]
    double_value: Option<&'a RawValue>,
    #[serde(borrow)]
    array_value: Option<ArrayValue<'a>>,
    #[serde(borrow)]
    kvlist_value: Option<KvList<'a>>,
    #[serde(borrow)]
    bytes_value: Option<JsonStr<'a>>,
}

#[derive(Debug, Deserialize)]
struct ArrayValue<'a> {
    #[serde(borrow, default)]
    values: Vec<AnyValue<'a>>,
}

#[derive(Debug, Deserialize)]
struct KvList<'a> {
    #[serde(borrow, default)]
    values: Vec<KeyValue<'a>>,
}

impl AnyValue<'_> {
    /// Appends the value as Python's `json.dumps(value, ensure_ascii=False)` spells it.
    fn write_python_json(&self, out: &mut String) {
        if let Some(text) = self.string_value.as_ref().or(self.bytes_value.as_ref()) {
            write_string(&text.0, out);
        } else if let Some(flag) = self.bool_value {
            out.push_str(if flag { "true" } else { "false" });
        } else if let Some(number) = self.int_value.or(self.double_value) {
            // Protobuf JSON may quote a 64-bit integer, and quotes NaN and Infinity, which Python writes bare.
            out.push_str(number.get().trim_matches('"'));
        } else if let Some(array) = &self.array_value {
            write_items(out, ['[', ']'], &array.values, AnyValue::write_python_json);
        } else if let Some(map) = &self.kvlist_value {
            write_items(out, ['{', '}'], &map.values, |pair, out| {
                write_string(&pair.key.0, out);
                out.push_str(": ");
                pair.value.write_python_json(out);
            });
        } else {
            out.push_str("null");
        }
    }

    fn python_json(&self) -> String {
        let mut out = String::new();
        self.write_python_json(&mut out);
        out
    }
}

fn write_items<T>(out: &mut String, [open, close]: [char; 2], items: &[T], write: impl Fn(&T, &mut String)) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write(item, out);
    }
    out.push(close);
}

fn write_string(text: &str, out: &mut String) {
    // `Value`'s Display is JSON; a string always has one, and a String takes all writes.
    let _ = write!(out, "{}", serde_json::Value::from(text));
}

#[derive(Serialize)]
struct Dictionary<'a> {
    spans: Vec<DictSpan<'a>>,
}

#[derive(Serialize)]
struct DictSpan<'a> {
    trace_id: &'a JsonStr<'a>,
    span_id: &'a JsonStr<'a>,
    parent_span_id: Option<&'a JsonStr<'a>>,
    name: Option<&'a JsonStr<'a>>,
    start_time_unix_nano: Option<&'a RawValue>,
    end_time_unix_nano: Option<&'a RawValue>,
    events: Vec<DictEvent<'a>>,
    status: DictStatus<'a>,
    #[serde(serialize_with = "attributes_as_json_text")]
    attributes: &'a [KeyValue<'a>],
    links: Vec<DictLink<'a>>,
}

#[derive(Serialize)]
struct DictStatus<'a> {
    code: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct DictEvent<'a> {
    name: Option<&'a JsonStr<'a>>,
    time_unix_nano: Option<&'a RawValue>,
    attributes: Values<'a>,
}

#[derive(Serialize)]
struct DictLink<'a> {
    trace_id: String,
    span_id: String,
    /// Null where there are none, as the SDK leaves them.
    attributes: Option<Values<'a>>,
}

impl<'a> From<&'a OtlpSpan<'a>> for DictSpan<'a> {
    fn from(span: &'a OtlpSpan<'a>) -> Self {
        let status = span.status.as_ref();
        let event = |event: &'a OtlpEvent<'a>| DictEvent {
            name: event.name.as_ref(),
            time_unix_nano: event.time_unix_nano,
            attributes: Values(&event.attributes),
        };
        let link = |link: &'a OtlpLink<'a>| DictLink {
            trace_id: format!("tr-{}", hex(&link.trace_id.0)),
            span_id: hex(&link.span_id.0).into_owned(),
            attributes: (!link.attributes.is_empty()).then_some(Values(&link.attributes)),
        };
        Self {
            trace_id: &span.trace_id,
            span_id: &span.span_id,
            parent_span_id: span.parent_span_id.as_ref().filter(|id| !id.0.is_empty()),
            name: span.name.as_ref(),
            start_time_unix_nano: span.start_time_unix_nano,
            end_time_unix_nano: span.end_time_unix_nano,
            events: span.events.iter().map(event).collect(),
            status: DictStatus {
                code: status
                    .and_then(|s| s.code.as_ref())
                    .map_or("STATUS_CODE_UNSET", |code| &code.0),
                message: status
                    .and_then(|s| s.message.as_ref())
                    .map_or("", |message| &message.0),
            },
            attributes: &span.attributes,
            links: span.links.iter().map(link).collect(),
        }
    }
}

/// Links name their target in hex, spans name themselves in base64.
fn hex(base64: &str) -> Cow<'_, str> {
    match STANDARD.decode(base64) {
        Ok(bytes) => bytes
            .iter()
            .fold(String::new(), |mut text, byte| {
                // A String takes all writes.
                let _ = write!(text, "{byte:02x}");
                text
            })
            .into(),
        Err(_) => Cow::Borrowed(base64),
    }
}

fn attributes_as_json_text<S: Serializer>(pairs: &[KeyValue<'_>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|pair| (&pair.key, pair.value.python_json())))
}

/// Attributes of events and links: plain values, where a span's are JSON text.
struct Values<'a>(&'a [KeyValue<'a>]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for pair in self.0 {
            let json = pair.value.python_json();
            match serde_json::from_str::<&RawValue>(&json) {
                Ok(value) => map.serialize_entry(&pair.key, value)?,
                // NaN and Infinity are no JSON: they stay text.
                Err(_) => map.serialize_entry(&pair.key, &json)?,
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn converted(spans: &Value) -> Value {
        let answer: TraceAnswer = serde_json::from_value(json!({"trace": {"spans": spans}})).unwrap();
        serde_json::from_slice(&answer.into_dictionary().unwrap()).unwrap()
    }

    /// Both texts were captured from one trace on MLflow 3.17.2.
    #[test]
    fn a_captured_trace_converts_to_its_captured_dictionary() {
        let otlp = include_bytes!("../../tests/fixtures/3.17.2__traces_get.json");
        let artifact = include_bytes!("../../tests/fixtures/3.17.2__get_trace_artifact.json");
        let answer: TraceAnswer = serde_json::from_slice(otlp).unwrap();
        let converted: Value = serde_json::from_slice(&answer.into_dictionary().unwrap()).unwrap();
        let expected: Value = serde_json::from_slice(artifact).unwrap();
        assert_eq!(converted, expected);
    }

    #[test]
    fn quoted_integers_and_unset_members_are_read() {
        let got = converted(&json!([{
            "trace_id": "AA==", "span_id": "AQ==",
            "attributes": [
                {"key": "i", "value": {"int_value": "9223372036854775807"}}, {"key": "n", "value": {}},
                {"value": {"bool_value": true}},
            ],
        }]));
        let span = &got["spans"][0];
        assert_eq!(
            span["attributes"],
            json!({"i": "9223372036854775807", "n": "null", "": "true"})
        );
        assert_eq!(
            span["status"],
            json!({"code": "STATUS_CODE_UNSET", "message": ""})
        );
        assert_eq!(
            (&span["parent_span_id"], &span["end_time_unix_nano"]),
            (&Value::Null, &Value::Null)
        );
    }

    #[test]
    fn a_trace_without_spans_is_an_empty_list() {
        let answer: TraceAnswer = serde_json::from_value(json!({"trace": {}})).unwrap();
        assert_eq!(answer.into_dictionary().unwrap(), r#"{"spans":[]}"#);
    }
}
