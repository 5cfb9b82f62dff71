//! Examples of requests and answers, as they were recorded from a server with sample traces (`tests/clients/record.py`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, RefOr};

use super::operations;

const RECORDED: &str = include_str!("../../../../openapi/examples.json");

/// What was sent to an operation, and what it answered, by the answer's form.
#[derive(Debug, Deserialize)]
struct Exchange {
    request: Option<Value>,
    answers: BTreeMap<String, Value>,
}

/// Adds them. What is under two prefixes has them twice.
pub(super) fn with_examples(mut document: OpenApi) -> Result<OpenApi, serde_json::Error> {
    let recorded: BTreeMap<String, Exchange> = serde_json::from_str(RECORDED)?;
    for operation in operations(&mut document) {
        let id = operation.operation_id.as_deref().unwrap_or_default();
        if let Some(exchange) = recorded.get(id) {
            show(exchange, operation);
        }
    }
    Ok(document)
}

fn show(exchange: &Exchange, operation: &mut Operation) {
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && let Some(RefOr::T(content)) = body.content.get_mut("application/json")
    {
        content.example.clone_from(&exchange.request);
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        let forms = response.content.iter_mut();
        for (form, content) in forms.filter(|_| status.starts_with('2')) {
            if let RefOr::T(content) = content {
                content.example = exchange.answers.get(form).cloned();
            }
        }
    }
}
