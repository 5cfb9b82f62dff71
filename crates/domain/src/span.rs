//! Spans in MLflow's dictionary format, read without copying what is not needed.
//!
//! A span is kept and passed on as the JSON text MLflow stores; [`SpanView`] borrows from that text just
//! what filters, summaries and previews look at. The shape is that of MLflow 3; what MLflow 2 wrote is rewritten
//! to it where it comes in (see [`crate::span_v2`]).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::ids::{InvalidId, TraceId};

/// The attribute that holds a span's type, as JSON text: `"\"TOOL\""`.
pub const SPAN_TYPE: &str = "mlflow.spanType";
/// The attribute that holds a span's inputs, as JSON text.
pub const SPAN_INPUTS: &str = "mlflow.spanInputs";
/// The attribute that holds a span's outputs, as JSON text.
pub const SPAN_OUTPUTS: &str = "mlflow.spanOutputs";
/// The attribute that holds the id of a span's trace, as JSON text.
const SPAN_TRACE: &str = "mlflow.traceRequestId";

/// The longest attribute that a summary keeps, in bytes of JSON text.
const SUMMARY_ATTRIBUTE_MAX_BYTES: usize = 256;

/// A span's id: eight bytes, written in base64 (MLflow 3) or as 16 hex digits (MLflow 2, OpenTelemetry).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

impl FromStr for SpanId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        parse_hex(text.strip_prefix("0x").unwrap_or(text))
            .or_else(|| parse_base64(text))
            .map(Self)
            .ok_or(InvalidId {
                kind: "span_id",
                rule: "8 bytes in base64 (DFx/0KajpFA=) or 16 hex digits",
            })
    }
}

fn parse_hex(text: &str) -> Option<[u8; 8]> {
    let is_hex = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_hex
        .then(|| u64::from_str_radix(text, 16).ok().map(u64::to_be_bytes))
        .flatten()
}

