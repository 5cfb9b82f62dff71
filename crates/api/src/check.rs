//! `trace-server check`: what works, what does not, and how to mend it.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use anstyle::{AnsiColor, Style};
use domain::{ExperimentId, SearchTraces, TraceId};
use futures::StreamExt;
use mlflow_client::{ClientError, Flavor, MlflowClient};
use mlflow_store::{DatabaseError, MlflowStore};
use service::{SpanPieces, TraceSource, UpstreamError};
use store::Store;

use crate::config::Config;
use crate::upstream::Upstream;
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

// Whoever is no terminal is spared them by the writer.
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

struct Report<'a> {
    out: &'a mut dyn Write,
    has_failed: bool,
}

impl Report<'_> {
    fn works(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{GOOD}✓{GOOD:#} {text}")
    }

    fn notes(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "· {text}")
    }

    fn fails(&mut self, text: &str, fix: &str) -> io::Result<()> {
        self.has_failed = true;
        writeln!(self.out, "{BAD}✗{BAD:#} {text}\n  fix: {fix}")
    }

    async fn all_steps(&mut self, config: &Config) -> io::Result<()> {
        let checked =
            Upstream::of(&config.mlflow).and_then(|upstream| Ok((upstream, config.mlflow.experiment_id()?)));
        let (upstream, experiment_id) = match checked {
            Ok(checked) => checked,
            Err(error) => return self.fails("the settings cannot be used", &error.to_string()),
        };
        self.works(&format!("settings: {}", upstream.describe()))?;
        let is_there = match &upstream {
            Upstream::Server(client) => self.reaches(client).await? && self.is_known(client).await?,
            Upstream::Database(store) => self.reads(store).await?,
        };
        if !is_there {
            return Ok(());
        }
        self.keeps_reviews(config, &upstream).await?;
        self.asks_model(config, &upstream)?;
        let Some(experiment_id) = experiment_id else {
            return self
                .notes("no experiment is configured (MLFLOW_EXPERIMENT_ID): every search must name one");
        };
        let source = upstream.source();
        if !self.finds_experiment(source.as_ref(), &experiment_id).await? {
            return Ok(());
        }
        match self.finds_trace(source.as_ref(), experiment_id).await? {
            Some(trace_id) => self.reads_spans(source.as_ref(), &trace_id).await,
            None => Ok(()),
        }
    }

    async fn reads(&mut self, store: &MlflowStore) -> io::Result<bool> {
        match store.describe().await {
            Ok(schema) => self
                .works(&format!("the database is MLflow's: {schema}"))
                .map(|()| true),
            Err(error) => self
                .fails(&error.to_string(), fix_for_database(&error))
                .map(|()| false),
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
                self.fails(&error.to_string(), fix_for_client(&error))?;
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
            Err(error) => self
                .fails(&error.to_string(), fix_for_client(&error))
                .map(|()| false),
        }
    }

    async fn keeps_reviews(&mut self, config: &Config, upstream: &Upstream) -> io::Result<()> {
        let kept = if config.reviews.are_in_workspace(upstream.flavor()) {
            "reviews are kept in the workspace, how analyses stand in"
        } else {
            "reviews are kept in"
        };
        let database = config.reviews.store();
        if let Err(error) = upstream.check_apart_from(&database) {
            return self.fails("our own database cannot be used", &error.to_string());
        }
        let opened = async {
            Store::probe(&database).await?;
            Store::describe(&database)
        };
        match opened.await {
            Ok(description) => self.works(&format!("{kept} {description}")),
            Err(error) => {
                let fix = "set DATABASE_URL to sqlite://PATH in a folder that can be written to, or to a PostgreSQL that runs";
                self.fails(&error.to_string(), fix)
            }
        }
    }

    /// A question costs money: none is asked here.
    fn asks_model(&mut self, config: &Config, upstream: &Upstream) -> io::Result<()> {
        let model = match wiring::model(config, upstream) {
            Ok(model) => model.own(),
            Err(error) => return self.fails("no model can be asked for insights", &error.to_string()),
        };
        match (model, config.model.name()) {
            (Some(model), Some(name)) => {
                self.notes(&format!("analyses ask {name} for insights, {}", model.describe()))
            }
            (Some(_), None) => {
                self.notes("analyses have no insights unless a request names a model (MODEL_ENDPOINT)")
            }
            (None, _) => self.notes("analyses have no insights: no model is configured (OPENAI_BASE_URL)"),
        }
    }

    async fn finds_experiment(&mut self, source: &dyn TraceSource, id: &ExperimentId) -> io::Result<bool> {
        match source.get_experiment(id).await {
            Ok(experiment) => self
                .works(&format!("experiment {id} is {:?}", experiment.name))
                .map(|()| true),
            Err(error) if error.is_not_found() => {
                let fix = "set MLFLOW_EXPERIMENT_ID to an experiment of this server";
                self.fails(&error.to_string(), fix).map(|()| false)
            }
            Err(error) => self.fails(&error.to_string(), fix_for(&error)).map(|()| false),
        }
    }

    async fn finds_trace(
        &mut self,
        source: &dyn TraceSource,
        id: ExperimentId,
    ) -> io::Result<Option<TraceId>> {
        let search = SearchTraces {
            experiment_ids: vec![id],
            filter: None,
            max_results: 10,
            order_by: Vec::new(),
            page_token: None,
        };
        let begun = Instant::now();
        match source.search_traces(&search).await {
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

    async fn reads_spans(&mut self, source: &dyn TraceSource, id: &TraceId) -> io::Result<()> {
        let begun = Instant::now();
        let read = async {
            let mut bytes = 0;
            match source.open_spans(id).await?.pieces {
                SpanPieces::Text(mut pieces) => {
                    while let Some(piece) = pieces.next().await {
                        bytes += piece?.len();
                    }
                }
                SpanPieces::Spans(mut spans) => {
                    while let Some(some) = spans.next().await {
                        bytes += some?.iter().map(bytes::Bytes::len).sum::<usize>();
                    }
                }
            }
            Ok::<_, UpstreamError>(bytes)
        };
        match read.await {
            Ok(bytes) => {
                let took = begun.elapsed().as_millis();
                self.works(&format!("spans of {id} are read: {bytes} bytes in {took} ms"))
            }
            Err(error) if error.is_without_spans() => {
                let why = error.why_without_spans().map(|why| format!(": {why}"));
                self.notes(&format!(
                    "trace {id} has no stored spans{}",
                    why.unwrap_or_default()
                ))
            }
            Err(error) => self.fails(&error.to_string(), fix_for(&error)),
        }
    }
}

fn fix_for(error: &UpstreamError) -> &'static str {
    match error {
        UpstreamError::Client(error) => fix_for_client(error),
        UpstreamError::Database(error) => fix_for_database(error),
    }
}

