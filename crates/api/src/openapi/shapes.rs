//! What is told of shapes in a way that generated clients and pages read well.

use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, Object, SchemaType, Type};
use utoipa::openapi::{OpenApi, RefOr, Schema};

use super::operations;

/// Says of objects whose members are not known that they may have any: a generator would take them for empty.
pub(super) fn with_free_objects(mut document: OpenApi) -> OpenApi {
    let components = document.components.iter_mut();
    for schema in components.flat_map(|components| components.schemas.values_mut()) {
        free(schema);
    }
    document
}

fn free(schema: &mut RefOr<Schema>) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => {
            object.properties.values_mut().for_each(free);
            if is_object(object) && object.properties.is_empty() && object.additional_properties.is_none() {
                object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(true)));
            }
        }
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                free(items);
            }
        }
        Schema::OneOf(of) => of.items.iter_mut().for_each(free),
        Schema::AnyOf(of) => of.items.iter_mut().for_each(free),
        Schema::AllOf(of) => of.items.iter_mut().for_each(free),
        _ => {}
    }
}

fn is_object(object: &Object) -> bool {
    match &object.schema_type {
        SchemaType::Type(kind) => *kind == Type::Object,
        SchemaType::Array(kinds) => kinds.contains(&Type::Object),
        SchemaType::AnyValue => false,
    }
}

/// Cuts what a handler says of itself after its first sentence: that is shown in lists, the rest where there is room.
pub(super) fn with_short_summaries(mut document: OpenApi) -> OpenApi {
    for operation in operations(&mut document) {
        let Some(summary) = operation.summary.take() else {
            continue;
        };
        let (first, rest) = first_sentence(&summary);
        let said = [rest, operation.description.take()];
        let said: Vec<_> = said.into_iter().flatten().collect();
        operation.summary = Some(first);
        operation.description = (!said.is_empty()).then(|| said.join("\n\n"));
    }
    document
}

/// The first sentence on one line, and what comes after it.
fn first_sentence(text: &str) -> (String, Option<String>) {
    let text = text.replace('\n', " ");
    match text.split_once(". ") {
        Some((first, rest)) => (format!("{first}."), Some(rest.to_owned())),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use utoipa::openapi::schema::ObjectBuilder;

    #[test]
    fn a_summary_is_one_sentence_on_one_line() {
        let (first, rest) = first_sentence("Links traces (`a.b`)\nto a run. Linking again\nchanges nothing.");
        assert_eq!(first, "Links traces (`a.b`) to a run.");
        assert_eq!(rest.unwrap(), "Linking again changes nothing.");
        assert_eq!(first_sentence("One run."), ("One run.".to_owned(), None));
    }

    #[test]
    fn an_object_without_known_members_may_have_any_wherever_it_stands() {
        let any = || ObjectBuilder::new().schema_type(Type::Object);
        let known = any().property("name", ObjectBuilder::new().schema_type(Type::String));
        let mut schema = RefOr::T(Schema::Object(
            known.property("agents", any().to_array_builder()).build(),
        ));
        free(&mut schema);
        let schema = serde_json::to_value(&schema).unwrap();
        assert_eq!(schema.get("additionalProperties"), None);
        assert_eq!(
            schema["properties"]["agents"]["items"]["additionalProperties"],
            json!(true)
        );
        assert_eq!(schema["properties"]["name"], json!({"type": "string"}));
    }
}
