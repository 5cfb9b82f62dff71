//! From `MLFLOW_TRACKING_URI` and its companions to a server and credentials.

use std::path::PathBuf;

use secrecy::SecretString;
use url::{Host, Url};

use super::{Credentials, databricks_profile};
use crate::capabilities::Flavor;

/// Settings that credentials come from; one field per environment variable, read by the binary.
#[derive(Debug, Clone, Default)]
pub struct AuthSettings {
    /// `MLFLOW_TRACKING_USERNAME`.
    pub mlflow_username: Option<String>,
    /// `MLFLOW_TRACKING_PASSWORD`.
    pub mlflow_password: Option<SecretString>,
    /// `MLFLOW_TRACKING_TOKEN`.
    pub mlflow_token: Option<SecretString>,
    /// `DATABRICKS_HOST`, with or without `https://`.
    pub databricks_host: Option<String>,
    /// `DATABRICKS_TOKEN`.
    pub databricks_token: Option<SecretString>,
    /// `DATABRICKS_CLIENT_ID`.
    pub databricks_client_id: Option<String>,
    /// `DATABRICKS_CLIENT_SECRET`.
    pub databricks_client_secret: Option<SecretString>,
    /// `DATABRICKS_CONFIG_PROFILE`.
    pub databricks_profile: Option<String>,
    /// `DATABRICKS_CONFIG_FILE`, else `~/.databrickscfg`.
    pub databricks_config_file: Option<PathBuf>,
}

/// Settings that cannot be used. The text says what to change; it never holds a secret.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "each variant is its message")]
pub enum ConfigError {
    #[error(
        "MLFLOW_TRACKING_URI {uri:?} is not a URL; use http://HOST:PORT, https://HOST, databricks or databricks://PROFILE"
    )]
    NotAUrl { uri: String },
    #[error(
        "MLFLOW_TRACKING_URI has the scheme {scheme:?}; use http, https, databricks or databricks://PROFILE"
    )]
    Scheme { scheme: String },
    #[error(
        "MLFLOW_TRACKING_URI is {uri:?} but no workspace is known; set DATABRICKS_HOST, or DATABRICKS_CONFIG_PROFILE and a profile in {file:?}"
    )]
    NoWorkspace { uri: String, file: String },
    #[error(
        "the workspace {host:?} has no credentials; set DATABRICKS_TOKEN, or DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET"
    )]
    NoWorkspaceCredentials { host: String },
    #[error(
        "more than one way to authenticate: both DATABRICKS_TOKEN and DATABRICKS_CLIENT_ID are set; unset one"
    )]
    TwoCredentials,
    #[error("the workspace URL must be https, unless it is on this machine")]
    PlainHttpWorkspace,
    #[error("the Databricks profile file {file:?} cannot be used: {reason}")]
    ProfileFile { file: String, reason: String },
    #[error("the Databricks profile file {file:?} has no profile {profile:?}")]
    ProfileMissing { file: String, profile: String },
    #[error("a username or token holds characters that cannot stand in a header")]
    UnusableSecret,
    #[error("the workspace refuses DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET")]
    ClientCredentialsRefused,
    #[error("the TLS setup cannot be used: {reason}")]
    Tls { reason: String },
}

/// A server to talk to, and as whom.
#[derive(Debug, Clone)]
pub struct TrackingServer {
    /// The server's base URL; holds no credentials.
    pub base_url: Url,
    /// The kind of server.
    pub flavor: Flavor,
    /// Who we are to it.
    pub credentials: Credentials,
}

impl TrackingServer {
    /// Finds server and credentials the way MLflow's and Databricks' own SDKs do.
    ///
    /// `http(s)://…` with MLflow's variables (a URL's own `user:password@` first); a Databricks host, `databricks` or
    /// `databricks://PROFILE` with Databricks' variables, then the profile file. A Databricks token is never sent to
    /// another host.
    ///
    /// # Errors
    /// [`ConfigError`], worded for the person who sets the variables.
    pub fn resolve(tracking_uri: &str, settings: &AuthSettings) -> Result<Self, ConfigError> {
        let uri = tracking_uri.trim();
        if uri == "databricks" {
            return Self::workspace(uri, None, settings);
        }
        let mut url = Url::parse(uri).map_err(|_| ConfigError::NotAUrl {
            uri: without_userinfo(uri),
        })?;
        match url.scheme() {
            "databricks" => Self::workspace(uri, url.host_str(), settings),
            "http" | "https" if is_workspace(&url, settings) => {
                strip_to_origin(&mut url);
                let credentials = workspace_credentials(&url, settings, None)?;
                Self::checked_workspace(url, credentials)
            }
            "http" | "https" => Ok(Self::open_source(url, settings)),
            scheme => Err(ConfigError::Scheme {
                scheme: scheme.to_owned(),
            }),
        }
    }

