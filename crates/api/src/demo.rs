//! `trace-server demo`: something to try at once, with no MLflow and no Python: a store with sample traces in a folder of
//! its own, a labeling session that has begun, and this server on both.

use std::io::{self, Write};
use std::path::Path;

use domain::{
    AssessmentKind, ItemChange, ItemState, LabelSchema, LabelSchemaRef, LabelingSession, SearchTraces,
    SessionChange, TraceId,
};
use serde_json::json;
use serde_json::value::to_raw_value;
use service::{Identity, ItemFilter, LabelValue, PageRequest, Services, TraceSource, UpstreamError};
use tempfile::TempDir;

use crate::config::Config;

/// Traces of the session, and how many of them are labeled already.
const IN_SESSION: u32 = 12;
const LABELED: u32 = 3;

/// A reviewer beside the one who tries the demo.
const REVIEWER: &str = "mia@example.com";

/// A demo that lasts as long as this does.
#[derive(Debug)]
pub struct Stage {
    demo: demo::Demo,
    folder: TempDir,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// There is nowhere to put it.
    #[error("a temporary folder cannot be made: {0}")]
    Folder(#[from] io::Error),
    /// The sample traces cannot be written.
    #[error(transparent)]
    Store(#[from] demo::DemoError),
    /// The sample session cannot be made.
    #[error("the sample session cannot be made: {0}")]
    Session(#[from] service::ServiceError),
    /// The sample traces cannot be read.
    #[error(transparent)]
    Traces(#[from] UpstreamError),
    /// A sample is not what it should be.
    #[error("a sample cannot be read: {0}")]
    Sample(#[from] serde_json::Error),
}

impl Stage {
    /// Makes the store with its sample traces in a temporary folder, and turns the settings to it, whose one user may do all.
    ///
    /// # Errors
    /// [`StageError`].
    pub async fn set(config: &mut Config) -> Result<Self, StageError> {
        let folder = TempDir::with_prefix("trace-server-demo-")?;
        let demo = demo::create(folder.path()).await?;
        config.mlflow.use_database(&demo.database, &demo.experiment_id);
        config.reviews.use_file(&folder.path().join("reviews.db"));
        config.access.open_to_all();
        Ok(Self { demo, folder })
    }

    /// Makes a review app with some schemas and a session that one reviewer has begun to label.
    ///
    /// # Errors
    /// [`StageError`].
    pub async fn fill(
        &self,
        services: &Services,
        source: &dyn TraceSource,
    ) -> Result<LabelingSession, StageError> {
        let developer = services.identify(None).await?;
        let by = || developer.user_name.clone();
        let schemas = schemas()?;
        let names = schemas.iter().map(|schema| LabelSchemaRef {
            name: schema.name.clone(),
        });
        let change = SessionChange {
            name: Some("Week 47: is our agent helpful?".to_owned()),
            assigned_users: Some(vec![by(), REVIEWER.to_owned()]),
            labeling_schemas: Some(names.collect()),
            ..SessionChange::default()
        };
        for schema in schemas {
            services.create_label_schema(schema, by()).await?;
        }
        let session = services.create_labeling_session(change, by()).await?;
        let id = &session.labeling_session_id;
        let search = SearchTraces {
            experiment_ids: vec![self.demo.experiment_id.clone()],
            filter: Some("status = 'OK'".to_owned()),
            max_results: IN_SESSION,
            order_by: Vec::new(),
            page_token: None,
        };
        let traces = source.search_traces(&search).await?.traces;
        let traces = traces.into_iter().map(|trace| trace.trace_id).collect();
        services
            .link_traces_to_session(id.clone(), None, traces, by())
            .await?;
        let page = PageRequest {
            token: None,
            size: LABELED,
        };
        let items = services.list_items(id, ItemFilter::default(), page).await?;
        let mia = Identity {
            user_name: REVIEWER.to_owned(),
            ..developer.clone()
        };
        for item in items.entries {
            if let Some(trace) = &item.source.trace_id {
                label(services, trace, &mia).await?;
            }
            let done = ItemChange {
                state: Some(ItemState::Completed),
                ..ItemChange::default()
            };
            services
                .update_item(id.clone(), item.item_id, done, None, mia.user_name.clone())
                .await?;
        }
        Ok(session)
    }

    /// One of the traces worth showing; see [`demo::Demo::named`].
    pub fn trace(&self, name: &str) -> Option<&TraceId> {
        self.demo.named.get(name)
    }

    /// Says what to try.
    ///
    /// # Errors
    /// When nobody reads it.
    pub fn suggest(&self, base: &str, session: &LabelingSession, out: &mut dyn Write) -> io::Result<()> {
        let named = |name| self.trace(name).map_or("TRACE_ID", TraceId::as_str);
        let json = "-H 'content-type: application/json'";
        let session = &session.labeling_session_id;
        let folder: &Path = self.folder.path();
        let text = format!(
            "
  A demo is at {base}: {traces} traces of a support agent, and a session to label them in. Try:

    curl {base}/api/mlflow/search-traces {json} -d '{{\"max_results\": 3}}'
    curl {base}/api/mlflow/search-traces {json} -d '{{\"filter\": \"status = '\\''ERROR'\\'' AND span.type = '\\''TOOL'\\''\"}}'
    curl {base}/api/traces/{failing}
    curl \"{base}/api/traces/{failing}/spans?view=summary&span_type=TOOL\"
    curl -N -H 'accept: text/event-stream' \"{base}/api/traces/{big}/spans?view=summary\"
    curl {base}/api/labeling-sessions/{session}/items
    curl {base}/api/traces/analyze-patterns
    curl {base}/api/labeling-sessions/{session}/analysis/trigger {json} -d '{{}}'
    curl -N {base}/api/labeling-sessions/{session}/analysis/status/stream
    curl {base}/api/labeling-sessions/{session}/analysis
    {base}/docs

  The traces are in MLflow's own schema, and gone when this ends: {folder}
  Ctrl-C ends it.
",
            traces = self.demo.traces,
            failing = named("failing"),
            big = named("big"),
            folder = folder.display(),
        );
        // In one piece: the log goes to the same terminal.
        out.write_all(text.as_bytes())
    }
}

fn schemas() -> Result<Vec<LabelSchema>, serde_json::Error> {
    let schemas = json!([
        {
            "name": "helpful", "type": "FEEDBACK", "title": "Did the agent help?", "enable_comment": true,
            "instruction": "Would the customer have to ask again?", "categorical": {"options": ["yes", "partly", "no"]}
        },
        {
            "name": "tone", "type": "FEEDBACK", "title": "How friendly is it?",
            "numeric": {"min_value": 1, "max_value": 5}
        },
        {
            "name": "problems", "type": "FEEDBACK", "title": "What went wrong?",
            "categorical_list": {"options": ["wrong fact", "missing source", "too long", "wrong language"]}
        },
        {
            "name": "expected_answer", "type": "EXPECTATION", "title": "What should it have said?",
            "text": {"max_length": 1000}
        },
    ]);
    serde_json::from_value(schemas)
}

async fn label(services: &Services, trace: &TraceId, by: &Identity) -> Result<(), StageError> {
    for (name, value, rationale) in [
        ("helpful", json!("yes"), Some("Answers what was asked.")),
        ("tone", json!(4), None),
    ] {
        let label = LabelValue {
            kind: AssessmentKind::Feedback,
            value: to_raw_value(&value)?,
            rationale: rationale.map(str::to_owned),
            metadata: std::collections::BTreeMap::new(),
        };
        services
            .give_label(trace.clone(), name.to_owned(), label, by)
            .await?;
    }
    Ok(())
}
