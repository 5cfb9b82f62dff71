//! Traces linked to runs and sessions.

use std::collections::HashSet;

use domain::{BrokenRule, Item, LabelingSessionId, RunId, TraceId};

use super::pages::all_items;
use crate::Services;
use crate::cache::{Freshness, Thing};
use crate::error::ServiceError;

/// What became of linking traces to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkedToSession {
    /// Traces that are linked now, whether they were before or not.
    pub linked_traces: usize,
    /// Items that were made.
    pub items_created: u64,
}

impl Services {
    /// Links traces to a session's run and makes an item for each, once: a second time nothing is made.
    ///
    /// First all links, then all items in one transaction. What a crash leaves between the two is mended by doing it
    /// again.
    ///
    /// # Errors
    /// [`ServiceError::SessionNotFound`]; [`ServiceError::TracesNotFound`], and then nothing is linked;
    /// [`ServiceError::Invalid`] when the run is not the session's.
    pub async fn link_traces_to_session(
        &self,
        session: LabelingSessionId,
        run: Option<RunId>,
        traces: Vec<TraceId>,
        by: String,
    ) -> Result<LinkedToSession, ServiceError> {
        let (app, found) = self.session_of_app(&session).await?;
        let own = found.mlflow_run_id.ok_or_else(|| {
            ServiceError::Conflict("the labeling session has no run to link traces to".into())
        })?;
        if run.is_some_and(|run| run != own) {
            return Err(BrokenRule::new("mlflow_run_id", format!("must be the session's run, {own}")).into());
        }
        let traces = different(traces);
        self.check_traces(&traces).await?;
        let services = self.clone();
        self.write(vec![Thing::AnyLink, Thing::Assignments], async move {
            let _turn = services.linking.wait(&Some(&own)).await;
            services.sink.link_traces(&own, &traces).await?;
            let items_created = services.reviews.add_items(&app, &session, &traces, &by).await?;
            Ok(LinkedToSession {
                linked_traces: traces.len(),
                items_created,
            })
        })
        .await
    }

    /// Makes items of a session without linking their traces to its run; the items of these traces, new or not.
    ///
    /// # Errors
    /// As [`Services::link_traces_to_session`].
    pub async fn create_items(
        &self,
        session: LabelingSessionId,
        traces: Vec<TraceId>,
        by: String,
    ) -> Result<Vec<Item>, ServiceError> {
        let (app, found) = self.session_of_app(&session).await?;
        let traces = different(traces);
        self.check_traces(&traces).await?;
        let services = self.clone();
        self.write(vec![Thing::Assignments], async move {
            let _turn = services.linking.wait(&found.mlflow_run_id.as_ref()).await;
            services.reviews.add_items(&app, &session, &traces, &by).await?;
            let wanted: HashSet<_> = traces.iter().collect();
            let of_traces = |item: Item| {
                let is_wanted = |id| wanted.contains(id);
                let is_of_one = item.source.trace_id.as_ref().is_some_and(is_wanted);
                is_of_one.then_some(item)
            };
            all_items(&*services.reviews, &app, &session, of_traces).await
        })
        .await
    }

    /// Links traces to a run; how many are linked now.
    ///
    /// # Errors
    /// [`ServiceError::RunNotFound`]; [`ServiceError::TracesNotFound`], and then nothing is linked.
    pub async fn link_traces_to_run(&self, run: RunId, traces: Vec<TraceId>) -> Result<usize, ServiceError> {
        let traces = different(traces);
        let (is_run, are_traces) =
            tokio::join!(self.get_run(&run, Freshness::Cached), self.check_traces(&traces));
        is_run?;
        are_traces?;
        let services = self.clone();
        self.write(vec![Thing::AnyLink], async move {
            let _turn = services.linking.wait(&Some(&run)).await;
            services.sink.link_traces(&run, &traces).await?;
            Ok(traces.len())
        })
        .await
    }

    /// MLflow links what there is not without a word.
    async fn check_traces(&self, ids: &[TraceId]) -> Result<(), ServiceError> {
        let mut infos = self.many_infos(ids, Freshness::Cached).await;
        let mut missing = Vec::new();
        for id in ids {
            match infos.remove(id) {
                Some(Ok(_)) => {}
                Some(Err(ServiceError::TraceNotFound(_))) | None => missing.push(id.clone()),
                Some(Err(error)) => return Err(error),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(ServiceError::TracesNotFound(missing.into()))
    }
}

/// Each once, in the order of their first place.
fn different(traces: Vec<TraceId>) -> Vec<TraceId> {
    let mut seen = HashSet::new();
    traces.into_iter().filter(|id| seen.insert(id.clone())).collect()
}
