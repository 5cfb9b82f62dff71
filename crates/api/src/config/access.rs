//! Who may do what.

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use mlflow_client::Flavor;
use service::{LocalUser, Roles};

use super::{ConfigError, given};

/// Who may do what.
#[derive(Debug, Args)]
#[command(next_help_heading = "Access")]
pub struct AccessArgs {
    /// E-mail addresses of developers, separated by commas; everyone else is a reviewer (sme). Unset on a run
    /// without a proxy: the local user is a developer.
    #[arg(long, env = "DEVELOPERS", value_name = "EMAILS")]
    developers: Option<String>,
    /// The name of the local user. Unset: the owner of the credentials on Databricks, else the system's user.
    #[arg(long, env = "TRACE_SERVER_USER", value_name = "NAME")]
    user: Option<String>,
    /// Whether a proxy that everyone must pass sets the `X-Forwarded-*` user headers. Unset: only inside Databricks
    /// Apps. Without such a proxy anyone could claim to be anyone.
    #[arg(long, env = "TRACE_SERVER_TRUST_PROXY", value_name = "BOOL", value_parser = BoolishValueParser::new(), num_args = 0..=1, default_missing_value = "true")]
    trust_proxy: Option<bool>,
    /// With whose rights MLflow is asked. `server`: with this server's own credentials; `user`: with each user's own token, which
    /// a trusted proxy passes on in `X-Forwarded-Access-Token` (Databricks Apps does, with user authorization). What MLflow
    /// refuses a user is then their 401 or 403, and nothing that one user was shown is kept for another.
    #[arg(long, env = "TRACE_SERVER_AUTH", value_enum, default_value_t = AskedAs::Server)]
    auth: AskedAs,
    /// Set by Databricks Apps.
    #[arg(long, env = "DATABRICKS_APP_NAME", value_name = "NAME", hide = true)]
    databricks_app_name: Option<String>,
    /// Set by Databricks Apps.
    #[arg(long, env = "DATABRICKS_APP_PORT", value_name = "PORT", hide = true)]
    databricks_app_port: Option<String>,
}

/// With whose rights MLflow is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AskedAs {
    /// With this server's own credentials.
    Server,
    /// With each user's own token.
    User,
}

impl AccessArgs {
    /// Makes whoever asks the local user, a developer.
    pub fn open_to_all(&mut self) {
        self.developers = None;
        self.trust_proxy = Some(false);
    }

    /// Whether we run inside Databricks Apps, behind its proxy.
    pub fn is_databricks_app(&self) -> bool {
        given(self.databricks_app_name.as_ref()).is_some()
            && given(self.databricks_app_port.as_ref()).is_some()
    }

    /// Whether the user headers count.
    pub fn trusts_proxy(&self) -> bool {
        self.trust_proxy.unwrap_or_else(|| self.is_databricks_app())
    }

    /// Whether MLflow is asked with each user's own token.
    ///
    /// # Errors
    /// When no proxy is trusted to say who they are.
    pub fn is_in_users_names(&self) -> Result<bool, ConfigError> {
        match self.auth {
            AskedAs::Server => Ok(false),
            AskedAs::User if self.trusts_proxy() => Ok(true),
            AskedAs::User => Err(ConfigError::UsersWithoutProxy),
        }
    }

    /// Who is a developer.
    pub fn roles(&self) -> Roles {
        let listed = given(self.developers.as_ref()).unwrap_or_default();
        Roles::new(listed.split(',').map(str::to_owned), !self.trusts_proxy())
    }

    /// Whether everyone who can reach us is taken for the local user, a developer.
    pub fn is_open_to_all(&self) -> bool {
        !self.trusts_proxy() && given(self.developers.as_ref()).is_none()
    }

    /// Who asks when nobody is named.
    pub fn local_user(&self, flavor: Flavor) -> LocalUser {
        let system_user = || whoami::username().unwrap_or_else(|_| "local-user".to_owned());
        match (given(self.user.as_ref()), flavor) {
            (Some(name), _) => LocalUser::Named(name.to_owned()),
            (None, Flavor::Databricks) => LocalUser::CredentialsOwner {
                otherwise: system_user(),
            },
            (None, Flavor::OpenSource) => LocalUser::Named(system_user()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Cli;
    use clap::Parser;

    fn args(flags: &[&str]) -> AccessArgs {
        Cli::parse_from([&["trace-server"], flags].concat()).config.access
    }

    #[test]
    fn a_proxy_is_trusted_only_when_told_or_inside_databricks_apps() {
        let app = ["--databricks-app-name", "a", "--databricks-app-port", "8000"];
        assert!(!args(&[]).trusts_proxy());
        assert!(!args(&app[..2]).trusts_proxy());
        assert!(args(&app).trusts_proxy());
        assert!(args(&["--trust-proxy"]).trusts_proxy());
        assert!(!args(&[&app[..], &["--trust-proxy", "false"]].concat()).trusts_proxy());
    }

    #[test]
    fn a_named_user_wins_over_the_credentials_owner() {
        let user = args(&["--user", "ann"]).local_user(Flavor::Databricks);
        assert_eq!(user, LocalUser::Named("ann".into()));
        assert!(matches!(
            args(&[]).local_user(Flavor::Databricks),
            LocalUser::CredentialsOwner { .. }
        ));
    }
}
