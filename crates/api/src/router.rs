//! All routes, the OpenAPI document with its page, the frontend, and the middleware around them.

use std::sync::Arc;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{HeaderValue, header};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use crate::frontend::Frontend;
use crate::metrics::Routes;
use crate::middleware::{Bounds, Observer};
use crate::openapi::{ApiDoc, completed, to_text};
use crate::problem::Problem;
use crate::state::AppState;
use crate::{middleware, routes};

/// What the router is made from beside its state.
#[derive(Debug, Default)]
pub struct RouterConfig {
    /// Origins whose pages may call the API.
    pub cors_origins: Vec<HeaderValue>,
    /// The built frontend.
    pub frontend: Option<Frontend>,
}

/// The whole server as one router.
///
/// # Errors
/// When the OpenAPI document cannot be written, which would be a fault in its making.
pub fn router(state: AppState, config: RouterConfig) -> Result<Router, serde_json::Error> {
    let (api, document) = documented(&state)?;
    let routes = Routes::new(document.paths.paths.keys().map(String::as_str));
    let observer = Observer::new(
        state.metrics().requests().clone(),
        routes,
        state.settings().slow_request,
        state.settings().sends_traces,
    );
    let document = to_text(&document)?;
    let bounds = Bounds::new(
        config.cors_origins,
        Arc::clone(state.admission()),
        state.settings().request_timeout,
        state.settings().reader_patience,
        state.ending().clone(),
    );
    let app = api
        .with_state(state)
        .route("/openapi.json", get(async move || openapi_json(document)))
        .merge(SwaggerUi::new("/docs").config(utoipa_swagger_ui::Config::from("/openapi.json")))
        .method_not_allowed_fallback(async || Problem::method_not_allowed());
    let app = match config.frontend {
        Some(frontend) => app.fallback(async move |request| frontend.serve(request).await),
        None => app.fallback(async || Problem::no_such_route()),
    };
    Ok(middleware::around(app, bounds, observer))
}

/// The OpenAPI document as it is served and committed.
///
/// # Errors
/// As [`router`].
pub fn openapi_text(state: &AppState) -> Result<String, serde_json::Error> {
    to_text(&documented(state)?.1)
}

type Documented = (Router<AppState>, utoipa::openapi::OpenApi);

fn documented(state: &AppState) -> Result<Documented, serde_json::Error> {
    let routes = OpenApiRouter::with_openapi(ApiDoc::openapi()).merge(routes::all(state));
    let (api, document) = routes.split_for_parts();
    Ok((api, completed(document)?))
}

fn openapi_json(document: String) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document)
}
