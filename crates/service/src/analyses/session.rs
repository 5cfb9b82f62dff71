//! What the labels of a session say together.

use analysis::facts::TraceFacts;
use analysis::session::{ItemFacts, SessionFacts, analyse, report};
use domain::{Item, Job, JobKind, LabelSchema, LabelingSession, LabelingSessionId, RunId, TraceId};
use serde_json::json;

use super::artifacts::NewReport;
use super::digests::off_thread;
use super::model::{shown, with_insights};
use super::{InsightsRequest, now_ms};
use crate::Services;
use crate::answer::Answer;
use crate::cache::Freshness;
use crate::error::ServiceError;
use crate::insights::SESSION_ANALYSIS;
use crate::jobs::{Made, Teller};
use crate::records::Document;
use crate::reviews::all_items;

const REPORT: &str = "analysis/session_summary/report.md";
const DATA: &str = "analysis/session_summary/data.json";

/// Traces whose labels are read at once.
const AT_ONCE: usize = 500;

impl Services {
    /// The analysis of a session as it is kept: `{"has_analysis", "content", "session_id", "run_id", "metadata", "message"}`.
    ///
    /// # Errors
    /// [`ServiceError::SessionNotFound`].
    pub async fn session_analysis(
        &self,
        id: &LabelingSessionId,
        freshness: Freshness,
    ) -> Result<Answer, ServiceError> {
        let run = self.get_labeling_session(id).await?.mlflow_run_id;
        let kept = self.kept_report(run.as_ref(), REPORT, DATA, freshness).await?;
        let message = match &kept.content {
            Some(_) => "the labels of this session have been analysed",
            None => "the labels of this session have not been analysed yet",
        };
        let metadata = kept.data.is_object().then(|| {
            json!({
                "analysis_timestamp": kept.data["analysis_timestamp"],
                "model_endpoint": kept.data["insights"]["model"],
                "totals": kept.data["totals"],
            })
        });
        let body = json!({
            "has_analysis": kept.content.is_some(), "content": kept.content, "session_id": id, "run_id": run,
            "metadata": metadata, "message": message,
        });
        Ok(Document::render(&body)?.into_answer(kept.origin))
    }

    /// Has a session analysed, as it is when its turn comes; the job that does it, which may be under way already.
    ///
    /// # Errors
    /// [`ServiceError::SessionNotFound`]; [`ServiceError::Conflict`] where it has no run to keep the report;
    /// [`ServiceError::TooManyJobs`]; [`ServiceError::Invalid`] for a model that cannot be asked.
    pub async fn analyse_session(
        &self,
        id: &LabelingSessionId,
        insights: InsightsRequest,
        by: &str,
    ) -> Result<Job, ServiceError> {
        run_of(&self.get_labeling_session(id).await?)?;
        self.check_insights(&insights)?;
        let (services, session) = (self.clone(), id.clone());
        let work = move |teller: Teller| async move {
            teller.say("reading the items of the session");
            let (app, session) = services.session_of_app(&session).await?;
            let run = run_of(&session)?;
            let schemas = services.get_review_app(&app).await?.labeling_schemas;
            let items = all_items(&*services.reviews, &app, &session.labeling_session_id, Some).await?;
            let facts = services
                .session_facts(&session, &run, schemas, items, &teller)
                .await?;
            services.analysed_session(facts, run, &insights, &teller).await
        };
        let kind = JobKind::SessionAnalysis;
        self.jobs.begin(kind, id.as_str(), by, work).await
    }

