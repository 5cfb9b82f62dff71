//! Small files of runs.
//!
//! 1. Open-source MLflow that serves its artifacts (it does unless told otherwise) says so by the run's artifact location,
//!    `mlflow-artifacts:/…`: files are written and read under that path. Others it still reads for us, from wherever they are,
//!    but takes none.
//! 2. Databricks signs URLs of the cloud store, which never see our credentials.

use bytes::Bytes;
use domain::Run;
use percent_encoding::percent_decode_str;
use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use url::Url;

use crate::capabilities::Flavor;
use crate::client::MlflowClient;
use crate::error::ClientError;
use crate::transport::Call;
use crate::wire::signed::{CloudStore, SignedUrl, may_have_expired};

/// The largest artifact that is read, in bytes.
const MAX_ARTIFACT_BYTES: usize = 16 << 20;

const READ: &str = "artifacts.get";
const WRITE: &str = "artifacts.put";
const SIGNED_READ: &str = "artifacts.signed_get";
const SIGNED_WRITE: &str = "artifacts.signed_put";

#[derive(Deserialize)]
struct SignedUrls {
    credential_infos: Vec<SignedUrl>,
}

/// What a folder of a run holds; nothing is said of one that is not there.
#[derive(Deserialize)]
struct Listed {
    /// Where the artifacts are. Always said, so that another's answer is not taken for an empty folder.
    #[serde(rename = "root_uri")]
    _root_uri: IgnoredAny,
    #[serde(default)]
    files: Vec<ListedFile>,
}

#[derive(Deserialize)]
struct ListedFile {
    /// From the run's artifacts on.
    path: String,
}

