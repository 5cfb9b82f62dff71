//! Signed URLs of a workspace's cloud store.

use serde::{Deserialize, Deserializer};
use url::Url;

use crate::error::ClientError;

/// An address that is good for a while, for whoever has it.
#[derive(Deserialize)]
pub(crate) struct SignedUrl {
    pub(crate) signed_uri: Url,
    /// What must be sent with it.
    #[serde(default, deserialize_with = "pairs")]
    pub(crate) headers: Vec<(String, String)>,
    /// Whose it is; it says how something is written there.
    #[serde(rename = "type", default)]
    pub(crate) store: CloudStore,
}

/// A cloud's store, as MLflow names the ways to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum CloudStore {
    #[serde(rename = "AZURE_SAS_URI")]
    AzureBlob,
    #[serde(rename = "AZURE_ADLS_GEN2_SAS_URI")]
    AzureDataLake,
    /// `AWS_PRESIGNED_URL`, `GCP_SIGNED_URL`: what is sent there is there.
    #[default]
    #[serde(other)]
    Plain,
}

fn pairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, String)>, D::Error> {
    #[derive(Deserialize)]
    struct Header {
        name: String,
        value: String,
    }
    let headers = Option::<Vec<Header>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(headers
        .into_iter()
        .map(|header| (header.name, header.value))
        .collect())
}

/// Whether a URL that was used for this operation may have expired before it was: a new one may do.
pub(crate) fn may_have_expired(error: &ClientError, used_for: &str) -> bool {
    matches!(error, ClientError::Unauthorized { operation } | ClientError::Forbidden { operation, .. } if *operation == used_for)
}
