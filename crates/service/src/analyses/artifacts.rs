//! Small files of runs: where analyses are kept, so that MLflow's own page and SDK find them.

use std::sync::Arc;

use bytes::Bytes;
use domain::RunId;
use serde::Serialize;

use crate::Services;
use crate::cache::{Fresh, Freshness, Served, Thing};
use crate::error::ServiceError;
use crate::records::to_json;

/// A small file of a run; nothing where there is none.
#[derive(Debug)]
pub(crate) struct Artifact(Option<Bytes>);

impl Artifact {
    pub(super) fn text(&self) -> Option<&str> {
        std::str::from_utf8(self.0.as_deref()?).ok()
    }

    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.0.as_ref().map_or(0, Bytes::len)
    }
}

/// A file to write.
pub(super) struct NewArtifact {
    pub(super) path: String,
    pub(super) content: Bytes,
    pub(super) content_type: &'static str,
}

impl NewArtifact {
    pub(super) fn markdown(path: String, text: String) -> Self {
        Self {
            path,
            content: text.into(),
            content_type: "text/markdown",
        }
    }

    pub(super) fn json(path: String, value: &impl Serialize) -> Result<Self, ServiceError> {
        Ok(Self {
            path,
            content: to_json(value)?,
            content_type: "application/json",
        })
    }
}

impl Services {
    /// A file of a run, which may not be there; nor need the run be.
    pub(super) async fn artifact(
        &self,
        run: &RunId,
        path: &str,
        freshness: Freshness,
    ) -> Result<Served<Arc<Artifact>>, ServiceError> {
        let key = self.keys.artifact(run, path);
        let (source, run, path) = (self.source(), run.clone(), path.to_owned());
        let fresh_for = self.cache.policy().search_ttl;
        let load = async move {
            let content = match source.get_run(&run).await {
                Ok(run) => source.get_artifact(&run, &path).await?,
                Err(error) if error.is_not_found() => None,
                Err(error) => return Err(error.into()),
            };
            Ok(Fresh {
                value: Arc::new(Artifact(content)),
                fresh_for,
            })
        };
        self.cache.get_or_load(key, freshness, load).await
    }

    /// Writes files of a run, one after the other and all of them once begun.
    pub(super) async fn put_artifacts(
        &self,
        run: RunId,
        files: Vec<NewArtifact>,
    ) -> Result<(), ServiceError> {
        let services = self.clone();
        self.write(vec![Thing::Run(run.clone())], async move {
            let run = match services.source.get_run(&run).await {
                Ok(run) => run,
                Err(error) if error.is_not_found() => return Err(ServiceError::RunNotFound(run)),
                Err(error) => return Err(error.into()),
            };
            for file in files {
                let put = services
                    .sink
                    .put_artifact(&run, &file.path, file.content, file.content_type);
                put.await?;
            }
            Ok(())
        })
        .await
    }
}
