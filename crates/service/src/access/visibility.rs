//! What a user reaches: a developer everything, a reviewer the labeling sessions assigned to them and what is in those.

use std::collections::HashSet;
use std::sync::Arc;

use domain::{LabelingSessionId, RunId, TraceId};
use store::Assignment;

use super::Identity;
use crate::Services;
use crate::cache::{Fresh, Freshness};
use crate::error::ServiceError;

/// What is assigned to a reviewer.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    sessions: HashSet<LabelingSessionId>,
    runs: HashSet<RunId>,
    traces: HashSet<TraceId>,
}

impl Reach {
    fn of(assignments: Vec<Assignment>) -> Self {
        let mut reach = Self::default();
        for assignment in assignments {
            reach.sessions.insert(assignment.labeling_session_id);
            reach.runs.extend(assignment.mlflow_run_id);
            reach.traces.extend(assignment.trace_id);
        }
        reach
    }

    pub(crate) fn weight(&self) -> usize {
        // An id is a shared text of about 36 bytes with two counters, in a slot of 16 bytes that is at worst half used.
        let ids = self.sessions.len() + self.runs.len() + self.traces.len();
        size_of::<Self>() + ids * 96
    }
}

/// What a user reaches.
///
/// What is not theirs is denied whether it exists or not, so that nobody learns by asking what others have.
#[derive(Debug, Clone)]
pub struct Visibility(Option<Arc<Reach>>);

impl Visibility {
    /// Everything.
    pub const EVERYTHING: Self = Self(None);

    /// Whether everything is reached.
    pub fn is_everything(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the trace is reached.
    pub fn has_trace(&self, id: &TraceId) -> bool {
        self.0.as_ref().is_none_or(|reach| reach.traces.contains(id))
    }

    /// # Errors
    /// [`ServiceError::AccessDenied`] unless the trace is reached.
    pub fn check_trace(&self, id: &TraceId) -> Result<(), ServiceError> {
        allowed(self.has_trace(id), TRACE_DENIED)
    }

    /// # Errors
    /// [`ServiceError::AccessDenied`] unless the run is that of a session that is reached.
    pub fn check_run(&self, id: &RunId) -> Result<(), ServiceError> {
        let is_reached = self.0.as_ref().is_none_or(|reach| reach.runs.contains(id));
        allowed(
            is_reached,
            "reviewers may read only the runs of labeling sessions assigned to them",
        )
    }

    /// # Errors
    /// [`ServiceError::AccessDenied`] unless the session is reached.
    pub fn check_session(&self, id: &LabelingSessionId) -> Result<(), ServiceError> {
        let is_reached = self.0.as_ref().is_none_or(|reach| reach.sessions.contains(id));
        allowed(is_reached, "this labeling session is not assigned to you")
    }
}

/// Why a reviewer is not shown a trace.
pub(crate) const TRACE_DENIED: &str = "reviewers may read only traces of labeling sessions assigned to them";

fn allowed(is_so: bool, otherwise: &'static str) -> Result<(), ServiceError> {
    if is_so {
        return Ok(());
    }
    Err(ServiceError::AccessDenied(otherwise))
}

impl Services {
    /// What a user reaches. A reviewer's assignments are kept as long as a search is (10 s unless set otherwise), and
    /// dropped when one is changed here.
    ///
    /// # Errors
    /// When the assignments cannot be read.
    pub async fn visibility(&self, identity: &Identity) -> Result<Visibility, ServiceError> {
        if identity.is_developer() {
            return Ok(Visibility::EVERYTHING);
        }
        let (services, names) = (self.clone(), identity.keys());
        let key = self.keys.reach(Arc::clone(&names));
        let fresh_for = self.cache.policy().search_ttl;
        let load = async move {
            let reach = match services.review_app_id().await? {
                Some(app) => Reach::of(services.reviews.assignments(&app, &names).await?),
                None => Reach::default(),
            };
            let value = Arc::new(reach);
            Ok(Fresh { value, fresh_for })
        };
        let reach = self.cache.get_or_load(key, Freshness::Cached, load).await?;
        Ok(Visibility(Some(reach.value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id<T: std::str::FromStr<Err = domain::InvalidId>>(text: &str) -> T {
        text.parse().unwrap()
    }

    #[test]
    fn a_reviewer_reaches_what_is_assigned_and_nothing_else() {
        let assignment = |session, run, trace: Option<&str>| Assignment {
            labeling_session_id: id(session),
            mlflow_run_id: Some(id(run)),
            trace_id: trace.map(id),
        };
        let assignments = vec![
            assignment("s1", "r1", Some("t1")),
            assignment("s1", "r1", Some("t2")),
            assignment("s2", "r2", None),
        ];
        let theirs = Visibility(Some(Arc::new(Reach::of(assignments))));
        assert!(theirs.check_trace(&id("t2")).is_ok() && theirs.check_trace(&id("t3")).is_err());
        assert!(theirs.check_run(&id("r2")).is_ok() && theirs.check_run(&id("r3")).is_err());
        assert!(theirs.check_session(&id("s2")).is_ok() && theirs.check_session(&id("t1")).is_err());
        assert!(!theirs.is_everything());
        let all = Visibility::EVERYTHING;
        assert!(all.is_everything() && all.check_trace(&id("t3")).is_ok());
    }
}
