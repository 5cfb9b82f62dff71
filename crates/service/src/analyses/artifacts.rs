//! Small files of runs: where analyses are kept, so that MLflow's own page and SDK find them.

use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use domain::RunId;
use serde_json::Value;

use crate::Services;
use crate::answer::Origin;
use crate::cache::{Fresh, Freshness, Served, Thing};
use crate::error::ServiceError;
use crate::records::to_json;

/// A small file of a run; nothing where there is none.
#[derive(Debug)]
pub(crate) struct Artifact(Option<Bytes>);

impl Artifact {
    /// Its text. An empty file is none: some clouds make it first, and fill it then.
    pub(super) fn text(&self) -> Option<&str> {
        let text = std::str::from_utf8(self.0.as_deref()?).ok()?;
        (!text.is_empty()).then_some(text)
    }

    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.0.as_ref().map_or(0, Bytes::len)
    }
}

/// A report and what it was made from, not stored yet.
pub(super) struct NewReport {
    pub(super) report_path: String,
    /// In Markdown.
    pub(super) report: String,
    pub(super) data_path: String,
    /// An object.
    pub(super) data: Value,
}

/// A report as it is kept.
pub(super) struct KeptReport {
    /// In Markdown; nothing where there is none.
    pub(super) content: Option<String>,
    /// What it was made from, as the crate `analysis` wrote it, or another server by the same names; null where there is none.
    pub(super) data: Value,
    pub(super) origin: Origin,
}

impl KeptReport {
    /// Whether the data are those of the report, as far as they say: reports of other servers do not.
    fn is_whole(&self) -> bool {
        let Some(told) = self.data[DIGEST].as_str() else {
            return true;
        };
        self.content.as_ref().is_some_and(|report| digest(report) == told)
    }
}

/// What `sha256sum` says of the report, in its data: of two files one may be stored and the other not.
const DIGEST: &str = "report_sha256";

fn digest(report: &str) -> String {
    let bytes = ring::digest::digest(&ring::digest::SHA256, report.as_bytes());
    bytes.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
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

    /// A report and its data, read side by side. Without data where those that are there are of another report.
    pub(super) async fn kept_report(
        &self,
        run: Option<&RunId>,
        report: &str,
        data: &str,
        freshness: Freshness,
    ) -> Result<KeptReport, ServiceError> {
        let Some(run) = run else {
            return Ok(KeptReport {
                content: None,
                data: Value::Null,
                origin: Origin::ASKED,
            });
        };
        let kept = self.both_files(run, report, data, freshness).await?;
        if kept.is_whole() {
            return Ok(kept);
        }
        // Kept from before and after a change, perhaps.
        let mut kept = self.both_files(run, report, data, Freshness::Bypass).await?;
        if !kept.is_whole() {
            kept.data = Value::Null;
        }
        Ok(kept)
    }

    async fn both_files(
        &self,
        run: &RunId,
        report: &str,
        data: &str,
        freshness: Freshness,
    ) -> Result<KeptReport, ServiceError> {
        let (report, data) = tokio::try_join!(
            self.artifact(run, report, freshness),
            self.artifact(run, data, freshness)
        )?;
        let origin = Origin::from(&report).and(Origin::from(&data));
        let data = data.value.text().and_then(|text| serde_json::from_str(text).ok());
        Ok(KeptReport {
            content: report.value.text().map(str::to_owned),
            data: data.unwrap_or_default(),
            origin,
        })
    }

    /// Writes a report and its data into a run; both, once begun. Gives the run.
    pub(super) async fn put_report(&self, id: RunId, mut new: NewReport) -> Result<RunId, ServiceError> {
        new.data[DIGEST] = digest(&new.report).into();
        let data = to_json(&new.data)?;
        let services = self.clone();
        self.write(vec![Thing::Run(id.clone())], async move {
            let run = match services.source.get_run(&id).await {
                Ok(run) => run,
                Err(error) if error.is_not_found() => return Err(ServiceError::RunNotFound(id)),
                Err(error) => return Err(error.into()),
            };
            // The data first: where there is a report, there are its data.
            for (path, content, content_type) in [
                (new.data_path, data, "application/json"),
                (new.report_path, new.report.into(), "text/markdown"),
            ] {
                let put = services.sink.put_artifact(&run, &path, content, content_type);
                put.await?;
            }
            Ok(id)
        })
        .await
    }
}