impl MlflowClient {
    /// A file of a run, of 16 MiB at most; `None` where the run has none of this path.
    ///
    /// # Errors
    /// [`ClientError::TooLarge`].
    pub async fn get_artifact(&self, run: &Run, path: &str) -> Result<Option<Bytes>, ClientError> {
        let read = match (self.server().flavor, served_folder(run)) {
            (Flavor::Databricks, _) => self.signed_get(run, path).await,
            (Flavor::OpenSource, Some(folder)) => {
                let call = Call::get(READ, served_path(folder, path));
                self.transport().bytes(&call, MAX_ARTIFACT_BYTES).await
            }
            (Flavor::OpenSource, None) => {
                let call = Call::get(READ, "/get-artifact").query("run_uuid", &run.info.run_id);
                let call = call.query("path", path);
                self.transport().bytes(&call, MAX_ARTIFACT_BYTES).await
            }
        };
        match read {
            Ok(content) => Ok(Some(content)),
            Err(ClientError::NotFound { .. }) => Ok(None),
            Err(error @ ClientError::Failed { .. }) if self.server().flavor == Flavor::OpenSource => {
                // MLflow 2 fails on a file that is not there (500). It lists what is.
                match self.has_artifact(run, path).await {
                    Ok(false) => Ok(None),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn has_artifact(&self, run: &Run, path: &str) -> Result<bool, ClientError> {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let call = Call::get("artifacts.list", "/api/2.0/mlflow/artifacts/list")
            .query("run_id", &run.info.run_id)
            .query("path", folder);
        let listed = self.transport().json::<Listed>(&call).await?;
        Ok(listed.files.iter().any(|file| file.path == path))
    }

    /// Writes a file of a run; what was there before is gone.
    ///
    /// # Errors
    /// [`ClientError::ArtifactsElsewhere`] when the server takes none for this run.
    pub async fn put_artifact(
        &self,
        run: &Run,
        path: &str,
        content: Bytes,
        content_type: &'static str,
    ) -> Result<(), ClientError> {
        match (self.server().flavor, served_folder(run)) {
            (Flavor::Databricks, _) => self.signed_put(run, path, &content).await,
            (Flavor::OpenSource, Some(folder)) => {
                let call = Call::put(WRITE, served_path(folder, path), content, content_type);
                self.transport().done(&call).await
            }
            (Flavor::OpenSource, None) => Err(ClientError::ArtifactsElsewhere { operation: WRITE }),
        }
    }

    async fn signed_get(&self, run: &Run, path: &str) -> Result<Bytes, ClientError> {
        let get = async || {
            let signed = self.signed_url("credentials-for-read", run, path).await?;
            let open = self
                .transport()
                .open_signed(SIGNED_READ, signed.signed_uri, &signed.headers);
            open.await?.whole(MAX_ARTIFACT_BYTES).await
        };
        match get().await {
            Err(error) if may_have_expired(&error, SIGNED_READ) => get().await,
            read => read,
        }
    }

    async fn signed_put(&self, run: &Run, path: &str, content: &Bytes) -> Result<(), ClientError> {
        let put = async || {
            let signed = self.signed_url("credentials-for-write", run, path).await?;
            self.write_signed(signed, content).await
        };
        match put().await {
            Err(error) if may_have_expired(&error, SIGNED_WRITE) => put().await,
            written => written,
        }
    }

    async fn signed_url(&self, what: &'static str, run: &Run, path: &str) -> Result<SignedUrl, ClientError> {
        let body = json!({"run_id": run.info.run_id, "path": [path]});
        let call = Call::read_by_post(
            "artifacts.credentials",
            format!("/api/2.0/mlflow/artifacts/{what}"),
            &body,
        )?;
        let signed = self.transport().json::<SignedUrls>(&call).await?.credential_infos;
        signed
            .into_iter()
            .next()
            .ok_or_else(|| call.unreadable("no signed URL"))
    }

    /// Each cloud in its own way, as MLflow's SDK does it (`databricks_artifact_repo.py`, 3.17.2).
    async fn write_signed(&self, signed: SignedUrl, content: &Bytes) -> Result<(), ClientError> {
        let SignedUrl {
            signed_uri,
            mut headers,
            store,
        } = signed;
        let send = async |method, url, headers: &[(String, String)], body| {
            let answer = self
                .transport()
                .send_signed(SIGNED_WRITE, method, url, headers, body)
                .await?;
            answer.whole(MAX_ARTIFACT_BYTES).await.map(|_| ())
        };
        match store {
            CloudStore::Plain => send(Method::PUT, signed_uri, &headers, Some(content.clone())).await,
            CloudStore::AzureBlob => {
                headers.push(("x-ms-blob-type".to_owned(), "BlockBlob".to_owned()));
                send(Method::PUT, signed_uri, &headers, Some(content.clone())).await
            }
            CloudStore::AzureDataLake => {
                let end = content.len().to_string();
                let create = with_query(&signed_uri, &[("resource", "file")]);
                send(Method::PUT, create, &headers, Some(Bytes::new())).await?;
                // Nothing cannot be appended; the file is empty as it is.
                if !content.is_empty() {
                    let append = with_query(&signed_uri, &[("action", "append"), ("position", "0")]);
                    send(Method::PATCH, append, &headers, Some(content.clone())).await?;
                }
                let flush = with_query(&signed_uri, &[("action", "flush"), ("position", &end)]);
                send(Method::PATCH, flush, &headers, Some(Bytes::new())).await
            }
        }
    }
}

fn with_query(url: &Url, pairs: &[(&str, &str)]) -> Url {
    let mut url = url.clone();
    url.query_pairs_mut().extend_pairs(pairs);
    url
}

/// Where the server serves a run's artifacts; `None` where it does not. The server's own name may stand before the path.
///
/// Whoever makes an experiment chooses the location: one that leads out of what is served is none. A URL takes `%2e%2e` and
/// `\` for steps too, and passes over tabs and line ends.
fn served_folder(run: &Run) -> Option<&str> {
    let path = run.info.artifact_uri.strip_prefix("mlflow-artifacts:")?;
    let path = path
        .strip_prefix("//")
        .map_or(path, |rest| rest.split_once('/').map_or("", |(_, path)| path));
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let leads_out = decoded.split(['/', '\\']).any(|part| part == "..");
    (!leads_out && !decoded.contains(char::is_control)).then(|| path.trim_matches('/'))
}

fn served_path(folder: &str, path: &str) -> String {
    format!("/api/2.0/mlflow-artifacts/artifacts/{folder}/{path}")
}

#[cfg(test)]
#[path = "artifacts_tests.rs"]
mod tests;