/// Accepts the URL-safe alphabet, a missing padding, and the space that a form decoder makes of `+`.
fn parse_base64(text: &str) -> Option<[u8; 8]> {
    let standard: String = text
        .trim_end_matches('=')
        .chars()
        .map(|c| match c {
            '-' | ' ' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    // '-' is '+' in the URL-safe alphabet and ' ' is '+' after form decoding: both mean the same bits.
    STANDARD_NO_PAD.decode(standard).ok()?.try_into().ok()
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// A JSON string, borrowed where it holds no escape.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonStr<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for JsonStr<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StrVisitor;
        impl<'de> Visitor<'de> for StrVisitor {
            type Value = JsonStr<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(JsonStr(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(JsonStr(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(StrVisitor)
    }
}

impl Serialize for JsonStr<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A span's attributes in their own order; each value is the JSON text that MLflow stores.
#[derive(Debug, Default)]
pub struct Attributes<'a>(Vec<(JsonStr<'a>, &'a RawValue)>);

impl<'a> Attributes<'a> {
    /// The value stored under `key`, as it stands in the span (mostly a JSON string that holds JSON text).
    pub fn raw(&self, key: &str) -> Option<&'a RawValue> {
        self.0
            .iter()
            .find(|(name, _)| name.0 == key)
            .map(|(_, value)| *value)
    }

    /// The JSON text stored under `key`, one level unwrapped: `{"query": "x"}`, `"TOOL"`, `20`.
    pub fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        let raw = self.raw(key)?.get();
        match serde_json::from_str::<JsonStr<'a>>(raw) {
            Ok(JsonStr(text)) => Some(text),
            Err(_) => Some(Cow::Borrowed(raw)),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Attributes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor;
        impl<'de> Visitor<'de> for MapVisitor {
            type Value = Attributes<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of attributes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut attributes = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some(entry) = map.next_entry()? {
                    attributes.push(entry);
                }
                Ok(Attributes(attributes))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Attributes::default())
            }
        }
        deserializer.deserialize_any(MapVisitor)
    }
}

/// A span as far as this product reads it; everything borrows from the span's JSON text.
#[derive(Debug, Deserialize)]
pub struct SpanView<'a> {
    #[serde(borrow)]
    name: Option<JsonStr<'a>>,
    #[serde(borrow)]
    trace_id: Option<JsonStr<'a>>,
    #[serde(borrow)]
    span_id: Option<JsonStr<'a>>,
    #[serde(borrow)]
    parent_span_id: Option<JsonStr<'a>>,
    #[serde(borrow)]
    start_time_unix_nano: Option<&'a RawValue>,
    #[serde(borrow)]
    end_time_unix_nano: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    attributes: Attributes<'a>,
    #[serde(borrow, default)]
    events: Vec<&'a RawValue>,
}

impl<'a> SpanView<'a> {
    /// Reads a span's JSON text.
    ///
    /// # Errors
    /// When the text is no JSON object or a member that is read has another type than MLflow gives it.
    pub fn parse(json: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    fn parent_text(&self) -> Option<&JsonStr<'a>> {
        self.parent_span_id.as_ref().filter(|text| !text.0.is_empty())
    }

    /// The span's id, when it has a well-formed one.
    pub fn id(&self) -> Option<SpanId> {
        self.span_id.as_ref()?.0.parse().ok()
    }

    /// The parent's id; `None` on a root.
    pub fn parent_id(&self) -> Option<SpanId> {
        self.parent_text()?.0.parse().ok()
    }

    /// Whether the span has no parent.
    pub fn is_root(&self) -> bool {
        self.parent_text().is_none()
    }

    /// Whether the span has an end.
    pub fn is_ended(&self) -> bool {
        self.end_time_unix_nano
            .is_some_and(|end| !matches!(end.get(), "null" | "0"))
    }

    /// The span's name.
    pub fn name(&self) -> &str {
        self.name.as_ref().map_or("", |name| &name.0)
    }

    /// When it began, in ns since the Unix epoch.
    pub fn start_ns(&self) -> Option<u64> {
        self.start_time_unix_nano?.get().parse().ok()
    }

    /// When it ended, in ns since the Unix epoch; `None` while it runs.
    pub fn end_ns(&self) -> Option<u64> {
        let end = self.end_time_unix_nano?.get().parse().ok();
        end.filter(|end| *end != 0)
    }

    /// How it went; what is not said is unset.
    pub fn status(&self) -> SpanStatus<'a> {
        let status = self
            .status
            .and_then(|status| serde_json::from_str(status.get()).ok());
        status.unwrap_or_default()
    }

    /// What was thrown: the last of its exceptions.
    pub fn exception(&self) -> Option<SpanException> {
        let events = self.events.iter().rev();
        let mut read = events.filter_map(|event| serde_json::from_str::<SpanEvent>(event.get()).ok());
        read.find(|event| event.name == "exception")
            .map(|event| event.attributes)
    }

    /// The span's type, such as `TOOL`.
    pub fn span_type(&self) -> Option<String> {
        serde_json::from_str(&self.attributes.text(SPAN_TYPE)?).ok()
    }

    /// Whether the span says that it belongs to another trace. Believed only where both ids are of MLflow's own making, so
    /// that what others write there keeps no trace from being read.
    pub fn is_surely_not_of(&self, trace: &TraceId) -> bool {
        let own = self.attributes.text(SPAN_TRACE);
        let own: Option<String> = own.and_then(|text| serde_json::from_str(&text).ok());
        let is_own_making = |id: &str| {
            let hex = id.strip_prefix("tr-").unwrap_or_default();
            hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        own.is_some_and(|own| own != trace.as_str() && is_own_making(&own) && is_own_making(trace.as_str()))
    }

    /// The span's attributes.
    pub fn attributes(&self) -> &Attributes<'a> {
        &self.attributes
    }

    /// The span without inputs, outputs and large attributes; `total_bytes` is the length of the span's text.
    pub fn summary(&self, total_bytes: usize) -> impl Serialize + use<'_, 'a> {
        let size = |key| self.attributes.raw(key).map_or(0, |value| value.get().len());
        SpanSummary {
            name: self.name.as_ref(),
            trace_id: self.trace_id.as_ref(),
            span_id: self.span_id.as_ref(),
            parent_span_id: self.parent_text(),
            start_time_unix_nano: self.start_time_unix_nano,
            end_time_unix_nano: self.end_time_unix_nano,
            status: self.status,
            attributes: SmallAttributes(&self.attributes),
            sizes: SpanSizes {
                total_bytes,
                inputs_bytes: size(SPAN_INPUTS),
                outputs_bytes: size(SPAN_OUTPUTS),
                attributes_bytes: self.attributes.0.iter().map(|(_, value)| value.get().len()).sum(),
                attributes_count: self.attributes.0.len(),
                events_count: self.events.len(),
            },
        }
    }
}