    /// The items with the labels of their traces, which are read past the cache: a report must not miss the last one.
    async fn session_facts(
        &self,
        session: &LabelingSession,
        run: &RunId,
        schemas: Vec<LabelSchema>,
        items: Vec<Item>,
        teller: &Teller,
    ) -> Result<SessionFacts, ServiceError> {
        let mut facts: Vec<ItemFacts> = Vec::with_capacity(items.len());
        let all = items.len();
        for some in items.chunks(AT_ONCE) {
            teller.say(format!("reading labels: {} of {all} traces", facts.len()));
            let ids: Vec<TraceId> = some
                .iter()
                .filter_map(|item| item.source.trace_id.clone())
                .collect();
            let infos = self.many_infos(&ids, Freshness::Bypass).await;
            for item in some {
                let info = item.source.trace_id.as_ref().and_then(|id| infos.get(id));
                let trace = match info {
                    Some(Ok(info)) => Some(info.value.facts()?),
                    None | Some(Err(ServiceError::TraceNotFound(_))) => None,
                    Some(Err(error)) => return Err(error.clone()),
                };
                facts.push(item_facts(item, trace));
            }
        }
        let experiment = self.experiment_of_run(run, Freshness::Cached).await?;
        Ok(SessionFacts {
            session_id: session.labeling_session_id.to_string(),
            name: session.name.clone(),
            run_id: run.to_string(),
            experiment_id: experiment.to_string(),
            assigned_users: session.assigned_users.clone(),
            schemas: schemas_of(session, schemas),
            items: facts,
            read_at_ms: now_ms(),
        })
    }

    async fn analysed_session(
        &self,
        facts: SessionFacts,
        run: RunId,
        insights: &InsightsRequest,
        teller: &Teller,
    ) -> Result<Made, ServiceError> {
        teller.say("counting labels and measuring agreement");
        let (facts, found) = off_thread(move || {
            let found = analyse(&facts);
            (facts, found)
        })
        .await?;
        if insights.are_wanted && self.has_model() {
            teller.say("asking the model");
        }
        let figures = serde_json::to_value(&found).unwrap_or_default();
        let excerpts = facts.items.iter().filter_map(excerpt).collect();
        let insights = shown(
            self.ask_about(insights, &SESSION_ANALYSIS, figures, excerpts)
                .await,
        );
        let link = |id: &TraceId| self.trace_pages.of(&facts.experiment_id, id);
        let new = NewReport {
            report_path: REPORT.to_owned(),
            report: report(&found, &link, &insights),
            data_path: DATA.to_owned(),
            data: with_insights(&found, &insights)?,
        };
        let services = self.clone();
        Ok(Made {
            message: format!("the analysis of {} items is stored", facts.items.len()),
            report_path: REPORT.to_owned(),
            storing: Box::pin(async move { services.put_report(run, new).await }),
        })
    }
}

/// The run that keeps its analysis.
fn run_of(session: &LabelingSession) -> Result<RunId, ServiceError> {
    let without = || ServiceError::Conflict("the labeling session has no run to keep its analysis".into());
    session.mlflow_run_id.clone().ok_or_else(without)
}

fn item_facts(item: &Item, trace: Option<TraceFacts>) -> ItemFacts {
    // Of a trace nothing but its labels and what was asked is looked at here, and thousands are held.
    let trace = trace.map(|mut trace| {
        trace.trace_metadata.clear();
        trace.tags.clear();
        trace
    });
    ItemFacts {
        trace_id: item.source.trace_id.clone(),
        state: item.state,
        labels: item.labels.clone(),
        last_updated_by: item.last_updated_by.clone(),
        last_update_time_ms: item
            .last_update_time
            .as_ref()
            .and_then(domain::Timestamp::unix_ms),
        trace,
    }
}

/// The schemas that the session names and that there are; all of them where it names none.
fn schemas_of(session: &LabelingSession, schemas: Vec<LabelSchema>) -> Vec<LabelSchema> {
    if session.labeling_schemas.is_empty() {
        return schemas;
    }
    let is_named = |schema: &LabelSchema| {
        session
            .labeling_schemas
            .iter()
            .any(|named| named.name == schema.name)
    };
    schemas.into_iter().filter(is_named).collect()
}

/// What a model is shown of an item that somebody has labeled.
fn excerpt(item: &ItemFacts) -> Option<serde_json::Value> {
    let trace = item.trace.as_ref()?;
    let of_humans = trace
        .assessments
        .iter()
        .filter(|one| one.valid && one.is_of_human());
    let labels: Vec<_> = of_humans
        .map(|one| json!({"name": one.name, "value": one.value(), "because": one.rationale, "by": one.source.source_id}))
        .collect();
    if labels.is_empty() && item.labels.is_empty() {
        return None;
    }
    Some(json!({
        "trace_id": trace.trace_id,
        "request": trace.request_preview,
        "response": trace.response_preview,
        "labels": labels,
        "labels_of_item": item.labels,
    }))
}
