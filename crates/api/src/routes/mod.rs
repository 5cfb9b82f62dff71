//! The handlers, one file for each resource: they read the request, call one use case and render its answer.

pub mod analyses;
pub mod experiments;
pub mod health;
pub mod labels;
pub mod manifest;
pub mod metrics;
pub mod problems;
pub mod reviews;
pub mod runs;
pub mod search;
pub mod settings;
pub mod spans;
pub mod traces;
pub mod users;

use axum::middleware::from_fn_with_state;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::middleware::{developers_only, within_reach};
use crate::state::AppState;
use reviews::{items, label_schemas, labeling_sessions, linking, review_apps};

/// All routes, by who may call them.
pub fn all(state: &AppState) -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(open())
        .merge(for_developers().route_layer(from_fn_with_state(state.clone(), developers_only)))
        .merge(for_those_assigned().route_layer(from_fn_with_state(state.clone(), within_reach)))
        .nest("/api/traces", traces(state))
        // The same under the name the frontend calls it by.
        .nest("/api/mlflow/traces", traces(state))
}

/// What everyone may ask; a list of sessions shows only those that the user reaches.
fn open() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::get_metrics))
        .routes(routes!(settings::get_config))
        .routes(routes!(settings::get_experiment_id))
        .routes(routes!(manifest::get_manifest))
        .routes(routes!(users::get_me))
        .routes(routes!(users::get_current))
        .routes(routes!(users::get_my_workspace))
        .routes(routes!(experiments::get_experiment))
        .routes(routes!(review_apps::list_review_apps))
        .routes(routes!(review_apps::get_review_app))
        .routes(routes!(label_schemas::list_label_schemas))
        .routes(routes!(labeling_sessions::list_labeling_sessions))
}

/// What changes how reviews are done, and what shows all runs, all traces or all labels together.
fn for_developers() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(manifest::check_dev_access))
        .routes(routes!(runs::search_runs))
        .routes(routes!(runs::create_run))
        .routes(routes!(runs::update_run))
        .routes(routes!(review_apps::create_review_app))
        .routes(routes!(review_apps::update_review_app))
        .routes(routes!(label_schemas::create_label_schema))
        .routes(routes!(
            label_schemas::update_label_schema,
            label_schemas::delete_label_schema
        ))
        .routes(routes!(labeling_sessions::create_labeling_session))
        .routes(routes!(
            labeling_sessions::update_labeling_session,
            labeling_sessions::delete_labeling_session
        ))
        .routes(routes!(linking::link_traces_to_session))
        .routes(routes!(items::create_items))
        .routes(routes!(items::delete_item))
        .routes(routes!(analyses::sessions::get_session_analysis))
        .routes(routes!(analyses::sessions::trigger_session_analysis))
        .routes(routes!(
            analyses::sessions::get_session_analysis_status,
            analyses::sessions::cancel_session_analysis
        ))
        .routes(routes!(analyses::sessions::stream_session_analysis_status))
        .routes(routes!(analyses::experiments::get_experiment_summary))
        .routes(routes!(analyses::experiments::trigger_experiment_summary))
        .routes(routes!(
            analyses::experiments::get_experiment_summary_status,
            analyses::experiments::cancel_experiment_summary
        ))
        .routes(routes!(analyses::experiments::stream_experiment_summary_status))
}

/// What a reviewer may ask about the labeling sessions assigned to them.
fn for_those_assigned() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(search::search_traces))
        .routes(routes!(runs::get_run))
        .routes(routes!(labeling_sessions::get_labeling_session))
        .routes(routes!(items::list_items))
        .routes(routes!(items::get_item, items::update_item))
}

/// Traces: of all to developers, of the sessions assigned to them to reviewers.
fn traces(state: &AppState) -> OpenApiRouter<AppState> {
    let for_developers = OpenApiRouter::new()
        .routes(routes!(linking::link_traces_to_run))
        .routes(routes!(analyses::patterns::analyze_patterns));
    let for_those_assigned = OpenApiRouter::new()
        .routes(routes!(traces::get_traces))
        .routes(routes!(traces::get_trace))
        .routes(routes!(traces::get_trace_data))
        .routes(routes!(spans::get_spans))
        .routes(routes!(spans::stream_spans))
        .routes(routes!(spans::get_span))
        .routes(routes!(labels::give_feedback, labels::change_feedback))
        .routes(routes!(labels::give_expectation, labels::change_expectation));
    for_developers
        .route_layer(from_fn_with_state(state.clone(), developers_only))
        .merge(for_those_assigned.route_layer(from_fn_with_state(state.clone(), within_reach)))
}
