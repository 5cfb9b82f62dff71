//! What was asked and what was answered, in one line each.
//!
//! MLflow's own preview stands. Where there is none it is derived: from the trace's metadata, else from its chat or
//! agent spans; from a conversation the last message of the user and the first choice of the model are taken.

use domain::span::{SPAN_INPUTS, SPAN_OUTPUTS, SpanView};
use domain::{TraceInfo, chat};
use serde_json::Value;

/// A derived preview is cut at this many characters.
const LIMIT: usize = 200;

/// Derives missing previews from the trace's metadata.
pub(crate) fn from_metadata(info: &mut TraceInfo) {
    let metadata = &info.trace_metadata;
    let text = |key: &str| metadata.get(key).filter(|text| !text.is_empty());
    if info.request_preview.is_none() {
        info.request_preview = text("mlflow.traceInputs").and_then(|text| request(text));
    }
    if info.response_preview.is_none() {
        info.response_preview = text("mlflow.traceOutputs").and_then(|text| response(text));
    }
}

/// Derives previews that are still missing from spans, chat models before agents: the request from the first that has
/// one, the response from the last.
pub(crate) fn from_spans<'a>(info: &mut TraceInfo, spans: impl Iterator<Item = SpanView<'a>>) {
    let (mut chats, mut agents) = (Vec::new(), Vec::new());
    for span in spans {
        match span.span_type().as_deref() {
            Some("CHAT_MODEL") => chats.push(span),
            Some("AGENT") => agents.push(span),
            _ => {}
        }
    }
    let of = |span: &SpanView<'a>, key, preview: fn(&str) -> Option<String>| {
        preview(&span.attributes().text(key)?)
    };
    if info.request_preview.is_none() {
        let mut candidates = chats.iter().chain(&agents);
        info.request_preview = candidates.find_map(|span| of(span, SPAN_INPUTS, request));
    }
    if info.response_preview.is_none() {
        let mut candidates = chats.iter().rev().chain(agents.iter().rev());
        info.response_preview = candidates.find_map(|span| of(span, SPAN_OUTPUTS, response));
    }
}

/// The request in short; the text may be JSON, JSON that was cut, or plain text.
pub(crate) fn request(text: &str) -> Option<String> {
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return cut(text);
    };
    chat::request(&value)
        .and_then(|text| cut(&text))
        .or_else(|| plain(&value))
}

/// The response in short.
fn response(text: &str) -> Option<String> {
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return cut(text);
    };
    chat::response(&value)
        .and_then(|text| cut(&text))
        .or_else(|| plain(&value))
}

/// What is no conversation is shown as it is.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => cut(text),
        other => cut(&other.to_string()),
    }
}

fn cut(text: &str) -> Option<String> {
    let end = text.char_indices().nth(LIMIT).map_or(text.len(), |(at, _)| at);
    (!text.is_empty()).then(|| text[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn the_users_last_message_is_the_request() {
        let chat = json!({"messages": [
            {"role": "system", "content": "s"}, {"role": "user", "content": "first"},
            {"role": "assistant", "content": "a"}, {"type": "human", "content": [{"type": "text", "text": "naïve?"}]},
            {"role": "tool", "content": "t"},
        ]});
        assert_eq!(request(&chat.to_string()).as_deref(), Some("naïve?"));
        assert_eq!(
            request("[{\"role\":\"user\",\"content\":\"hi\"}]").as_deref(),
            Some("hi")
        );
        assert_eq!(
            request("{\"query\": \"x\"}").as_deref(),
            Some("{\"query\":\"x\"}")
        );
        assert_eq!(request("\"plain\"").as_deref(), Some("plain"));
        assert_eq!(
            request("{\"messages\": [cut off").as_deref(),
            Some("{\"messages\": [cut off")
        );
    }

    #[test]
    fn every_known_form_of_response_is_read() {
        for (form, expected) in [
            (
                json!({"choices": [{"message": {"content": "c"}}], "text": "t"}),
                Some("c"),
            ),
            (json!({"generations": [[{"text": "g"}]]}), Some("g")),
            (json!({"text": "t"}), Some("t")),
            (json!("bare"), Some("bare")),
            (json!(3.5), Some("3.5")),
            (json!(null), None),
        ] {
            assert_eq!(response(&form.to_string()).as_deref(), expected, "{form}");
        }
    }

    #[test]
    fn chat_models_are_asked_before_agents() {
        let span = |kind: &str, inputs: &str| {
            let attributes = json!({"mlflow.spanType": format!("\"{kind}\""), SPAN_INPUTS: inputs});
            json!({ "attributes": attributes }).to_string()
        };
        let texts = [
            span("TOOL", "\"tool\""),
            span("AGENT", "\"agent\""),
            span("CHAT_MODEL", "\"chat\""),
        ];
        let derived = |texts: &[String]| {
            let mut info = crate::traces::test_info("tr-1");
            from_spans(&mut info, texts.iter().map(|text| SpanView::parse(text).unwrap()));
            info.request_preview
        };
        assert_eq!(derived(&texts).as_deref(), Some("chat"));
        assert_eq!(derived(&texts[..2]).as_deref(), Some("agent"));
        assert_eq!(derived(&texts[..1]), None);
    }

    proptest! {
        #[test]
        fn a_preview_is_at_most_200_whole_characters(text in "\\PC{0,300}") {
            let preview = cut(&text).unwrap_or_default();
            prop_assert!(preview.chars().count() <= LIMIT && text.starts_with(&preview));
        }
    }
}
