//! Who asks.

use axum::extract::{FromRef, FromRequestParts};
use http::HeaderMap;
use http::request::Parts;
use service::{ForwardedUser, Identity, Services};

use crate::problem::Problem;
use crate::state::AppState;

/// The headers that name a user, the first that is there counting.
const USER_HEADERS: [&str; 3] = [
    "x-forwarded-email",
    "x-forwarded-user",
    "x-forwarded-preferred-username",
];

/// The header a user's own token comes in. Only its presence is looked at.
const TOKEN_HEADER: &str = "x-forwarded-access-token";

/// Who asks: the user that a trusted proxy names, else the local user. Never taken from the body, nor from headers
/// that anyone could set.
#[derive(Debug)]
pub struct Asking(pub Identity);

impl FromRequestParts<AppState> for Asking {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let forwarded = state
            .settings()
            .trusts_proxy
            .then(|| forwarded_user(&parts.headers))
            .flatten();
        Ok(Self(Services::from_ref(state).identify(forwarded).await?))
    }
}

fn forwarded_user(headers: &HeaderMap) -> Option<ForwardedUser> {
    let text = |name: &&str| Some(headers.get(*name)?.to_str().ok()?.trim().to_owned());
    let name = USER_HEADERS
        .iter()
        .filter_map(text)
        .find(|name| !name.is_empty())?;
    Some(ForwardedUser {
        name,
        has_token: headers.contains_key(TOKEN_HEADER),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    #[test]
    fn the_address_wins_over_the_name() {
        let headers = |pairs: &[(&'static str, &str)]| {
            pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
                .collect::<HeaderMap>()
        };
        let user = forwarded_user(&headers(&[
            ("x-forwarded-user", "ann"),
            ("x-forwarded-email", "ann@example.com"),
        ]));
        assert_eq!(
            user,
            Some(ForwardedUser {
                name: "ann@example.com".into(),
                has_token: false
            })
        );
        let user = forwarded_user(&headers(&[
            ("x-forwarded-email", " "),
            ("x-forwarded-preferred-username", "ann"),
            (TOKEN_HEADER, "t"),
        ]));
        assert_eq!(
            user,
            Some(ForwardedUser {
                name: "ann".into(),
                has_token: true
            })
        );
        assert_eq!(forwarded_user(&headers(&[])), None);
    }
}