    fn open_source(mut url: Url, settings: &AuthSettings) -> Self {
        let from_url = (!url.username().is_empty()).then(|| Credentials::Basic {
            username: percent_decoded(url.username()),
            password: percent_decoded(url.password().unwrap_or_default()).into(),
        });
        // Neither call fails on an http URL with a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        url.set_fragment(None);
        let credentials = from_url
            .or_else(|| {
                Some(Credentials::Basic {
                    username: settings.mlflow_username.clone()?,
                    password: settings.mlflow_password.clone()?,
                })
            })
            .or_else(|| settings.mlflow_token.clone().map(Credentials::Bearer))
            .unwrap_or(Credentials::None);
        Self {
            base_url: url,
            flavor: Flavor::OpenSource,
            credentials,
        }
    }

    fn workspace(uri: &str, profile: Option<&str>, settings: &AuthSettings) -> Result<Self, ConfigError> {
        let file = settings
            .databricks_config_file
            .clone()
            .unwrap_or_else(|| PathBuf::from(".databrickscfg"));
        let profile = match (profile, &settings.databricks_host) {
            // A profile named in the URI wins over the environment, as in MLflow.
            (Some(name), _) => Some(databricks_profile::read(&file, name)?),
            (None, Some(_)) => None,
            (None, None) => {
                let name = settings.databricks_profile.as_deref().unwrap_or("DEFAULT");
                let no_workspace = || ConfigError::NoWorkspace {
                    uri: uri.to_owned(),
                    file: file.display().to_string(),
                };
                let found = databricks_profile::read(&file, name);
                Some(if settings.databricks_profile.is_some() {
                    found?
                } else {
                    found.map_err(|_| no_workspace())?
                })
            }
        };
        let host = match &profile {
            Some(profile) => profile.host.clone(),
            None => settings.databricks_host.clone(),
        };
        let host = host.ok_or_else(|| ConfigError::NoWorkspace {
            uri: uri.to_owned(),
            file: file.display().to_string(),
        })?;
        let url = workspace_url(&host)?;
        let credentials = workspace_credentials(&url, settings, profile)?;
        Self::checked_workspace(url, credentials)
    }

    fn checked_workspace(base_url: Url, credentials: Credentials) -> Result<Self, ConfigError> {
        if base_url.scheme() != "https" && !is_loopback(&base_url) {
            return Err(ConfigError::PlainHttpWorkspace);
        }
        Ok(Self {
            base_url,
            flavor: Flavor::Databricks,
            credentials,
        })
    }
}

/// Credentials of the profile when there is one, else of the environment.
fn workspace_credentials(
    url: &Url,
    settings: &AuthSettings,
    profile: Option<databricks_profile::Profile>,
) -> Result<Credentials, ConfigError> {
    let (token, client) = match profile {
        Some(profile) => (profile.token, profile.client_id.zip(profile.client_secret)),
        None => (
            settings.databricks_token.clone(),
            settings
                .databricks_client_id
                .clone()
                .zip(settings.databricks_client_secret.clone()),
        ),
    };
    match (token, client) {
        (Some(_), Some(_)) => Err(ConfigError::TwoCredentials),
        (Some(token), None) => Ok(Credentials::Bearer(token)),
        (None, Some((client_id, client_secret))) => Ok(Credentials::OAuthM2M {
            client_id,
            client_secret,
        }),
        (None, None) => Err(ConfigError::NoWorkspaceCredentials {
            host: url.host_str().unwrap_or("").to_owned(),
        }),
    }
}

fn is_workspace(url: &Url, settings: &AuthSettings) -> bool {
    let host = url.host_str().unwrap_or("");
    let known = [
        ".databricks.com",
        ".azuredatabricks.net",
        ".databricks.azure.cn",
        ".databricks.azure.us",
    ];
    let is_configured = settings
        .databricks_host
        .as_deref()
        .and_then(|configured| workspace_url(configured).ok())
        .is_some_and(|configured| configured.origin() == url.origin());
    is_configured || known.iter().any(|suffix| host.ends_with(suffix))
}

/// A workspace's origin; the Apps platform gives the host without a scheme.
fn workspace_url(host: &str) -> Result<Url, ConfigError> {
    let text = if host.contains("://") {
        host.to_owned()
    } else {
        format!("https://{host}")
    };
    let mut url = Url::parse(&text).map_err(|_| ConfigError::NotAUrl {
        uri: without_userinfo(host),
    })?;
    strip_to_origin(&mut url);
    Ok(url)
}

/// A workspace's API lives at the root of its host; people paste the browser's address.
fn strip_to_origin(url: &mut Url) {
    // Neither of the first two fails on a URL with a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_path("");
    url.set_query(None);
    url.set_fragment(None);
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// A text that is no URL may still hold a password before its `@`.
fn without_userinfo(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("***@{rest}"),
        None => text.to_owned(),
    }
}

fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
