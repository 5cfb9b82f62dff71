//! Real MLflow servers with sample traces.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

/// What was seeded; see `tests/mlflow/seed.py`.
#[derive(Debug, Clone, Deserialize)]
pub struct Seed {
    /// The main experiment.
    pub experiment_id: String,
    /// An experiment without traces.
    #[serde(default)]
    pub empty_experiment_id: String,
    /// An experiment with a few traces; tests may add more.
    #[serde(default)]
    pub other_experiment_id: String,
    /// A run with traces linked to it.
    #[serde(default)]
    pub run_id: String,
    /// All traces of the main experiment.
    pub trace_ids: Vec<String>,
    /// The traces linked to the run.
    #[serde(default)]
    pub run_trace_ids: Vec<String>,
    /// Traces of another experiment.
    #[serde(default)]
    pub other_trace_ids: Vec<String>,
    /// Traces that are something special.
    pub named: HashMap<String, String>,
    /// What filters are tried on.
    #[serde(default)]
    pub filters: FilterSeed,
}

/// What filters are tried on; see `tests/mlflow/filters.py`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct FilterSeed {
    /// An experiment of traces that differ in all that filters ask about.
    pub experiment_id: String,
    /// An experiment of such runs.
    pub runs_experiment_id: String,
    /// The traces, in the order they were made.
    pub trace_ids: Vec<String>,
    /// What stands in filters as `{word}`: ids and times that are known only once they are made.
    pub words: HashMap<String, String>,
}

impl FilterSeed {
    /// A filter with what its words stand for.
    pub fn fill(&self, filter: &str) -> String {
        let mut filter = filter.to_owned();
        for (word, value) in &self.words {
            filter = filter.replace(&format!("{{{word}}}"), value);
        }
        filter
    }
}

/// An MLflow server that runs beside the tests.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Its address.
    pub url: String,
    /// What was seeded.
    pub seed: Seed,
    /// The database it keeps its data in, `sqlite:////…` or `postgresql://…`.
    pub store: String,
    /// The folder it keeps its artifacts in.
    pub artifacts: String,
    seed_file: PathBuf,
    python: PathBuf,
}

impl Upstream {
    /// MLflow 3.17.2.
    pub fn v3() -> Self {
        Self::from_env("MLFLOW")
    }

    /// MLflow 2.22.1.
    pub fn v2() -> Self {
        Self::from_env("MLFLOW2")
    }

    /// MLflow 3.17.2 with its data in PostgreSQL.
    pub fn postgres() -> Self {
        Self::from_env("MLFLOWPG")
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "how the script that starts the servers tells where they are"
    )]
    fn from_env(prefix: &str) -> Self {
        let setting = |name: &str| {
            let name = format!("{prefix}_{name}");
            std::env::var(&name).unwrap_or_else(|_| panic!("{name} is not set; run the tests by `make test`"))
        };
        let seed_file = PathBuf::from(setting("SEED_FILE"));
        let seed = std::fs::read(&seed_file).expect("the seed file is readable");
        Self {
            url: setting("TRACKING_URI"),
            seed: serde_json::from_slice(&seed).expect("the seed file is what seed.py writes"),
            store: setting("STORE_URI"),
            artifacts: setting("ARTIFACTS"),
            seed_file,
            python: setting("PYTHON").into(),
        }
    }

    /// The trace seeded under this name.
    pub fn trace(&self, name: &str) -> &str {
        self.seed
            .named
            .get(name)
            .unwrap_or_else(|| panic!("no trace {name:?} is seeded"))
    }

    /// Runs a script of `tests/mlflow` with this server's own Python and gives what it prints.
    pub fn run_script(&self, script: &str, args: &[&str]) -> String {
        let output = self.script(script, args).output().expect("python starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script} failed:\n{errors}");
        String::from_utf8(output.stdout).expect("it prints UTF-8")
    }

    /// A script of `tests/mlflow` as [`Self::run_script`] runs it, for a test that does something meanwhile.
    pub fn script(&self, script: &str, args: &[&str]) -> Command {
        let scripts = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("mlflow");
        let mut command = Command::new(&self.python);
        command
            .arg(scripts.join(script))
            .args(args)
            .env("MLFLOW_TRACKING_URI", &self.url);
        command
    }

    /// The file that says what was seeded.
    pub fn seed_file(&self) -> &str {
        self.seed_file.to_str().expect("the path is UTF-8")
    }

    /// A trace of about this many MiB, in an experiment of its own, made for the test.
    pub fn big_trace(&self, mib: u32) -> String {
        self.run_script("big_trace.py", &["--mib", &mib.to_string(), "--apart"])
            .trim()
            .to_owned()
    }

    /// Where MLflow itself gives the spans of a trace.
    pub fn artifact_url(&self, trace_id: &str) -> String {
        format!(
            "{}/ajax-api/2.0/mlflow/get-trace-artifact?request_id={trace_id}",
            self.url
        )
    }
}