/// How a span went.
#[derive(Debug, Default, Deserialize)]
pub struct SpanStatus<'a> {
    #[serde(borrow, default)]
    code: JsonStr<'a>,
    #[serde(borrow, default)]
    message: Option<JsonStr<'a>>,
}

impl SpanStatus<'_> {
    /// Whether it failed. MLflow 3 writes `STATUS_CODE_ERROR`, its SDK and MLflow 2 `ERROR`.
    pub fn is_error(&self) -> bool {
        matches!(&*self.code.0, "STATUS_CODE_ERROR" | "ERROR")
    }

    /// Why, in the words of whoever traced it; empty where it is not said.
    pub fn message(&self) -> &str {
        self.message.as_ref().map_or("", |message| &message.0)
    }
}

#[derive(Deserialize)]
struct SpanEvent {
    #[serde(default)]
    name: String,
    #[serde(default)]
    attributes: SpanException,
}

/// An exception, as OpenTelemetry names its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct SpanException {
    /// Its class, such as `ConnectionError`.
    #[serde(rename = "exception.type", default)]
    pub kind: String,
    /// What it says.
    #[serde(rename = "exception.message", default)]
    pub message: String,
}

/// Sizes of a span's parts, in bytes of JSON text as MLflow sends it.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SpanSizes {
    /// The whole span.
    #[cfg_attr(feature = "openapi", schema(example = 1423))]
    pub total_bytes: usize,
    /// `mlflow.spanInputs`.
    #[cfg_attr(feature = "openapi", schema(example = 26))]
    pub inputs_bytes: usize,
    /// `mlflow.spanOutputs`.
    #[cfg_attr(feature = "openapi", schema(example = 120))]
    pub outputs_bytes: usize,
    /// All attribute values together, inputs and outputs among them.
    #[cfg_attr(feature = "openapi", schema(example = 301))]
    pub attributes_bytes: usize,
    /// How many attributes the span has.
    #[cfg_attr(feature = "openapi", schema(example = 4))]
    pub attributes_count: usize,
    /// How many events the span has.
    #[cfg_attr(feature = "openapi", schema(example = 1))]
    pub events_count: usize,
}

#[derive(Serialize)]
struct SpanSummary<'v, 'a> {
    name: Option<&'v JsonStr<'a>>,
    trace_id: Option<&'v JsonStr<'a>>,
    span_id: Option<&'v JsonStr<'a>>,
    parent_span_id: Option<&'v JsonStr<'a>>,
    start_time_unix_nano: Option<&'a RawValue>,
    end_time_unix_nano: Option<&'a RawValue>,
    status: Option<&'a RawValue>,
    attributes: SmallAttributes<'v, 'a>,
    sizes: SpanSizes,
}

struct SmallAttributes<'v, 'a>(&'v Attributes<'a>);

