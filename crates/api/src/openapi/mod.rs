//! The OpenAPI document: made from the handlers, so that it cannot promise what they do not do.
//!
//! The routes say what is theirs alone. What many have in common is added here: who asks (`identity`), headers of answers
//! (`headers`), rules of ids (`id_rules`), recorded examples (`examples`); problems are in `routes::problems`.

mod examples;
mod headers;
mod id_rules;
mod identity;
mod shapes;

pub(crate) use headers::of_problem;

use utoipa::OpenApi;
use utoipa::openapi::path::Operation;

use crate::problem::ProblemBody;
use crate::routes::problems::with_problems;

/// Title, description and tags; the routes add themselves.
#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "trace-server",
        description = "MLflow traces for people who review AI agents: read, and labeled.\n\n\
            **Who asks** is said by a proxy in front, in `X-Forwarded-Email`; without one it is the local user. A developer \
            may do everything, a reviewer reaches the labeling sessions assigned to them and their traces.\n\n\
            **Answers** carry `x-request-id`, `server-timing` and, where MLflow was asked, `x-cache` \
            (`hit`, `miss`, `stale`, `coalesced`) and `age` in seconds. Send `Cache-Control: no-cache` to read past \
            the cache, `If-None-Match` with an `ETag` to be told 304 when nothing changed.\n\n\
            **After a write** the next read shows it. Review apps, sessions and items come with an `ETag`; a change that \
            brings it back as `If-Match` is 409 when someone else changed the thing meanwhile.\n\n\
            **Errors** are `application/problem+json`; `error.code` stays the same while words may change. 429, 503 and 504 \
            say in `retry-after` when to try again.\n\n\
            **Members may be added** to answers at any time: readers ignore what they do not know. What will be taken away \
            is announced, by the headers `Deprecation` and `Sunset` among others; nothing is now."
    ),
    servers(
        (url = "/", description = "The server that this document comes from"),
        (url = "http://127.0.0.1:8000", description = "A server on this machine, as it starts unless told otherwise")
    ),
    components(schemas(ProblemBody)),
    tags(
        (name = "traces", description = "Traces: found, listed, opened"),
        (name = "spans", description = "Spans of one trace, sent while they arrive"),
        (name = "labels", description = "Feedback and expectations that people give to traces"),
        (name = "reviews", description = "Review apps, label schemas, labeling sessions and their items"),
        (name = "analyses", description = "What many traces, or the labels of many people, say together"),
        (name = "runs", description = "Runs"),
        (name = "experiments", description = "Experiments"),
        (name = "user", description = "Who asks"),
        (name = "server", description = "The server itself")
    )
)]
pub struct ApiDoc;

/// The document of all routes, with what they have in common.
///
/// # Errors
/// When a recorded example cannot be read, which would be a fault in its making.
pub fn completed(document: utoipa::openapi::OpenApi) -> Result<utoipa::openapi::OpenApi, serde_json::Error> {
    let document = examples::with_examples(document)?;
    let document = with_problems(document)?;
    let document = headers::with_headers(identity::with_identity(document));
    let document = shapes::with_short_summaries(shapes::with_free_objects(document));
    Ok(id_rules::with_id_rules(with_unique_ids(document)))
}

/// What stands under two prefixes is two operations: the second gets an id of its own.
fn with_unique_ids(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    for (path, item) in &mut document.paths.paths {
        if !path.starts_with("/api/mlflow/traces") {
            continue;
        }
        let operations: [&mut Option<Operation>; 3] = [&mut item.get, &mut item.post, &mut item.patch];
        for operation in operations.into_iter().flatten() {
            operation.operation_id = operation.operation_id.take().map(|id| format!("mlflow_{id}"));
        }
    }
    document
}

fn operations(document: &mut utoipa::openapi::OpenApi) -> impl Iterator<Item = &mut Operation> {
    let items = document.paths.paths.values_mut();
    items.flat_map(|item| {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        operations.into_iter().flatten()
    })
}

/// The document as it is served and committed: pretty, with a line break at its end.
///
/// # Errors
/// When it cannot be written as JSON, which would be a fault in its making.
pub fn to_text(document: &utoipa::openapi::OpenApi) -> Result<String, serde_json::Error> {
    Ok(document.to_pretty_json()? + "\n")
}
