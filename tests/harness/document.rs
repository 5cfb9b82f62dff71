//! The OpenAPI document, held against real answers.

use serde_json::{Value, json};

use crate::TraceServer;

/// The OpenAPI document that a server serves.
#[derive(Debug)]
pub struct Document(Value);

impl TraceServer {
    /// The OpenAPI document.
    pub async fn document(&self) -> Document {
        Document(self.json("/openapi.json").await)
    }
}

impl Document {
    /// Holds an answer against what the document says that this route answers when all goes well.
    pub fn check(&self, method: &str, path: &str, answer: &Value) {
        let responses = &self.0["paths"][path][method]["responses"];
        let response = responses.get("200").unwrap_or(&responses["202"]);
        let schema = &response["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {path} is not documented");
        let whole = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "components": self.0["components"],
            "allOf": [schema],
        });
        let validator = jsonschema::validator_for(&whole).expect("the document's schemas are valid");
        let faults: Vec<_> = validator
            .iter_errors(answer)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{method} {path}: {faults:#?}");
    }
}