fn fix_for_database(error: &DatabaseError) -> &'static str {
    match error {
        DatabaseError::Unreachable(_) => {
            "start the database, or set MLFLOW_TRACKING_URI to where it is reached from here, with a user that may read it"
        }
        DatabaseError::Busy(_) | DatabaseError::Timeout(_) | DatabaseError::LeftAlone(_) => {
            "look at who else uses the database; raise TRACE_SERVER_UPSTREAM_CALL_TIMEOUT if it is only slow"
        }
        DatabaseError::UnknownSchema { .. } | DatabaseError::Address(_) => {
            "MLFLOW_TRACKING_URI must name the database that MLflow writes to (its --backend-store-uri)"
        }
        DatabaseError::ReadOnly { .. } => "use the address of the MLflow server instead",
        DatabaseError::ArtifactsElsewhere(_) | DatabaseError::Artifact(_) => {
            "look at the storage that MLflow keeps its artifacts in"
        }
        DatabaseError::NotFound(_)
        | DatabaseError::SpansNotFound(_)
        | DatabaseError::Refused(_)
        | DatabaseError::Failed(_)
        | DatabaseError::Unreadable { .. } => "look at the database's own log",
    }
}

fn fix_for_client(error: &ClientError) -> &'static str {
    match error {
        ClientError::Unreachable { .. } => {
            "start the server, or set MLFLOW_TRACKING_URI to where it is reached from here"
        }
        ClientError::Timeout { .. }
        | ClientError::Unavailable { .. }
        | ClientError::PoolExhausted { .. }
        | ClientError::LeftAlone { .. } => {
            "look at the server's own log and load; raise TRACE_SERVER_UPSTREAM_CALL_TIMEOUT if it is only slow"
        }
        ClientError::Unauthorized { .. }
        | ClientError::UserUnauthorized { .. }
        | ClientError::Credentials(_) => {
            "set MLFLOW_TRACKING_TOKEN, MLFLOW_TRACKING_USERNAME and _PASSWORD, or the DATABRICKS_* variables"
        }
        ClientError::Forbidden { .. } | ClientError::UserForbidden { .. } => {
            "give the credentials' owner CAN_READ on the experiment"
        }
        ClientError::RateLimited { .. } | ClientError::Contended { .. } => "wait a moment and try again",
        ClientError::Malformed { .. } | ClientError::Rejected { .. } | ClientError::RouteAbsent { .. } => {
            "MLFLOW_TRACKING_URI must be the address of an MLflow server's API, 2.14 or newer"
        }
        ClientError::ArtifactsElsewhere { .. } => "start the server with --serve-artifacts",
        ClientError::NotFound { .. }
        | ClientError::SpansNotFound { .. }
        | ClientError::Failed { .. }
        | ClientError::TooLarge { .. } => "look at the server's own log",
    }
}
