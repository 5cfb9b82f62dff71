//! Work that goes on when whoever asked for it has left.

use crate::ids::RunId;
use crate::timestamp::Timestamp;

/// What a job makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// The analysis of a labeling session; its subject is the session's id.
    SessionAnalysis,
    /// The summary of an experiment; its subject is the experiment's id.
    ExperimentSummary,
}

impl JobKind {
    /// The word it is stored by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SessionAnalysis => "session_analysis",
            Self::ExperimentSummary => "experiment_summary",
        }
    }
}

/// Where a job stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobStatus {
    /// It waits for its turn.
    Pending,
    /// It is worked on.
    Running,
    /// What it made is being stored: it is too late to cancel it.
    Storing,
    /// It is done, and what it made is stored.
    Completed,
    /// It ended without: it failed, was cancelled, or interrupted. Its message says which.
    Failed,
}

impl JobStatus {
    /// The word it is stored by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Storing => "storing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// The word it is shown by: the contract knows no `storing`.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Storing => Self::Running.as_str(),
            status => status.as_str(),
        }
    }

    /// The status of this word.
    pub fn of(word: &str) -> Option<Self> {
        let all = [
            Self::Pending,
            Self::Running,
            Self::Storing,
            Self::Completed,
            Self::Failed,
        ];
        all.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether it has ended.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// The latest job of a kind about a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What it makes.
    pub kind: JobKind,
    /// What it is about.
    pub subject: String,
    /// Tells this job from those before it about the same.
    pub attempt: String,
    /// Where it stands.
    pub status: JobStatus,
    /// What is being done, what was made, or why it was not, in words for whoever asked.
    pub message: String,
    /// The run that keeps what it made.
    pub run_id: Option<RunId>,
    /// The artifact of that run that is the report.
    pub report_path: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Who asked.
    pub created_by: String,
    /// When something of this was last said.
    pub updated_at: Timestamp,
}
