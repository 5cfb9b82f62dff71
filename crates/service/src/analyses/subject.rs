//! What an analysis in the background is about, and the job that makes it.

use domain::{ExperimentId, Job, JobKind, LabelingSessionId};
use futures::Stream;

use crate::Services;
use crate::cache::Freshness;
use crate::error::ServiceError;

/// What an analysis is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnalysisSubject {
    /// The labels of a session.
    Session(LabelingSessionId),
    /// The traces of an experiment.
    Experiment(ExperimentId),
}

impl AnalysisSubject {
    pub(super) fn kind(&self) -> JobKind {
        match self {
            Self::Session(_) => JobKind::SessionAnalysis,
            Self::Experiment(_) => JobKind::ExperimentSummary,
        }
    }

    /// Its id, as jobs are named by it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Session(id) => id.as_str(),
            Self::Experiment(id) => id.as_str(),
        }
    }
}

impl Services {
    /// Where the latest analysis of this stands; nothing where there was none.
    ///
    /// # Errors
    /// [`ServiceError::SessionNotFound`], [`ServiceError::ExperimentNotFound`].
    pub async fn analysis_job(&self, subject: &AnalysisSubject) -> Result<Option<Job>, ServiceError> {
        self.check_subject(subject).await?;
        self.jobs.latest(subject.kind(), subject.as_str()).await
    }

    /// The same, and then each change of it until it is over.
    ///
    /// # Errors
    /// As [`Services::analysis_job`]; [`ServiceError::TooManyWatchers`].
    pub async fn analysis_job_updates(
        &self,
        subject: &AnalysisSubject,
    ) -> Result<impl Stream<Item = Result<Option<Job>, ServiceError>> + Send + use<>, ServiceError> {
        self.check_subject(subject).await?;
        self.jobs.updates(subject.kind(), subject.as_str())
    }

    /// Ends the analysis of this that is under way; how it stands then.
    ///
    /// # Errors
    /// As [`Services::analysis_job`]; [`ServiceError::Conflict`] when there is none, or its report is being stored.
    pub async fn cancel_analysis(
        &self,
        subject: &AnalysisSubject,
        by: &str,
    ) -> Result<Option<Job>, ServiceError> {
        self.check_subject(subject).await?;
        self.jobs.cancel(subject.kind(), subject.as_str(), by).await?;
        self.jobs.latest(subject.kind(), subject.as_str()).await
    }

    /// Whether the subject is there for whoever asks: what is said of it is theirs to know then.
    async fn check_subject(&self, subject: &AnalysisSubject) -> Result<(), ServiceError> {
        match subject {
            AnalysisSubject::Session(id) => self.get_labeling_session(id).await.map(|_| ()),
            AnalysisSubject::Experiment(id) => self.get_experiment(id, Freshness::Cached).await.map(|_| ()),
        }
    }
}
