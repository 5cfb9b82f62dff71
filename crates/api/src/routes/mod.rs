//! The handlers, one file for each resource: they read the request, call one use case and render its answer.

pub mod experiments;
pub mod health;
pub mod problems;
pub mod runs;
pub mod search;
pub mod settings;
pub mod spans;
pub mod traces;
pub mod users;

use axum::middleware::from_fn_with_state;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::middleware::{require_trace_access, until_ending};
use crate::state::AppState;

/// All routes; those that show traces or runs refuse users who may not read them.
pub fn all(state: &AppState) -> OpenApiRouter<AppState> {
    let guarded = OpenApiRouter::new()
        .routes(routes!(search::search_traces))
        .routes(routes!(runs::get_run))
        .routes(routes!(runs::search_runs))
        .nest("/api/traces", one_trace())
        // The same under the name the frontend calls it by.
        .nest("/api/mlflow/traces", one_trace())
        .route_layer(from_fn_with_state(state.clone(), require_trace_access));
    OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(settings::get_config))
        .routes(routes!(settings::get_experiment_id))
        .routes(routes!(users::get_me))
        .routes(routes!(users::get_current))
        .routes(routes!(users::get_my_workspace))
        .routes(routes!(experiments::get_experiment))
        .merge(guarded)
        .layer(from_fn_with_state(state.clone(), until_ending))
}

fn one_trace() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(traces::get_traces))
        .routes(routes!(traces::get_trace))
        .routes(routes!(traces::get_trace_data))
        .routes(routes!(spans::get_spans))
        .routes(routes!(spans::stream_spans))
        .routes(routes!(spans::get_span))
}
