//! What a sample of an experiment's traces says.

use std::pin::pin;

use analysis::experiment::{DetectedIssue, ExperimentAnalysis, Input, Question, RecommendedSchema, Sampled};
use analysis::experiment::{Source, SummaryFacts, report};
use analysis::insights::{Insights, InsightsOutcome};
use domain::{
    ExperimentId, Job, JobKind, LabelSchemaType, NewRun, RunId, RunStatus, RunTag, RunUpdate, SearchRuns,
    TraceId,
};
use futures::StreamExt;
use serde_json::json;

use super::artifacts::NewReport;
use super::digests::{PAUSES, off_thread};
use super::model::{trace_ids, with_insights};
use super::{InsightsRequest, now_ms};
use crate::Services;
use crate::answer::Answer;
use crate::cache::{Freshness, Thing};
use crate::error::ServiceError;
use crate::insights::{
    EXPERIMENT_SUMMARY, ExperimentInsights, Insight, Issue, SuggestedInput, SuggestedLabel, SuggestedSchema,
};
use crate::jobs::{Made, Teller};
use crate::records::Document;

/// The run that keeps an experiment's summary, and the tag that says so.
const RUN_NAME: &str = "experiment_metadata";
const RUN_TAG: &str = "experiment.id";

/// What is asked of a sample of traces.
#[derive(Debug, Clone)]
pub struct SummaryRequest {
    /// What is to be looked at first, in the words of whoever asks; a model is told.
    pub focus: String,
    /// Traces that are looked at, the newest.
    pub traces: u32,
    /// Whether a model is asked, and which.
    pub insights: InsightsRequest,
}

fn report_path(id: &ExperimentId) -> String {
    format!("analysis/experiment_summaries/{id}_summary.md")
}

fn data_path(id: &ExperimentId) -> String {
    format!("analysis/experiment_summaries/{id}_analysis_data.json")
}

impl Services {
    /// The summary of an experiment as it is kept: `{"has_summary", "content", "source", "run_id", "message",
    /// "schemas_with_label_types", "detected_issues", "metadata"}`.
    ///
    /// # Errors
    /// [`ServiceError::ExperimentNotFound`].
    pub async fn experiment_summary(
        &self,
        id: &ExperimentId,
        freshness: Freshness,
    ) -> Result<Answer, ServiceError> {
        self.get_experiment(id, freshness).await?;
        let run = self.metadata_run(id, freshness).await?;
        let (report, data) = (report_path(id), data_path(id));
        let kept = self.kept_report(run.as_ref(), &report, &data, freshness).await?;
        let message = match &kept.content {
            Some(_) => "the traces of this experiment have been summarised",
            None => "the traces of this experiment have not been summarised yet",
        };
        let list = |name: &str| kept.data[name].as_array().cloned().unwrap_or_default();
        let body = json!({
            "has_summary": kept.content.is_some(), "content": kept.content,
            "source": kept.content.is_some().then_some("mlflow"), "run_id": run, "message": message,
            "schemas_with_label_types": list("schemas_with_label_types"), "detected_issues": list("detected_issues"),
            "metadata": kept.data["metadata"],
        });
        Ok(Document::render(&body)?.into_answer(kept.origin))
    }

    /// Has an experiment summarised; the job that does it, which may be under way already.
    ///
    /// # Errors
    /// [`ServiceError::ExperimentNotFound`]; [`ServiceError::TooManyJobs`]; [`ServiceError::Invalid`] for a model that cannot
    /// be asked.
    pub async fn summarise_experiment(
        &self,
        id: &ExperimentId,
        request: SummaryRequest,
        by: &str,
    ) -> Result<Job, ServiceError> {
        self.get_experiment(id, Freshness::Cached).await?;
        self.check_insights(&request.insights)?;
        let (services, experiment, asker) = (self.clone(), id.clone(), by.to_owned());
        let work =
            move |teller| async move { services.summarised(experiment, request, asker, &teller).await };
        let kind = JobKind::ExperimentSummary;
        self.jobs.begin(kind, id.as_str(), by, work).await
    }

    async fn summarised(
        &self,
        experiment: ExperimentId,
        request: SummaryRequest,
        by: String,
        teller: &Teller,
    ) -> Result<Made, ServiceError> {
        let sampled = self.sample(&experiment, request.traces, teller).await?;
        let facts = SummaryFacts {
            experiment_id: experiment.to_string(),
            focus: request.focus.clone(),
            read_at_ms: now_ms(),
        };
        let (sampled, mut found) = off_thread(move || {
            let found = sampled.analyse(&facts);
            (sampled, found)
        })
        .await?;
        let insights = if sampled.traces() == 0 {
            InsightsOutcome::Absent("there are no traces to say something about".to_owned())
        } else {
            if request.insights.are_wanted && self.has_model() {
                teller.say("asking the model");
            }
            let figures = json!({
                "focus": request.focus, "figures": found.statistics, "issues": found.detected_issues,
            });
            let excerpts = sampled.excerpts();
            let asked = self.ask_about(&request.insights, &EXPERIMENT_SUMMARY, figures, excerpts);
            taken_in(&mut found, asked.await)
        };
        let link = |id: &TraceId| self.trace_pages.of(experiment.as_str(), id);
        let new = NewReport {
            report_path: report_path(&experiment),
            report: report(&found, &link, &insights),
            data_path: data_path(&experiment),
            data: with_insights(&found, &insights)?,
        };
        let services = self.clone();
        Ok(Made {
            message: format!("the summary of {} traces is stored", sampled.traces()),
            report_path: new.report_path.clone(),
            storing: Box::pin(async move {
                let run = services.own_metadata_run(&experiment, by).await?;
                services.put_report(run, new).await
            }),
        })
    }

