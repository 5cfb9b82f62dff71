//! Label schemas of the configured experiment's review app.

use axum::Json as JsonAnswer;
use axum::response::Response;
use domain::LabelSchema;

use super::{Done, versioned};
use crate::extract::{Asking, IfMatch, Json, SchemaName, Seen, Served};
use crate::problem::Problem;
use crate::routes::problems::{
    BodyProblems, ConflictProblems, QueryProblems, ReadProblems, UnknownProblems, UpstreamProblems,
};

/// The label schemas, in the order they are shown.
#[utoipa::path(
    get,
    path = "/api/label-schemas",
    tag = "reviews",
    responses((status = 200, description = "The label schemas", body = Vec<LabelSchema>, headers(("etag" = String, description = "Its version, for `If-Match`"))), ReadProblems, UpstreamProblems)
)]
pub async fn list_label_schemas(Asking(_): Asking, Served(services): Served) -> Result<Response, Problem> {
    let (schemas, version) = services.list_label_schemas().await?;
    Ok(versioned(&schemas, version.as_ref()))
}

/// Adds a label schema; makes the experiment's review app if there is none.
#[utoipa::path(
    post,
    path = "/api/label-schemas",
    tag = "reviews",
    request_body = LabelSchema,
    responses((status = 200, description = "The label schema", body = LabelSchema), ConflictProblems, BodyProblems, UpstreamProblems)
)]
pub async fn create_label_schema(
    Asking(identity): Asking,
    Served(services): Served,
    Json(schema): Json<LabelSchema>,
) -> Result<JsonAnswer<LabelSchema>, Problem> {
    let schema = services.create_label_schema(schema, identity.user_name).await?;
    Ok(JsonAnswer(schema))
}

/// Replaces a label schema, which may get another name. With `If-Match` (the `ETag` of the list) a change by another to
/// any of the schemas is a conflict.
#[utoipa::path(
    patch,
    path = "/api/label-schemas/{schema_name}",
    tag = "reviews",
    params(("schema_name" = String, Path, description = "The label schema's name", example = "correctness"), IfMatch),
    request_body = LabelSchema,
    responses(
        (status = 200, description = "The label schema as it is now", body = LabelSchema),
        UnknownProblems,
        ConflictProblems,
        BodyProblems,
        UpstreamProblems
    )
)]
pub async fn update_label_schema(
    Asking(identity): Asking,
    SchemaName(name): SchemaName,
    Served(services): Served,
    seen: Seen,
    Json(schema): Json<LabelSchema>,
) -> Result<JsonAnswer<LabelSchema>, Problem> {
    let schema = services
        .update_label_schema(name, schema, seen.or(None), identity.user_name)
        .await?;
    Ok(JsonAnswer(schema))
}

/// Takes a label schema away. Sessions that name it go on without it; labels given by it stay.
#[utoipa::path(
    delete,
    path = "/api/label-schemas/{schema_name}",
    tag = "reviews",
    params(("schema_name" = String, Path, description = "The label schema's name", example = "correctness"), IfMatch),
    responses((status = 200, description = "It is deleted", body = Done), ReadProblems, QueryProblems, ConflictProblems, UpstreamProblems)
)]
pub async fn delete_label_schema(
    Asking(identity): Asking,
    SchemaName(name): SchemaName,
    Served(services): Served,
    seen: Seen,
) -> Result<JsonAnswer<Done>, Problem> {
    let message = format!("the label schema {name:?} is deleted");
    services
        .delete_label_schema(name, seen.or(None), identity.user_name)
        .await?;
    Ok(JsonAnswer(Done { message }))
}
