//! What is kept outside of the database, in a folder or in the object storage of a cloud: small files of runs, and spans as
//! `traces.json`, as all MLflow before 3.6 kept them.
//!
//! Whoever may reach a cloud's storage is said by that cloud's own environment variables (`AWS_…`, `GOOGLE_…`,
//! `AZURE_…`), which the library reads as every tool of that cloud does.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Component, Path as FilePath};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::Run;
use futures::stream::BoxStream;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientConfigKey, ObjectStore, ObjectStoreExt, RetryConfig};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::MlflowStore;
use crate::error::DatabaseError;

/// The name MLflow gives the file of a trace's spans.
const SPANS: &str = "traces.json";

/// The largest artifact of a run that is read, in bytes.
const MAX_ARTIFACT_BYTES: u64 = 16 << 20;

/// Buckets whose connections are kept; one more drops them all.
const KEPT_STORES: usize = 64;

const RETRIES: usize = 3;
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);

/// Time for a storage to begin its answer, all tries together.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);

/// Time in which more of an answer must come.
const READ_TIMEOUT: &str = "30s";

/// Where artifacts are found.
#[derive(Default)]
pub(crate) struct Artifacts {
    /// What stands for `mlflow-artifacts:/`: the `--artifacts-destination` of the MLflow server.
    destination: Option<String>,
    stores: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

/// Why a place cannot be reached from here; goes on after what is kept there.
#[derive(Debug)]
struct Elsewhere(&'static str);

/// A text that is read while it arrives.
pub(crate) struct ArtifactText {
    /// Its length in bytes.
    pub(crate) length: u64,
    pub(crate) pieces: BoxStream<'static, object_store::Result<Bytes>>,
}

/// A place, understood.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// A folder on this machine.
    Folder(String),
    /// A folder of a bucket.
    Bucket(Url),
}

/// Without what a storage was made from.
impl std::fmt::Debug for Artifacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Artifacts").finish_non_exhaustive()
    }
}

impl Artifacts {
    pub(crate) fn new(destination: Option<String>) -> Self {
        Self {
            destination,
            stores: Mutex::default(),
        }
    }

    /// Understands an artifact location as MLflow writes it.
    fn place(&self, location: &str) -> Result<Place, Elsewhere> {
        if let Some(path) = location.strip_prefix("mlflow-artifacts:") {
            // The server's name, where there is one, is the proxy's: the destination is the same.
            let path = path
                .strip_prefix("//")
                .map_or(path, |rest| rest.split_once('/').map_or("", |(_, path)| path));
            let destination = self.destination.as_deref().ok_or(Elsewhere(
                "an MLflow server keeps them (mlflow-artifacts:); set MLFLOW_ARTIFACTS_DESTINATION to the folder or bucket that \
                 it keeps them in",
            ))?;
            if destination.starts_with("mlflow-artifacts:") {
                return Err(Elsewhere(
                    "MLFLOW_ARTIFACTS_DESTINATION must be a folder or a bucket, not another server's artifacts",
                ));
            }
            let whole = format!("{}/{}", destination.trim_end_matches('/'), path.trim_matches('/'));
            return self.place(&whole);
        }
        let Some((scheme, _)) = location.split_once("://") else {
            return match location.strip_prefix("file:") {
                Some(path) => folder(&decoded(path)?),
                None => folder(location),
            };
        };
        match scheme {
            "file" => folder(&decoded(location.strip_prefix("file://").unwrap_or_default())?),
            "s3" | "s3a" | "gs" | "abfs" | "abfss" | "az" | "azure" => bucket(location),
            // MLflow's name for Azure's blobs; the library knows the same account by its newer name.
            "wasbs" | "wasb" => bucket(&location.replacen("wasb", "abfs", 1).replacen(
                ".blob.core.",
                ".dfs.core.",
                1,
            )),
            _ => Err(Elsewhere(
                "the artifact location has a scheme that is not read here",
            )),
        }
    }

    /// The storage of a place, and the path in it of a file there.
    fn store(&self, place: &Place, file: &str) -> Result<(Arc<dyn ObjectStore>, Path), DatabaseError> {
        let no_path = || DatabaseError::ArtifactsElsewhere("the artifact location is no path");
        match place {
            Place::Folder(folder) => {
                let path = Path::from_absolute_path(FilePath::new(folder).join(file));
                Ok((Arc::new(LocalFileSystem::new()), path.map_err(|_| no_path())?))
            }
            Place::Bucket(url) => {
                let path = Path::from_url_path(format!("{}/{file}", url.path().trim_end_matches('/')));
                let path = path.map_err(|_| no_path())?;
                let mut name = url.clone();
                name.set_path("");
                let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(store) = stores.get(name.as_str()) {
                    return Ok((Arc::clone(store), path));
                }
                let store = connect(&name).map_err(DatabaseError::Artifact)?;
                if stores.len() >= KEPT_STORES {
                    stores.clear();
                }
                stores.insert(name.into(), Arc::clone(&store));
                Ok((store, path))
            }
        }
    }

    /// The same of a file of a run.
    fn of_run(&self, run: &Run, file: &str) -> Result<(Arc<dyn ObjectStore>, Path), DatabaseError> {
        let place = self.place(&run.info.artifact_uri);
        self.store(
            &place.map_err(|Elsewhere(why)| DatabaseError::ArtifactsElsewhere(why))?,
            file,
        )
    }
}