    async fn sample(
        &self,
        experiment: &ExperimentId,
        count: u32,
        teller: &Teller,
    ) -> Result<Sampled, ServiceError> {
        teller.say("looking for the newest traces");
        let infos = self.newest_traces(experiment, count, Freshness::Bypass).await?;
        let (all, mut sampled, mut trouble) = (infos.len(), Sampled::default(), None);
        let mut digested = pin!(self.digest(&infos, Freshness::Cached, PAUSES).enumerate());
        while let Some((nth, one)) = digested.next().await {
            teller.say(format!("reading spans: {} of {all} traces", nth + 1));
            let one = one?;
            match one.digest {
                Ok(digest) => sampled.add(&one.facts, &digest),
                Err(error) => {
                    sampled.add_failed();
                    trouble.get_or_insert(error);
                }
            }
        }
        match trouble {
            Some(trouble) if sampled.traces() == 0 => Err(trouble),
            _ => Ok(sampled),
        }
    }

    /// The run that keeps an experiment's summary: the oldest, should there be two.
    async fn metadata_run(
        &self,
        id: &ExperimentId,
        freshness: Freshness,
    ) -> Result<Option<RunId>, ServiceError> {
        let search = SearchRuns {
            experiment_ids: vec![id.clone()],
            // An id holds no quote: see `ExperimentId`.
            filter: Some(format!(
                "attributes.run_name = '{RUN_NAME}' AND tags.`{RUN_TAG}` = '{id}'"
            )),
            run_view_type: None,
            max_results: 1,
            order_by: vec!["start_time ASC".to_owned()],
            page_token: None,
        };
        let found = self.runs_document(search, freshness).await?;
        Ok(found.value.first_run())
    }

    /// The same, made if there is none.
    async fn own_metadata_run(&self, id: &ExperimentId, by: String) -> Result<RunId, ServiceError> {
        if let Some(run) = self.metadata_run(id, Freshness::Bypass).await? {
            return Ok(run);
        }
        let tag = RunTag {
            key: RUN_TAG.to_owned(),
            value: id.to_string(),
        };
        let new = NewRun {
            experiment_id: id.clone(),
            run_name: Some(RUN_NAME.to_owned()),
            user_id: Some(by),
            start_time: Some(now_ms()),
            tags: vec![tag],
        };
        let services = self.clone();
        self.write(vec![Thing::AnyRun], async move {
            let run = services.sink.create_run(&new).await?;
            let id: RunId = run.info.run_id.parse().map_err(|_| ServiceError::Interrupted)?;
            let done = RunUpdate {
                status: Some(RunStatus::Finished),
                end_time: Some(now_ms()),
            };
            services.sink.update_run(&id, &done).await?;
            Ok(id)
        })
        .await
    }
}

/// Adds what a model says to what was counted; what of it is told apart.
fn taken_in(
    found: &mut ExperimentAnalysis,
    outcome: Result<Insight<ExperimentInsights>, String>,
) -> InsightsOutcome {
    let Insight { content, model, .. } = match outcome {
        Ok(insight) => insight,
        Err(why) => return InsightsOutcome::Absent(why),
    };
    found.set_model(model.clone());
    for issue in content.issues {
        found.add_issue(detected(issue));
    }
    for schema in content.schemas {
        found.add_schema(recommended(schema));
    }
    InsightsOutcome::Given(Insights {
        model,
        summary: content.summary,
        findings: Vec::new(),
        recommendations: Vec::new(),
    })
}

fn detected(issue: Issue) -> DetectedIssue {
    let example_traces = trace_ids(&issue.example_traces);
    DetectedIssue {
        issue_type: issue.issue_type,
        severity: issue.severity,
        title: issue.title,
        description: issue.description,
        affected_traces: example_traces.len() as u64,
        example_traces,
        problem_snippets: Vec::new(),
        source: Source::Model,
    }
}

fn recommended(schema: SuggestedSchema) -> RecommendedSchema {
    let input = match schema.schema_type {
        SuggestedInput::Categorical => Input::Options(schema.options.unwrap_or_default()),
        SuggestedInput::Numeric => Input::Numbers(schema.min, schema.max),
        SuggestedInput::Text => Input::Text,
    };
    let question = Question {
        key: schema.key,
        label_type: match schema.label_type {
            SuggestedLabel::Feedback => LabelSchemaType::Feedback,
            SuggestedLabel::Expectation => LabelSchemaType::Expectation,
        },
        name: schema.name,
        description: schema.description,
        input,
    };
    let grounded = trace_ids(&schema.grounded_in_traces);
    RecommendedSchema::new(
        question,
        schema.rationale,
        schema.priority_score,
        grounded,
        Source::Model,
    )
}
