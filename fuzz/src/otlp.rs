//! OTLP spans, converted to MLflow's dictionary format.

use std::collections::HashMap;

use domain::span::SpanView;
use futures::FutureExt;
use mlflow_client::doors::otlp_to_dictionary;
use serde::Deserialize;
use serde_json::value::RawValue;
use service::doors::arrive;

use crate::is_json;

#[derive(Deserialize)]
struct Answer {
    trace: Trace,
}

#[derive(Deserialize)]
struct Trace {
    spans: Option<Vec<Given>>,
}

/// What must not change of a span.
#[derive(Deserialize)]
struct Given {
    trace_id: String,
    span_id: String,
    name: Option<String>,
    #[serde(default)]
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
struct Attribute {
    #[serde(default)]
    key: String,
}

#[derive(Deserialize)]
struct Dictionary<'a> {
    #[serde(borrow)]
    spans: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Converted {
    trace_id: String,
    span_id: String,
    name: Option<String>,
    attributes: HashMap<String, String>,
}

/// What is converted is JSON with the spans that were given, by their ids, names and attributes; the product reads them, and
/// finds them in the text as in any other.
pub(crate) fn run(data: &[u8]) {
    let Ok(dictionary) = otlp_to_dictionary(data) else {
        return;
    };
    assert!(is_json(&dictionary), "no JSON");
    let spans = serde_json::from_slice::<Dictionary<'_>>(&dictionary).map(|read| read.spans);
    assert!(spans.is_ok(), "no list of spans");
    let spans = spans.unwrap_or_default();
    let given = serde_json::from_slice::<Answer>(data).map(|answer| answer.trace.spans.unwrap_or_default());
    assert!(given.is_ok(), "converted from something else: {:?}", given.err());
    let given = given.unwrap_or_default();
    assert_eq!(given.len(), spans.len(), "spans");
    for (given, text) in given.iter().zip(&spans) {
        let converted: Result<Converted, _> = serde_json::from_str(text.get());
        assert!(converted.is_ok(), "{:?}", converted.err());
        if let Ok(converted) = converted {
            assert_eq!(given.trace_id, converted.trace_id);
            assert_eq!(given.span_id, converted.span_id);
            assert_eq!(given.name, converted.name);
            let all_there = |pair: &Attribute| converted.attributes.contains_key(&pair.key);
            assert!(given.attributes.iter().all(all_there), "attributes");
        }
        let view = SpanView::parse(text.get());
        assert!(view.is_ok(), "a span that is not read: {:?}", view.err());
    }
    let arrived = arrive(vec![dictionary.clone()], usize::MAX).now_or_never();
    let count = arrived.and_then(Result::ok).map(|(found, _)| found.len());
    assert_eq!(count, Some(spans.len()), "found in the text");
}
