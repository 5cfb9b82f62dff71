//! A span as it is stored: MLflow's dictionary form, in which each attribute's value is a JSON text of its own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::json::{Json, object};
use crate::record::{Span, Trace, Usage};

impl Span {
    pub(crate) fn status(&self) -> &'static str {
        if self.error.is_some() { "ERROR" } else { "OK" }
    }

    pub(crate) fn content(&self, trace: &Trace) -> String {
        let events = self.events.iter().map(|event| {
            object! {
                "name": event.name,
                "time_unix_nano": event.time_ns,
                "attributes": event.attributes.clone(),
            }
        });
        let content = object! {
            "trace_id": STANDARD.encode(trace.number.to_be_bytes()),
            "span_id": base64_id(self.id),
            "parent_span_id": self.parent.map(base64_id),
            "name": self.name,
            "start_time_unix_nano": self.started_ns,
            "end_time_unix_nano": self.ended_ns,
            "events": Json::list(events),
            "status": object! {
                "code": format!("STATUS_CODE_{}", self.status()),
                "message": self.error.as_deref().unwrap_or_default(),
            },
            "attributes": self.stored_attributes(trace),
            "links": Json::List(Vec::new()),
        };
        content.to_string()
    }

    fn stored_attributes(&self, trace: &Trace) -> Json {
        let text = |value: &dyn std::fmt::Display| Json::Text(value.to_string());
        let mut all = vec![
            ("mlflow.traceRequestId", text(&Json::from(trace.id()))),
            ("mlflow.spanType", text(&Json::from(self.kind))),
            ("mlflow.spanInputs", text(&self.inputs)),
        ];
        all.extend(self.attributes.iter().map(|(key, value)| (*key, text(value))));
        all.extend(
            self.outputs
                .iter()
                .map(|outputs| ("mlflow.spanOutputs", text(outputs))),
        );
        let usage = self.usage.as_ref();
        all.extend(usage.map(|usage| ("mlflow.chat.tokenUsage", text(&usage.tokens()))));
        all.push(("mlflow.spanLogLevel", text(&Json::Int(self.log_level()))));
        all.extend(
            self.model
                .map(|model| ("mlflow.llm.model", text(&Json::from(model)))),
        );
        all.extend(
            self.provider()
                .map(|provider| ("mlflow.llm.provider", text(&Json::from(provider)))),
        );
        all.extend(usage.map(|usage| ("mlflow.llm.cost", text(&Usage::cost(usage)))));
        Json::Object(all)
    }

    /// Who serves the model; MLflow's own integrations note it where they note the tokens.
    pub(crate) fn provider(&self) -> Option<&'static str> {
        self.usage.and(Some("openai"))
    }

    /// MLflow's levels: what fails is an error, and mere steps of the program are for debugging.
    fn log_level(&self) -> i64 {
        match self.kind {
            _ if self.error.is_some() => 40,
            "AGENT" | "CHAT_MODEL" | "EMBEDDING" | "RETRIEVER" | "TOOL" => 20,
            _ => 10,
        }
    }
}

fn base64_id(id: u64) -> String {
    STANDARD.encode(id.to_be_bytes())
}
