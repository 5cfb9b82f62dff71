//! Who the credentials belong to (Databricks only).

use serde::Deserialize;

use crate::client::MlflowClient;
use crate::error::ClientError;
use crate::transport::Call;

/// The owner of the credentials, as SCIM describes it.
#[derive(Debug, Clone)]
pub struct CurrentUser {
    /// The user's name; an e-mail address, or a service principal's id.
    pub user_name: String,
    /// The name to show.
    pub display_name: Option<String>,
    /// Whether the account is active.
    pub is_active: bool,
    /// E-mail addresses.
    pub emails: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScimUser {
    user_name: String,
    display_name: Option<String>,
    #[serde(default = "yes")]
    active: bool,
    #[serde(default)]
    emails: Vec<ScimEmail>,
}

#[derive(Deserialize)]
struct ScimEmail {
    value: String,
}

fn yes() -> bool {
    true
}

impl MlflowClient {
    /// The owner of the credentials.
    ///
    /// # Errors
    /// [`ClientError::RouteAbsent`] on an open-source server, which knows no users.
    pub async fn current_user(&self) -> Result<CurrentUser, ClientError> {
        let call = Call::get("scim.me", "/api/2.0/preview/scim/v2/Me");
        let user: ScimUser = self.transport().json(&call).await?;
        Ok(CurrentUser {
            user_name: user.user_name,
            display_name: user.display_name,
            is_active: user.active,
            emails: user.emails.into_iter().map(|email| email.value).collect(),
        })
    }
}
