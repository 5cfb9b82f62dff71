//! Who asks, and what they may see.
//!
//! The one place where roles are given and rights are checked: [`Identity`] says who it is, [`Visibility`] what they
//! reach.

mod visibility;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

pub use visibility::Visibility;
pub(crate) use visibility::{Reach, TRACE_DENIED};

use crate::Services;
use crate::error::ServiceError;

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sees and changes everything.
    Developer,
    /// A subject matter expert: sees only labeling sessions assigned to them, and those sessions' traces.
    Sme,
}

impl Role {
    /// The word the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Developer => "developer",
            Self::Sme => "sme",
        }
    }
}

/// Who is a developer.
#[derive(Debug, Clone, Default)]
pub struct Roles {
    /// Lower-cased e-mail addresses.
    developers: HashSet<String>,
    /// Nobody but the local user can ask: no proxy stands in front.
    is_single_user: bool,
}

impl Roles {
    /// The developers' e-mail addresses, in any case. On a single-user run that names none, the local user is one.
    pub fn new(developers: impl IntoIterator<Item = String>, is_single_user: bool) -> Self {
        let developers = developers.into_iter().map(|email| email.trim().to_lowercase());
        Self {
            developers: developers.filter(|email| !email.is_empty()).collect(),
            is_single_user,
        }
    }

    fn of(&self, user_name: &str, emails: &[String]) -> Role {
        let is_listed = |name: &str| self.developers.contains(&name.to_lowercase());
        let is_local_owner = self.is_single_user && self.developers.is_empty();
        if is_local_owner || is_listed(user_name) || emails.iter().any(|email| is_listed(email)) {
            Role::Developer
        } else {
            Role::Sme
        }
    }
}

/// A user as a trusted proxy names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardedUser {
    /// Their e-mail address, else their name.
    pub name: String,
    /// Whether the proxy passed a token of theirs on. The token itself never comes here.
    pub has_token: bool,
}

/// Who asks when no proxy names anyone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalUser {
    /// The owner of our credentials, as the source tells (Databricks), else this name.
    CredentialsOwner {
        /// Used where the source knows no users.
        otherwise: String,
    },
    /// This name.
    Named(String),
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Their name, mostly an e-mail address; this is who labels are from.
    pub user_name: String,
    /// The name to show.
    pub display_name: String,
    /// Whether the account is active.
    pub is_active: bool,
    /// Their e-mail addresses.
    pub emails: Vec<String>,
    /// Whether they came with a token of their own.
    pub has_token: bool,
    /// What they may do.
    pub role: Role,
}

impl Identity {
    /// Whether this user may do everything.
    pub fn is_developer(&self) -> bool {
        self.role == Role::Developer
    }

    /// # Errors
    /// [`ServiceError::AccessDenied`] unless this user may do everything.
    pub fn check_is_developer(&self) -> Result<(), ServiceError> {
        if self.is_developer() {
            return Ok(());
        }
        Err(ServiceError::AccessDenied("only developers may do that"))
    }

    /// The names that this user goes by, in the form in which two names of one user are equal.
    pub(crate) fn keys(&self) -> Arc<[String]> {
        let names = self.emails.iter().chain([&self.user_name]);
        let keys: BTreeSet<_> = names.map(|name| domain::user_key(name)).collect();
        keys.into_iter().filter(|key| !key.is_empty()).collect()
    }
}

impl Services {
    /// Who asks: the user that a trusted proxy names, else the local user.
    ///
    /// # Errors
    /// Upstream trouble, where the source must tell who the local user is.
    pub async fn identify(&self, forwarded: Option<ForwardedUser>) -> Result<Identity, ServiceError> {
        if let Some(ForwardedUser { name, has_token }) = forwarded {
            return Ok(self.identity_of(name, has_token));
        }
        let name = match &self.local_user {
            LocalUser::Named(name) => name,
            LocalUser::CredentialsOwner { otherwise } => match self.current_user().await? {
                Some(user) => {
                    let role = self.roles.of(&user.user_name, &user.emails);
                    return Ok(Identity {
                        display_name: user.display_name.unwrap_or_else(|| user.user_name.clone()),
                        user_name: user.user_name,
                        is_active: user.is_active,
                        emails: user.emails,
                        has_token: false,
                        role,
                    });
                }
                None => otherwise,
            },
        };
        Ok(self.identity_of(name.clone(), false))
    }

    fn identity_of(&self, name: String, has_token: bool) -> Identity {
        let emails = if name.contains('@') {
            vec![name.clone()]
        } else {
            Vec::new()
        };
        Identity {
            role: self.roles.of(&name, &emails),
            display_name: name.split('@').next().unwrap_or(&name).to_owned(),
            user_name: name,
            is_active: true,
            emails,
            has_token,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(developers: &[&str], is_single_user: bool) -> Roles {
        Roles::new(developers.iter().map(|&email| email.to_owned()), is_single_user)
    }

    #[test]
    fn developers_are_listed_in_any_case_by_name_or_address() {
        let roles = roles(&[" Ann@Example.com ", ""], false);
        assert_eq!(roles.of("ann@example.COM", &[]), Role::Developer);
        assert_eq!(roles.of("ann", &["ANN@example.com".into()]), Role::Developer);
        assert_eq!(roles.of("bob@example.com", &[]), Role::Sme);
        assert_eq!(roles.of("", &[]), Role::Sme);
    }

    #[test]
    fn a_user_goes_by_name_and_addresses_each_once() {
        let identity = Identity {
            user_name: "Ann@Example.com".into(),
            display_name: "Ann".into(),
            is_active: true,
            emails: vec!["ann@example.com".into(), " a.b@example.com".into(), String::new()],
            has_token: false,
            role: Role::Sme,
        };
        assert_eq!(&*identity.keys(), ["a.b@example.com", "ann@example.com"]);
    }

    #[test]
    fn only_a_single_user_run_without_developers_trusts_its_user() {
        assert_eq!(roles(&[], true).of("ann", &[]), Role::Developer);
        assert_eq!(roles(&["bob@example.com"], true).of("ann", &[]), Role::Sme);
        assert_eq!(roles(&[], false).of("ann", &[]), Role::Sme);
    }
}
