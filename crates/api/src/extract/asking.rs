//! Who asks.

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;
use service::{ForwardedUser, Identity};

use super::served::{Served, TOKEN_HEADER};
use crate::problem::Problem;
use crate::state::AppState;

/// The headers that name a user, the first that is there counting.
const USER_HEADERS: [&str; 3] = [
    "x-forwarded-email",
    "x-forwarded-user",
    "x-forwarded-preferred-username",
];

/// Who asks: the user that a trusted proxy names, else the local user. Never taken from the body, nor from headers
/// that anyone could set.
#[derive(Debug)]
pub struct Asking(pub Identity);

impl FromRequestParts<AppState> for Asking {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        // Found out already by the guard of the route.
        if let Some(identity) = parts.extensions.get::<Identity>() {
            return Ok(Self(identity.clone()));
        }
        let Forwarded(user) = Forwarded::from_request_parts(parts, state).await?;
        let Served(services) = Served::from_request_parts(parts, state).await?;
        Ok(Self(services.identify(user).await?))
    }
}

/// The user that a trusted proxy names, for handlers that ask who it is beside something else.
#[derive(Debug)]
pub struct Forwarded(pub Option<ForwardedUser>);

impl FromRequestParts<AppState> for Forwarded {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        if state.settings().trusts_proxy {
            forwarded_user(&parts.headers).map(Self)
        } else {
            Ok(Self(None))
        }
    }
}

/// The user that the headers name. A name that cannot be read, or that stands there twice, names nobody: taking the
/// local user instead would give someone else's rights.
fn forwarded_user(headers: &HeaderMap) -> Result<Option<ForwardedUser>, Problem> {
    for header in USER_HEADERS {
        let mut values = headers.get_all(header).iter();
        let (Some(value), second) = (values.next(), values.next()) else {
            continue;
        };
        let name = std::str::from_utf8(value.as_bytes())
            .ok()
            .filter(|_| second.is_none());
        let name = name.ok_or_else(|| Problem::unidentified(header))?.trim();
        if !name.is_empty() {
            return Ok(Some(ForwardedUser {
                name: name.to_owned(),
                has_token: headers.contains_key(TOKEN_HEADER),
            }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn user(pairs: &[(&'static str, &'static [u8])]) -> Result<Option<ForwardedUser>, Problem> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value).unwrap(),
            );
        }
        forwarded_user(&headers)
    }

    fn named(name: &str, has_token: bool) -> ForwardedUser {
        ForwardedUser {
            name: name.to_owned(),
            has_token,
        }
    }

    #[test]
    fn the_address_wins_over_the_name() {
        let both = user(&[
            ("x-forwarded-user", b"ann"),
            ("x-forwarded-email", b"ann@example.com"),
        ]);
        assert_eq!(both.unwrap(), Some(named("ann@example.com", false)));
        let preferred = user(&[
            ("x-forwarded-email", b" "),
            ("x-forwarded-preferred-username", b"ann"),
            ("x-forwarded-access-token", b"t"),
        ]);
        assert_eq!(preferred.unwrap(), Some(named("ann", true)));
        assert_eq!(
            user(&[("x-forwarded-email", "jürgen@example.com".as_bytes())]).unwrap(),
            Some(named("jürgen@example.com", false))
        );
        assert_eq!(user(&[]).unwrap(), None);
    }

    #[test]
    fn a_name_that_cannot_be_read_is_nobodys() {
        assert!(user(&[("x-forwarded-email", b"\xff\xfe")]).is_err());
        assert!(user(&[("x-forwarded-email", b"ann"), ("x-forwarded-email", b"bob")]).is_err());
    }
}
