//! What an id must look like, told in the OpenAPI document wherever one is asked for: in paths and in bodies.

use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::ArrayItems;
use utoipa::openapi::{OpenApi, RefOr, Schema};

/// An id of MLflow's or of ours.
const WORD: &str = "^[A-Za-z0-9_-]{1,64}$";

/// A whole number, written as MLflow writes it.
const NUMBER: &str = "^(0|[1-9][0-9]{0,18})$";

/// 8 bytes in base64 or in hex digits.
const SPAN: &str = "^((0x)?[0-9A-Fa-f]{16}|[A-Za-z0-9+/_-]{10}[AEIMQUYcgkosw048]=*)$";

/// The pattern of what stands under this name.
fn pattern(name: &str) -> Option<&'static str> {
    match name {
        "trace_id"
        | "trace_ids"
        | "run_id"
        | "mlflow_run_id"
        | "assessment_id"
        | "review_app_id"
        | "labeling_session_id"
        | "item_id" => Some(WORD),
        "experiment_id" | "experiment_ids" => Some(NUMBER),
        "span_id" | "parent_id" => Some(SPAN),
        _ => None,
    }
}

/// Adds the rules. What is answered has none: it is passed on as MLflow has it.
pub(super) fn with_id_rules(mut document: OpenApi) -> OpenApi {
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        operations.into_iter().flatten().for_each(rule_parameters);
    }
    let schemas = document
        .components
        .iter_mut()
        .flat_map(|components| &mut components.schemas);
    for (name, schema) in schemas {
        // What is sent, as its types are named.
        if let RefOr::T(Schema::Object(object)) = schema
            && (name.ends_with("Body") || name == "NewItemSource")
        {
            for (name, property) in &mut object.properties {
                rule(name, property);
            }
        }
    }
    document
}

fn rule_parameters(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        if let (ParameterIn::Path | ParameterIn::Query, Some(schema)) =
            (&parameter.parameter_in, &mut parameter.schema)
        {
            rule(&parameter.name, schema);
        }
    }
}

fn rule(name: &str, schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            object.pattern = pattern(name).map(str::to_owned).or(object.pattern.take());
        }
        RefOr::T(Schema::Array(array)) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                rule(name, items);
            }
        }
        _ => {}
    }
}
