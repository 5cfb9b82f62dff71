//! What the user who asks reaches.

use axum::extract::FromRequestParts;
use http::request::Parts;
use service::Visibility;

use crate::problem::Problem;

/// What the user who asks reaches, as the guard of the route found out. A route without a guard has none.
#[derive(Debug)]
pub struct Reached(pub Visibility);

impl<S: Send + Sync> FromRequestParts<S> for Reached {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let found = parts.extensions.get::<Visibility>().cloned();
        found.map(Self).ok_or_else(Problem::internal)
    }
}
