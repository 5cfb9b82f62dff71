//! Whether the process is alive.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

/// The process is alive.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `healthy`.
    #[schema(example = "healthy")]
    status: &'static str,
}

/// Says that the process is alive; asks MLflow nothing.
#[utoipa::path(get, path = "/health", tag = "server", responses((status = 200, description = "Alive", body = Health)))]
pub async fn health() -> Json<Health> {
    Json(Health { status: "healthy" })
}
