//! Who may call a route: asked before its handler runs, in one place for all routes.
//!
//! A route is open, for developers, or within reach: what its path names (a trace, a run, a labeling session) must be
//! assigned to the reviewer who asks. `routes` says which is which; what is not said to be open is guarded.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::{InvalidId, LabelingSessionId, RunId, TraceId};
use service::Visibility;

use crate::extract::{Asking, PathParam, Served};
use crate::problem::Problem;

/// Refuses everyone but developers.
pub async fn developers_only(Asking(identity): Asking, mut request: Request, next: Next) -> Response {
    match identity.check_is_developer() {
        Ok(()) => {
            request.extensions_mut().insert(identity);
            next.run(request).await
        }
        Err(denied) => Problem::from(denied).into_response(),
    }
}

/// Refuses reviewers what is not assigned to them, as far as the path names it; what the body names is checked by the
/// use case, by what the user reaches.
pub async fn within_reach(
    Asking(identity): Asking,
    Served(services): Served,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let checked = async {
        let visibility = services.visibility(&identity).await?;
        if !visibility.is_everything() {
            let params = RawPathParams::from_request_parts(&mut parts, &()).await;
            let params = params.map_err(|_| Problem::unreadable("the path is not UTF-8"))?;
            check_named(&visibility, &params)?;
        }
        Ok::<_, Problem>(visibility)
    };
    match checked.await {
        Ok(visibility) => {
            parts.extensions.insert(identity);
            parts.extensions.insert(visibility);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(denied) => denied.into_response(),
    }
}

fn check_named(visibility: &Visibility, params: &RawPathParams) -> Result<(), Problem> {
    if let Some(id) = named::<TraceId>(params)? {
        visibility.check_trace(&id)?;
    }
    if let Some(id) = named::<RunId>(params)? {
        visibility.check_run(&id)?;
    }
    if let Some(id) = named::<LabelingSessionId>(params)? {
        visibility.check_session(&id)?;
    }
    Ok(())
}

fn named<T: PathParam + FromStr<Err = InvalidId>>(params: &RawPathParams) -> Result<Option<T>, Problem> {
    let text = params.iter().find(|(name, _)| *name == T::NAME);
    Ok(text.map(|(_, text)| text.parse()).transpose()?)
}
