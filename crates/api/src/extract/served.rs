//! The use cases, for the one who asks.

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use secrecy::SecretString;
use service::Services;

use super::asking::Forwarded;
use crate::problem::Problem;
use crate::state::AppState;

/// The header in which a trusted proxy passes a user's own token on.
pub(super) const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-forwarded-access-token");

/// The use cases as the one who asks may use them: with this server's credentials, or, where each user's own token counts,
/// with theirs.
#[derive(Debug)]
pub struct Served(pub Services);

impl FromRequestParts<AppState> for Served {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let Some(views) = state.user_views() else {
            return Ok(Self(state.services().clone()));
        };
        // Made already by the guard of the route.
        if let Some(services) = parts.extensions.get::<Services>() {
            return Ok(Self(services.clone()));
        }
        let Forwarded(user) = Forwarded::from_request_parts(parts, state).await?;
        let user = user.ok_or_else(|| Problem::unauthenticated("the proxy must name the user"))?;
        let view = views.of(&user.name, &token(&parts.headers)?);
        let view = view.map_err(|_| unreadable_token())?;
        let services = state.services().seen_by(view);
        parts.extensions.insert(services.clone());
        Ok(Self(services))
    }
}

/// The user's token. One that stands there twice is nobody's: the proxy puts one there.
fn token(headers: &HeaderMap) -> Result<SecretString, Problem> {
    let mut values = headers.get_all(TOKEN_HEADER).iter();
    let (value, second) = (values.next(), values.next());
    let value = value.ok_or_else(|| {
        let detail = "the proxy must pass the user's token on, in x-forwarded-access-token";
        Problem::unauthenticated(detail)
    })?;
    let text = value.to_str().ok().map(str::trim).filter(|text| !text.is_empty());
    match (text, second) {
        (Some(text), None) => Ok(text.into()),
        _ => Err(unreadable_token()),
    }
}

fn unreadable_token() -> Problem {
    Problem::unauthenticated("the header x-forwarded-access-token must hold one token")
}
