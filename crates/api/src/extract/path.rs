//! Ids in the path.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use domain::{ExperimentId, InvalidId, RunId, SpanId, TraceId};
use http::request::Parts;

use crate::problem::Problem;

/// An id in the path, under its own name: `{trace_id}`. A bad one is 400 with the rule it breaks.
#[derive(Debug)]
pub struct PathId<T>(pub T);

/// An id that stands in paths under this name.
pub trait PathParam: FromStr<Err = InvalidId> {
    /// The name.
    const NAME: &'static str;
}

impl PathParam for TraceId {
    const NAME: &'static str = "trace_id";
}

impl PathParam for SpanId {
    const NAME: &'static str = "span_id";
}

impl PathParam for RunId {
    const NAME: &'static str = "run_id";
}

impl PathParam for ExperimentId {
    const NAME: &'static str = "experiment_id";
}

impl<S: Send + Sync, T: PathParam> FromRequestParts<S> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| Problem::unreadable("the path is not UTF-8"))?;
        let text = params
            .iter()
            .find(|(name, _)| *name == T::NAME)
            .map_or("", |(_, text)| text);
        Ok(Self(text.parse()?))
    }
}