impl Serialize for SmallAttributes<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_small = |key: &str, value: &RawValue| {
            !matches!(key, SPAN_INPUTS | SPAN_OUTPUTS) && value.get().len() <= SUMMARY_ATTRIBUTE_MAX_BYTES
        };
        let small = (self.0.0).iter().filter(|(key, value)| is_small(&key.0, value));
        serializer.collect_map(small.map(|(key, value)| (key, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn span() -> String {
        json!({
            "trace_id": "ZRMnDiaeDTfyp03kUua0OA==", "span_id": "PZwXJBHiC48=", "parent_span_id": "DFx/0KajpFA=",
            "name": "näme", "start_time_unix_nano": 1_795_457_376_872_393_064_u64,
            "end_time_unix_nano": 1_795_457_376_872_766_555_u64,
            "events": [{"name": "e"}], "links": [], "status": {"code": "STATUS_CODE_OK", "message": ""},
            "attributes": {
                "mlflow.spanType": "\"RETRIEVER\"", "mlflow.spanInputs": "{\"q\": 1}", "mlflow.spanOutputs": "[2]",
                "small": "1", "large": "x".repeat(300),
            },
        })
        .to_string()
    }

    #[test]
    fn a_summary_keeps_ids_times_and_small_attributes_only() {
        let text = span();
        let view = SpanView::parse(&text).unwrap();
        let summary = serde_json::to_value(view.summary(text.len())).unwrap();
        assert_eq!(summary["start_time_unix_nano"], 1_795_457_376_872_393_064_u64);
        assert_eq!(summary["status"]["code"], "STATUS_CODE_OK");
        assert_eq!(
            summary["attributes"],
            json!({"mlflow.spanType": "\"RETRIEVER\"", "small": "1"})
        );
        assert_eq!(summary["sizes"]["total_bytes"], text.len());
        assert_eq!(summary["sizes"]["inputs_bytes"], r#""{\"q\": 1}""#.len());
        assert_eq!(summary["sizes"]["events_count"], 1);
        assert_eq!(view.span_type().as_deref(), Some("RETRIEVER"));
        assert!(view.is_ended() && !view.is_root());
    }

    #[test]
    fn a_span_without_an_end_is_not_ended() {
        for end in ["null", "0"] {
            let text = format!(r#"{{"span_id":"x","end_time_unix_nano":{end}}}"#);
            assert!(!SpanView::parse(&text).unwrap().is_ended());
        }
        assert!(!SpanView::parse("{}").unwrap().is_ended());
    }

    #[test]
    fn what_a_failed_span_tells_is_read() {
        let mut told: Value = serde_json::from_str(&span()).unwrap();
        told["status"] = json!({"code": "STATUS_CODE_ERROR", "message": "no \"route\""});
        told["events"] = json!([
            {"name": "exception", "attributes": {"exception.type": "OldError"}},
            {"name": "exception", "attributes": {"exception.type": "KeyError", "exception.message": "'x'", "more": 1}},
            {"name": "retry"},
        ]);
        let text = told.to_string();
        let view = SpanView::parse(&text).unwrap();
        assert!(view.status().is_error() && view.status().message() == "no \"route\"");
        let (kind, message) = ("KeyError".to_owned(), "'x'".to_owned());
        assert_eq!(view.exception(), Some(SpanException { kind, message }));
        assert_eq!(
            (view.name(), view.end_ns().unwrap() - view.start_ns().unwrap()),
            ("näme", 373_491)
        );
        let bare = SpanView::parse(r#"{"end_time_unix_nano": 0, "status": 7}"#).unwrap();
        assert!(!bare.status().is_error() && bare.exception().is_none() && bare.end_ns().is_none());
    }

    proptest! {
        #[test]
        fn a_span_id_reads_the_same_in_every_spelling(bytes: [u8; 8]) {
            let expected = SpanId(bytes);
            let base64 = base64::engine::general_purpose::STANDARD.encode(bytes);
            let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
            for text in [base64.clone(), base64.replace('+', " "), url_safe, expected.to_string(), format!("0x{expected}")] {
                prop_assert_eq!(text.parse::<SpanId>(), Ok(expected));
            }
        }

        #[test]
        fn no_text_makes_the_span_reader_panic(text in ".{0,200}") {
            let _ = SpanView::parse(&text).map(|view| serde_json::to_value(view.summary(0)));
        }

        #[test]
        fn attribute_text_is_unwrapped_once(value in "[a-z\"\\\\\u{e9}\u{1f600}]{0,20}") {
            let stored = serde_json::to_string(&value).unwrap();
            let text = json!({"attributes": {"k": stored}}).to_string();
            let view = SpanView::parse(&text).unwrap();
            let unwrapped = view.attributes().text("k").unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&unwrapped).unwrap(), Value::String(value));
        }
    }

    #[test]
    fn only_an_id_of_mlflows_own_making_tells_of_another_trace() {
        let ids = [
            "tr-6513270e269e0d37f2a74de452e6b438",
            "tr-3f3391a3fcdca34a14d3b88c45afc2a0",
        ];
        let of = |attributes: String| format!(r#"{{"name": "a", "attributes": {attributes}}}"#);
        let says = |id: &str| of(format!(r#"{{"mlflow.traceRequestId": "\"{id}\""}}"#));
        for (span, trace, expected) in [
            (says(ids[1]), ids[0], true),
            (says(ids[0]), ids[0], false),
            (says("request-4711"), ids[0], false),
            (says(ids[1]), "request-4711", false),
            (of("{}".to_owned()), ids[0], false),
            (of(r#"{"mlflow.traceRequestId": 7}"#.to_owned()), ids[0], false),
        ] {
            let view = SpanView::parse(&span).unwrap();
            assert_eq!(
                view.is_surely_not_of(&trace.parse().unwrap()),
                expected,
                "{span} {trace}"
            );
        }
    }
}
