//! Headers of answers, and the answer that is nothing but headers.

use Example::{Seconds, Text};
use serde_json::Value;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{OpenApi, Ref, RefOr};

use super::operations;

struct Told {
    name: &'static str,
    example: Example,
    description: &'static str,
}

enum Example {
    Text(&'static str),
    Seconds(u32),
}

const HEADERS: [Told; 7] = [
    Told {
        name: "x-request-id",
        example: Text("5a0d6f0c1f0b4b0e9d4f7a3c2b1e0d9f"),
        description: "The request's id, as in the server's log: the one that was sent in this header where it is well-formed, else a new one.",
    },
    Told {
        name: "server-timing",
        example: Text("total;dur=12.304, upstream;dur=11.870"),
        description: "Milliseconds until the answer began: `total`, of that `queue` (waiting for its turn) and `upstream` (waiting for MLflow).",
    },
    Told {
        name: "x-cache",
        example: Text("hit"),
        description: "`hit`: kept and fresh; `miss`: asked for anew; `coalesced`: with others who asked for the same; `stale`: kept, older than it \
         should be, because MLflow is in trouble.",
    },
    Told {
        name: "age",
        example: Seconds(0),
        description: "Seconds since MLflow was asked.",
    },
    Told {
        name: "etag",
        example: Text("W/\"7653c812c268871d82a0f71b3df3e678\""),
        description: "The answer's version, for `If-None-Match`. Absent where the answer is sent while it arrives.",
    },
    Told {
        name: "cache-control",
        example: Text("private, no-cache"),
        description: "Only the one who asked may keep it, and asks each time whether it changed.",
    },
    Told {
        name: "retry-after",
        example: Seconds(2),
        description: "Seconds after which to try again; absent where that is not known.",
    },
];

/// On every answer.
const OF_ALL: [&str; 2] = ["x-request-id", "server-timing"];
/// On what may come from the cache.
const OF_THE_CACHE: [&str; 4] = ["x-cache", "age", "etag", "cache-control"];
/// On what may go well later.
const TRANSIENT: [&str; 3] = ["429", "503", "504"];

const NOT_MODIFIED: &str = "NotModified";

/// Adds the headers. What takes `Cache-Control` may come from the cache, what takes `If-None-Match` may be unchanged.
pub(super) fn with_headers(mut document: OpenApi) -> OpenApi {
    for operation in operations(&mut document) {
        let is_cached = takes(operation, "Cache-Control");
        if takes(operation, "If-None-Match") {
            let unchanged = RefOr::Ref(Ref::from_response_name(NOT_MODIFIED));
            operation.responses.responses.insert("304".to_owned(), unchanged);
        }
        for response in operation.responses.responses.values_mut() {
            if let RefOr::T(response) = response {
                refer(response, &OF_ALL);
                refer(response, if is_cached { &OF_THE_CACHE } else { &[] });
            }
        }
    }
    let components = document.components.get_or_insert_default();
    let mut unchanged =
        Response::new("What the reader has is not older: its `ETag` was sent in `If-None-Match`.");
    refer(&mut unchanged, &OF_ALL);
    refer(&mut unchanged, &OF_THE_CACHE);
    components
        .responses
        .insert(NOT_MODIFIED.to_owned(), unchanged.into());
    for told in HEADERS {
        components.headers.insert(told.name.to_owned(), told.into());
    }
    document
}

/// Adds the headers of a problem with this status.
pub(crate) fn of_problem(response: &mut Response, status: &str) {
    refer(response, &OF_ALL);
    refer(
        response,
        if TRANSIENT.contains(&status) {
            &["retry-after"]
        } else {
            &[]
        },
    );
}

fn takes(operation: &Operation, header: &str) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.name == header))
}

/// A header that the route tells of itself stays as it is told there.
fn refer(response: &mut Response, headers: &[&str]) {
    for name in headers {
        let reference = || RefOr::Ref(Ref::new(format!("#/components/headers/{name}")));
        response
            .headers
            .entry((*name).to_owned())
            .or_insert_with(reference);
    }
}

impl From<Told> for RefOr<Header> {
    fn from(told: Told) -> Self {
        let (kind, example) = match told.example {
            Text(text) => (Type::String, Value::from(text)),
            Seconds(seconds) => (Type::Integer, Value::from(seconds)),
        };
        let schema = ObjectBuilder::new().schema_type(SchemaType::Type(kind));
        let header = HeaderBuilder::new()
            .schema(Some(schema.examples([example])))
            .description(Some(told.description));
        RefOr::T(header.build())
    }
}
