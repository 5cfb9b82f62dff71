//! Ids in the path.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use domain::{ExperimentId, InvalidId, ItemId, LabelingSessionId, ReviewAppId, RunId, SpanId, TraceId};
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

impl PathParam for ReviewAppId {
    const NAME: &'static str = "review_app_id";
}

impl PathParam for LabelingSessionId {
    const NAME: &'static str = "labeling_session_id";
}

impl PathParam for ItemId {
    const NAME: &'static str = "item_id";
}

/// The name of a label schema in the path: any text.
#[derive(Debug)]
pub struct SchemaName(pub String);

impl<S: Send + Sync> FromRequestParts<S> for SchemaName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        text_in_path(parts, state, "schema_name").await.map(Self)
    }
}

async fn text_in_path<S: Send + Sync>(parts: &mut Parts, state: &S, name: &str) -> Result<String, Problem> {
    let params = RawPathParams::from_request_parts(parts, state).await;
    let params = params.map_err(|_| Problem::unreadable("the path is not UTF-8"))?;
    let found = params.iter().find(|(key, _)| *key == name);
    Ok(found.map_or_else(String::new, |(_, text)| text.to_owned()))
}

impl<S: Send + Sync, T: PathParam> FromRequestParts<S> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self(text_in_path(parts, state, T::NAME).await?.parse()?))
    }
}
