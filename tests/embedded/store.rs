//! A store of MLflow's own for one test, with no server on it.

use std::path::{Path, PathBuf};

use harness::{Database, Postgres, TraceServer, Upstream};
use serde_json::Value;
use tempfile::TempDir;

use crate::Kind;

/// A store that MLflow's own code made and filled; gone when this is.
pub(crate) struct OwnStore {
    /// As MLflow's `--backend-store-uri` names it.
    pub(crate) uri: String,
    /// Its one experiment with traces.
    pub(crate) experiment: String,
    /// The traces, the oldest first.
    pub(crate) traces: Vec<String>,
    upstream: Upstream,
    folder: TempDir,
    _database: Option<Database>,
}

impl OwnStore {
    pub(crate) async fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => Some(Postgres::database().await),
        };
        let uri = match &database {
            Some(database) => database.url().replacen("postgres://", "postgresql://", 1),
            None => format!("sqlite:///{}", folder.path().join("mlflow.db").display()),
        };
        let upstream = Upstream::v3();
        let artifacts = folder.path().join("artifacts");
        let made = upstream.run_script("own_store.py", &["make", &uri, artifacts.to_str().unwrap()]);
        let made: Value = serde_json::from_str(&made).unwrap();
        Self {
            experiment: made["experiment_id"].as_str().unwrap().to_owned(),
            traces: serde_json::from_value(made["trace_ids"].clone()).unwrap(),
            uri,
            upstream,
            folder,
            _database: database,
        }
    }

    /// Its file, if that is what it is.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("mlflow.db")
    }

    /// Where nothing else lies.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A command of `tests/mlflow/own_store.py` on it; what it prints.
    pub(crate) fn run(&self, command: &str, args: &[&str]) -> String {
        let args = [&[command, self.uri.as_str()], args].concat();
        self.upstream.run_script("own_store.py", &args)
    }

    /// A trace of so many MiB in it, which MLflow would take minutes to log; its id.
    pub(crate) fn big_trace(&self, mib: u64) -> String {
        let mib = mib.to_string();
        let args = [&self.uri, "big", "--experiment", &self.experiment, "--mib", &mib];
        self.upstream.run_script("fill_store.py", &args).trim().to_owned()
    }

    pub(crate) fn settings(&self) -> [(&str, &str); 2] {
        [
            ("MLFLOW_TRACKING_URI", &self.uri),
            ("MLFLOW_EXPERIMENT_ID", &self.experiment),
        ]
    }

    pub(crate) async fn server(&self) -> TraceServer {
        TraceServer::with(&self.settings()).await
    }
}
