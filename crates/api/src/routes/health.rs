//! Whether the process is alive, and whether it can serve.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use service::{BreakerState, Services};
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

/// The same by the name that orchestrators know.
#[utoipa::path(get, path = "/health/live", tag = "server", responses((status = 200, description = "Alive", body = Health)))]
pub async fn live() -> Json<Health> {
    health().await
}

/// The server takes requests.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// `ready`, or `degraded` while somebody whom it asks does not answer: what is cached is served then, and says that it is
    /// stale.
    #[schema(example = "ready")]
    status: &'static str,
    /// Whom it asks.
    upstream: Vec<UpstreamHealth>,
}

/// Somebody whom the server asks, as the last calls showed them.
#[derive(Debug, Serialize, ToSchema)]
pub struct UpstreamHealth {
    /// Who it is: `mlflow`, `databricks`, `cloud_store`, `mlflow_database`.
    #[schema(example = "mlflow")]
    name: &'static str,
    /// `closed`: calls go through; `open`: none is made for a while; `half_open`: one is under way to see.
    #[schema(example = "closed")]
    breaker: &'static str,
    /// How long until one is made to see, in ms; 0 when calls go through or one is under way.
    #[schema(example = 0)]
    retry_after_ms: u64,
}

/// Says whether the server takes requests, and whether those whom it asks answer; asks them nothing.
///
/// It is ready while MLflow is down: what is cached is still served, by this server as by any other.
#[utoipa::path(get, path = "/health/ready", tag = "server",
    responses((status = 200, description = "Takes requests", body = Readiness)))]
pub async fn ready(State(services): State<Services>) -> Json<Readiness> {
    let breakers = services.breakers();
    let is_well = breakers
        .iter()
        .all(|(_, breaker)| breaker.state == BreakerState::Closed);
    let upstream = breakers.into_iter().map(|(name, breaker)| UpstreamHealth {
        name,
        breaker: breaker.state.as_str(),
        retry_after_ms: ms(breaker.opens_in),
    });
    Json(Readiness {
        status: if is_well { "ready" } else { "degraded" },
        upstream: upstream.collect(),
    })
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
