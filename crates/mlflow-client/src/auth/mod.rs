//! Who we are to the server: credentials, where they come from, and the header they make.

mod databricks_profile;
mod oauth;
mod resolve;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use calls::Calls;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

pub use resolve::{AuthSettings, ConfigError, TrackingServer};

use crate::error::ClientError;
use oauth::TokenCache;

/// Credentials for the server. `Debug` never shows a secret.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// None: the request carries no `Authorization`.
    None,
    /// HTTP Basic.
    Basic {
        /// The user's name.
        username: String,
        /// The user's password.
        password: SecretString,
    },
    /// A fixed bearer token: an MLflow token or a Databricks personal access token.
    Bearer(SecretString),
    /// Databricks OAuth for a service principal (machine to machine).
    OAuthM2M {
        /// The service principal's client id.
        client_id: String,
        /// Its secret.
        client_secret: SecretString,
    },
}

impl Credentials {
    /// The kind in words, for a report; no secret in it.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::None => "no credentials",
            Self::Basic { .. } => "basic authentication",
            Self::Bearer(_) => "a bearer token",
            Self::OAuthM2M { .. } => "Databricks OAuth (service principal)",
        }
    }
}

/// Makes the `Authorization` header of each request.
#[derive(Debug)]
pub(crate) enum Authenticator {
    None,
    Fixed(HeaderValue),
    OAuth(TokenCache),
    /// A user's own token, that came with their request.
    OfUser(HeaderValue),
}

impl Authenticator {
    pub(crate) fn new(
        server: &TrackingServer,
        http: reqwest::Client,
        calls: &Calls,
    ) -> Result<Self, ConfigError> {
        Ok(match &server.credentials {
            Credentials::None => Self::None,
            Credentials::Basic { username, password } => {
                let pair = format!("{username}:{}", password.expose_secret());
                Self::Fixed(secret_header(&format!("Basic {}", STANDARD.encode(pair)))?)
            }
            Credentials::Bearer(token) => Self::Fixed(bearer(token)?),
            Credentials::OAuthM2M {
                client_id,
                client_secret,
            } => Self::OAuth(TokenCache::new(
                http,
                server.base_url.clone(),
                client_id.clone(),
                client_secret.clone(),
                calls.clone(),
            )),
        })
    }

    /// That of a user with a token of their own.
    pub(crate) fn of_user(token: &SecretString) -> Result<Self, ConfigError> {
        Ok(Self::OfUser(bearer(token)?))
    }

    /// Whether calls are made in a user's own name.
    pub(crate) fn is_of_user(&self) -> bool {
        matches!(self, Self::OfUser(_))
    }

    /// The header's value; `None` when requests go without. May fetch a token, once for all who wait.
    pub(crate) async fn header(&self) -> Result<Option<HeaderValue>, ClientError> {
        match self {
            Self::None => Ok(None),
            Self::Fixed(value) | Self::OfUser(value) => Ok(Some(value.clone())),
            Self::OAuth(cache) => Ok(Some(cache.header().await?)),
        }
    }

    /// Drops a token the server refused. True when a new one can be had, so that one more try makes sense.
    pub(crate) async fn refused(&self, used: &HeaderValue) -> bool {
        match self {
            Self::None | Self::Fixed(_) | Self::OfUser(_) => false,
            Self::OAuth(cache) => cache.forget(used).await,
        }
    }
}

fn bearer(token: &SecretString) -> Result<HeaderValue, ConfigError> {
    secret_header(&format!("Bearer {}", token.expose_secret()))
}

/// Marked sensitive, so that no `Debug` of a request shows it.
fn secret_header(text: &str) -> Result<HeaderValue, ConfigError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| ConfigError::UnusableSecret)?;
    value.set_sensitive(true);
    Ok(value)
}
