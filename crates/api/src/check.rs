//! `trace-server check`: what works, what does not, and how to mend it.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use domain::{ExperimentId, TraceId};
use futures::StreamExt;
use mlflow_client::{ClientError, Flavor, MlflowClient, SearchTraces};
use store::Store;

use crate::config::Config;
use crate::wiring;

/// Tests the connection step by step and writes a line for each. Fails when a step does.
pub async fn run(config: &Config, out: &mut dyn Write) -> ExitCode {
    let mut report = Report {
        out,
        has_failed: false,
    };
    // A report that nobody reads (a closed pipe) needs no further steps.
    let written = report.all_steps(config).await;
    if written.is_err() || report.has_failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

struct Report<'a> {
    out: &'a mut dyn Write,
    has_failed: bool,
}

impl Report<'_> {
    fn works(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "✓ {text}")
    }

    fn notes(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "· {text}")
    }

    fn fails(&mut self, text: &str, fix: &str) -> io::Result<()> {
        self.has_failed = true;
        writeln!(self.out, "✗ {text}\n  fix: {fix}")
    }

    async fn all_steps(&mut self, config: &Config) -> io::Result<()> {
        let checked = wiring::client(config).and_then(|client| Ok((client, config.mlflow.experiment_id()?)));
        let (client, experiment_id) = match checked {
            Ok(checked) => checked,
            Err(error) => return self.fails("the settings cannot be used", &error.to_string()),
        };
        let server = client.server();
        self.works(&format!(
            "settings: {} with {}",
            server.base_url,
            server.credentials.describe()
        ))?;
        if !self.reaches(&client).await? || !self.is_known(&client).await? {
            return Ok(());
        }
        self.keeps_reviews(config, &client).await?;
        let Some(experiment_id) = experiment_id else {
            return self
                .notes("no experiment is configured (MLFLOW_EXPERIMENT_ID): every search must name one");
        };
        if !self.finds_experiment(&client, &experiment_id).await? {
            return Ok(());
        }
        match self.finds_trace(&client, experiment_id).await? {
            Some(trace_id) => self.reads_spans(&client, &trace_id).await,
            None => Ok(()),
        }
    }

    async fn reaches(&mut self, client: &MlflowClient) -> io::Result<bool> {
        if client.server().flavor == Flavor::Databricks {
            return Ok(true);
        }
        match client.version().await {
            Ok(version) => {
                let version = version.unwrap_or_else(|| "of unknown version".to_owned());
                self.works(&format!("the server answers: MLflow {version}"))?;
            }
            Err(error) => {
                self.fails(&error.to_string(), fix_for(&error))?;
                return Ok(false);
            }
        }
        match client.connection_reuse().await {
            Some(true) => self.notes("connections are used again"),
            Some(false) => self
                .notes("a new connection for each call: answers on used ones stall by 40 ms on this server"),
            None => Ok(()),
        }?;
        Ok(true)
    }

    async fn is_known(&mut self, client: &MlflowClient) -> io::Result<bool> {
        if client.server().flavor == Flavor::OpenSource {
            return Ok(true);
        }
        match client.current_user().await {
            Ok(user) => self
                .works(&format!("the workspace knows us as {}", user.user_name))
                .map(|()| true),
            Err(error) => self.fails(&error.to_string(), fix_for(&error)).map(|()| false),
        }
    }

    async fn keeps_reviews(&mut self, config: &Config, client: &MlflowClient) -> io::Result<()> {
        if config.reviews.are_in_workspace(client.server().flavor) {
            return self.notes("reviews are kept in the workspace");
        }
        let database = config.reviews.store();
        let opened = async {
            Store::probe(&database).await?;
            Store::describe(&database)
        };
        match opened.await {
            Ok(description) => self.works(&format!("reviews are kept in {description}")),
            Err(error) => {
                let fix = "set DATABASE_URL to sqlite://PATH in a folder that can be written to, or to a PostgreSQL that runs";
                self.fails(&error.to_string(), fix)
            }
        }
    }

    async fn finds_experiment(&mut self, client: &MlflowClient, id: &ExperimentId) -> io::Result<bool> {
        match client.get_experiment(id).await {
            Ok(experiment) => self
                .works(&format!("experiment {id} is {:?}", experiment.name))
                .map(|()| true),
            Err(error @ ClientError::NotFound { .. }) => {
                let fix = "set MLFLOW_EXPERIMENT_ID to an experiment of this server";
                self.fails(&error.to_string(), fix).map(|()| false)
            }
            Err(error) => self.fails(&error.to_string(), fix_for(&error)).map(|()| false),
        }
    }

    async fn finds_trace(&mut self, client: &MlflowClient, id: ExperimentId) -> io::Result<Option<TraceId>> {
        let search = SearchTraces {
            experiment_ids: vec![id],
            filter: None,
            max_results: 10,
            order_by: Vec::new(),
            page_token: None,
        };
        let begun = Instant::now();
        match client.search_traces(&search).await {
            Ok(page) => {
                let took = begun.elapsed().as_millis();
                self.works(&format!(
                    "search finds {} of the newest 10 traces in {took} ms",
                    page.traces.len()
                ))?;
                let newest = page.traces.into_iter().find(|trace| trace.state.is_finished());
                Ok(newest.map(|trace| trace.trace_id))
            }
            Err(error) => self.fails(&error.to_string(), fix_for(&error)).map(|()| None),
        }
    }

    async fn reads_spans(&mut self, client: &MlflowClient, id: &TraceId) -> io::Result<()> {
        let begun = Instant::now();
        let read = async {
            let mut chunks = client.open_spans(id).await?.chunks;
            let mut bytes = 0;
            while let Some(chunk) = chunks.next().await {
                bytes += chunk?.len();
            }
            Ok::<_, ClientError>(bytes)
        };
        match read.await {
            Ok(bytes) => {
                let took = begun.elapsed().as_millis();
                self.works(&format!("spans of {id} are read: {bytes} bytes in {took} ms"))
            }
            Err(ClientError::SpansNotFound { .. }) => self.notes(&format!("trace {id} has no stored spans")),
            Err(error) => self.fails(&error.to_string(), fix_for(&error)),
        }
    }
}

fn fix_for(error: &ClientError) -> &'static str {
    match error {
        ClientError::Unreachable { .. } => {
            "start the server, or set MLFLOW_TRACKING_URI to where it is reached from here"
        }
        ClientError::Timeout { .. } | ClientError::Unavailable { .. } | ClientError::PoolExhausted { .. } => {
            "look at the server's own log and load; raise TRACE_SERVER_UPSTREAM_CALL_TIMEOUT if it is only slow"
        }
        ClientError::Unauthorized { .. } | ClientError::Credentials(_) => {
            "set MLFLOW_TRACKING_TOKEN, MLFLOW_TRACKING_USERNAME and _PASSWORD, or the DATABRICKS_* variables"
        }
        ClientError::Forbidden { .. } => "give the credentials' owner CAN_READ on the experiment",
        ClientError::RateLimited { .. } | ClientError::Contended { .. } => "wait a moment and try again",
        ClientError::Malformed { .. } | ClientError::Rejected { .. } | ClientError::RouteAbsent { .. } => {
            "MLFLOW_TRACKING_URI must be the address of an MLflow server's API, 2.14 or newer"
        }
        ClientError::NotFound { .. }
        | ClientError::SpansNotFound { .. }
        | ClientError::Failed { .. }
        | ClientError::TooLarge { .. } => "look at the server's own log",
    }
}
