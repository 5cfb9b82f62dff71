//! Many traces by id: in the order asked for, one failure never failing the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use domain::TraceId;
use futures::stream::{self, StreamExt};

use super::document::{PartError, SpanInclusion};
use super::info::{InfoEntry, InfoList};
use super::list::{ListEntry, ListKind};
use crate::Services;
use crate::access::{TRACE_DENIED, Visibility};
use crate::answer::{Answer, Origin};
use crate::cache::{Fresh, Freshness, Served};
use crate::error::{ErrorCode, ServiceError};

/// Infos asked for in one call. The server builds them one after the other, so that several calls of this size use
/// all its workers.
const INFOS_PER_CALL: usize = 100;

/// Which traces, as a user asks.
#[derive(Debug, Clone)]
pub struct TraceBatch {
    /// The traces, in the order they are answered in. An id may stand there twice.
    pub trace_ids: Vec<TraceId>,
    /// How much of each trace's spans.
    pub spans: SpanInclusion,
}

pub(crate) type LoadedInfo = Result<Served<Arc<InfoEntry>>, ServiceError>;

impl Services {
    /// `{"traces": [Trace or null], "errors": {trace_id: {"code", "message"}}}`, traces in request order.
    ///
    /// # Errors
    /// None for a trace that fails, or that the user does not reach: it is `null` and its reason is among the errors.
    pub async fn get_traces(
        &self,
        batch: TraceBatch,
        visibility: &Visibility,
        freshness: Freshness,
    ) -> Result<Answer, ServiceError> {
        let is_visible = |id: &&TraceId| visibility.has_trace(id);
        let visible: Vec<_> = batch.trace_ids.iter().filter(is_visible).cloned().collect();
        let infos = self.many_infos(&visible, freshness).await;
        let of_info = |info: &LoadedInfo| info.as_ref().map_or(Origin::ASKED, Origin::from);
        let origin = infos
            .values()
            .fold(Origin::OWN, |all, info| all.and(of_info(info)));
        let entry = |id: TraceId| -> ListEntry {
            match infos.get(&id) {
                Some(Ok(info)) => Ok(Arc::clone(&info.value)),
                Some(Err(error)) => Err((id, PartError::from(error))),
                None => Err((id, PartError::from(&ServiceError::AccessDenied(TRACE_DENIED)))),
            }
        };
        let entries = batch.trace_ids.into_iter().map(entry).collect();
        self.trace_list(entries, ListKind::Batch, batch.spans, freshness, origin)
    }

    /// The infos of all these traces: from the cache, the rest in as few calls as the server allows.
    pub(crate) async fn many_infos(
        &self,
        ids: &[TraceId],
        freshness: Freshness,
    ) -> HashMap<TraceId, LoadedInfo> {
        let mut infos: HashMap<TraceId, LoadedInfo> = HashMap::with_capacity(ids.len());
        let mut wanted = Vec::new();
        for id in ids {
            if infos.contains_key(id) {
                continue;
            }
            let kept = match freshness {
                Freshness::Cached => self.cache.fresh_or_renewed(&self.keys.info(id)).await,
                Freshness::Bypass => None,
            };
            if kept.is_none() {
                wanted.push(id.clone());
            }
            // What stays so is a trace that no answer below speaks of.
            infos.insert(
                id.clone(),
                kept.ok_or_else(|| ServiceError::TraceNotFound(id.clone())),
            );
        }
        let calls = wanted
            .chunks(INFOS_PER_CALL)
            .map(|ids| self.some_infos(ids.into(), freshness));
        let mut answers = stream::iter(calls.collect::<Vec<_>>()).buffer_unordered(self.parallel_traces);
        while let Some(answer) = answers.next().await {
            infos.extend(answer);
        }
        if freshness == Freshness::Cached {
            for (id, info) in &mut infos {
                let is_trouble = info
                    .as_ref()
                    .err()
                    .is_some_and(ServiceError::may_be_covered_by_stale);
                if let Some(stale) = is_trouble
                    .then(|| self.cache.stale(&self.keys.info(id)))
                    .flatten()
                {
                    *info = Ok(stale);
                }
            }
        }
        infos
    }

    async fn some_infos(&self, ids: Arc<[TraceId]>, freshness: Freshness) -> Vec<(TraceId, LoadedInfo)> {
        if ids.len() > 1 {
            match self.infos_in_one_call(Arc::clone(&ids), freshness).await {
                Ok(Some(infos)) => return infos,
                Ok(None) => {}
                // A server that fails on one of them is asked for each alone; one that is away is not asked again.
                Err(error) if error.code() == ErrorCode::UpstreamError => {}
                Err(error) => return ids.iter().map(|id| (id.clone(), Err(error.clone()))).collect(),
            }
        }
        let single = |id: TraceId| async move {
            let info = self.trace_info(&id, freshness).await;
            (id, info)
        };
        stream::iter(ids.to_vec())
            .map(single)
            .buffer_unordered(self.parallel_traces)
            .collect()
            .await
    }

    /// `None` where the server has no such call. Traces it does not know are left out.
    async fn infos_in_one_call(
        &self,
        ids: Arc<[TraceId]>,
        freshness: Freshness,
    ) -> Result<Option<Vec<(TraceId, LoadedInfo)>>, ServiceError> {
        let (services, key) = (self.clone(), self.keys.infos(Arc::clone(&ids)));
        let load = async move {
            let asked_at = Instant::now();
            let infos = match services.source.get_trace_infos(&ids).await? {
                Some(infos) => Some(
                    infos
                        .into_iter()
                        .map(|info| services.rendered_info(info, asked_at))
                        .collect::<Result<_, _>>()?,
                ),
                None => None,
            };
            // The list is shared while it is under way; kept are its infos, each under its own key.
            Ok(Fresh {
                value: Arc::new(InfoList(infos)),
                fresh_for: std::time::Duration::ZERO,
            })
        };
        let Served {
            value: list,
            status,
            age,
        } = self.cache.get_or_load(key, freshness, load).await?;
        let served = |info: &Arc<InfoEntry>| {
            (
                info.trace_id().clone(),
                Ok(Served {
                    value: Arc::clone(info),
                    status,
                    age,
                }),
            )
        };
        Ok(list.0.as_ref().map(|infos| infos.iter().map(served).collect()))
    }
}
