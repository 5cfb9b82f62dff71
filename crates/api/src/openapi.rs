//! The OpenAPI document: made from the handlers, so that it cannot promise what they do not do.

use utoipa::OpenApi;
use utoipa::openapi::path::Operation;

/// Title, description and tags; the routes add themselves.
#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "trace-server",
        description = "MLflow traces for people who review AI agents: read, and labeled.\n\n\
            Every answer carries `x-request-id`, `server-timing` and, where MLflow was asked, `x-cache` \
            (`hit`, `miss`, `stale`, `coalesced`) and `age` in seconds. Send `Cache-Control: no-cache` to read past \
            the cache, `If-None-Match` with an `ETag` to be told 304 when nothing changed.\n\n\
            After a write the next read shows it. Review apps, sessions and items come with an `ETag`; a change that \
            brings it back as `If-Match` is 409 when someone else changed the thing meanwhile.\n\n\
            Errors are `application/problem+json`; `error.code` stays the same while words may change."
    ),
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

/// What stands under two prefixes is two operations: the second gets an id of its own.
pub fn with_unique_ids(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
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

/// The document as it is served and committed: pretty, with a line break at its end.
///
/// # Errors
/// When it cannot be written as JSON, which would be a fault in its making.
pub fn to_text(document: &utoipa::openapi::OpenApi) -> Result<String, serde_json::Error> {
    Ok(document.to_pretty_json()? + "\n")
}