impl MlflowStore {
    /// A file of a run, of 16 MiB at most; `None` where the run has none of this path.
    ///
    /// # Errors
    /// [`DatabaseError::ArtifactsElsewhere`] when its artifacts cannot be reached from here.
    pub async fn get_artifact(&self, run: &Run, file: &str) -> Result<Option<Bytes>, DatabaseError> {
        let (store, path) = self.artifacts().of_run(run, file)?;
        let read = async {
            let found = store.get(&path).await?;
            if found.meta.size > MAX_ARTIFACT_BYTES {
                return Ok(None);
            }
            found.bytes().await.map(Some)
        };
        match in_time(read).await? {
            Ok(Some(content)) => Ok(Some(content)),
            Ok(None) => Err(DatabaseError::ArtifactsElsewhere("it is larger than 16 MiB")),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(DatabaseError::Artifact(error)),
        }
    }

    /// Writes a file of a run, whole or not at all; what was there before is gone.
    ///
    /// # Errors
    /// As [`Self::get_artifact`], and [`DatabaseError::ReadOnly`].
    pub async fn put_artifact(&self, run: &Run, file: &str, content: Bytes) -> Result<(), DatabaseError> {
        self.schema().await?.check_writable()?;
        let (store, path) = self.artifacts().of_run(run, file)?;
        let put = in_time(store.put(&path, content.into())).await?;
        put.map(|_| ()).map_err(DatabaseError::Artifact)
    }
}

async fn in_time<T>(work: impl Future<Output = T>) -> Result<T, DatabaseError> {
    let done = tokio::time::timeout(ANSWER_TIMEOUT, work).await;
    done.map_err(|_| DatabaseError::Timeout(ANSWER_TIMEOUT))
}

/// Opens the spans at an artifact location.
///
/// # Errors
/// [`DatabaseError::SpansNotFound`] when they are not there or the location cannot be reached from here,
/// [`DatabaseError::Artifact`] when the storage fails.
pub(crate) async fn open_spans(artifacts: &Artifacts, location: &str) -> Result<ArtifactText, DatabaseError> {
    let elsewhere = |why: &str| DatabaseError::SpansNotFound(why.to_owned());
    let place = artifacts
        .place(location)
        .map_err(|Elsewhere(why)| elsewhere(why))?;
    let (store, path) = artifacts.store(&place, SPANS).map_err(|error| match error {
        DatabaseError::ArtifactsElsewhere(why) => elsewhere(why),
        error => error,
    })?;
    let answer = in_time(store.get(&path)).await?;
    match answer {
        Ok(found) => Ok(ArtifactText {
            length: found.meta.size,
            pieces: found.into_stream(),
        }),
        Err(object_store::Error::NotFound { .. }) => Err(DatabaseError::SpansNotFound(
            "there is no traces.json where they should be".to_owned(),
        )),
        Err(error) => Err(DatabaseError::Artifact(error)),
    }
}

/// A path that leads out of where it begins is refused: tags, which name it, can be written by others.
fn folder(path: &str) -> Result<Place, Elsewhere> {
    let leads_out = FilePath::new(path)
        .components()
        .any(|component| component == Component::ParentDir);
    if path.is_empty() || leads_out {
        return Err(Elsewhere("the artifact location is no plain path"));
    }
    let path = std::path::absolute(path).map_err(|_| Elsewhere("the artifact location is no path"))?;
    let text = path.to_str().map(|path| Place::Folder(path.to_owned()));
    text.ok_or(Elsewhere("the artifact location is no path"))
}

/// A path of a URL.
fn decoded(path: &str) -> Result<Cow<'_, str>, Elsewhere> {
    percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| Elsewhere("the artifact location is no path"))
}

/// Reading a URL takes `..` for a step up: it is looked for before.
fn bucket(location: &str) -> Result<Place, Elsewhere> {
    if decoded(location)?.split('/').any(|part| part == "..") {
        return Err(Elsewhere("the artifact location is no plain path"));
    }
    Url::parse(location)
        .map(Place::Bucket)
        .map_err(|_| Elsewhere("the artifact location is no URL"))
}

fn connect(bucket: &Url) -> object_store::Result<Arc<dyn ObjectStore>> {
    // A second provider is refused, which is fine: the first is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let retry = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: RETRY_TIMEOUT,
        ..RetryConfig::default()
    };
    // No limit on the whole: a large text is read as slowly as its reader reads.
    let unlimited = "1000 days";
    Ok(match bucket.scheme() {
        "gs" => {
            let builder = GoogleCloudStorageBuilder::from_env().with_url(bucket.as_str());
            let builder = builder.with_config(GoogleConfigKey::Client(ClientConfigKey::Timeout), unlimited);
            let builder = builder.with_config(
                GoogleConfigKey::Client(ClientConfigKey::ReadTimeout),
                READ_TIMEOUT,
            );
            Arc::new(builder.with_retry(retry).build()?)
        }
        "s3" | "s3a" => {
            let builder = AmazonS3Builder::from_env().with_url(bucket.as_str());
            let builder = builder.with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), unlimited);
            let builder = builder.with_config(
                AmazonS3ConfigKey::Client(ClientConfigKey::ReadTimeout),
                READ_TIMEOUT,
            );
            Arc::new(builder.with_retry(retry).build()?)
        }
        _ => {
            let builder = MicrosoftAzureBuilder::from_env().with_url(bucket.as_str());
            let builder = builder.with_config(AzureConfigKey::Client(ClientConfigKey::Timeout), unlimited);
            let builder =
                builder.with_config(AzureConfigKey::Client(ClientConfigKey::ReadTimeout), READ_TIMEOUT);
            Arc::new(builder.with_retry(retry).build()?)
        }
    })
}

#[cfg(test)]
#[path = "artifacts_tests.rs"]
mod tests;
