//! Traces found by a filter.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use domain::SearchTraces;
use domain::{BrokenRule, ExperimentId, RunId, TraceId};

use super::document::SpanInclusion;
use super::info::InfoEntry;
use super::list::{ListKind, without_spans};
use crate::Services;
use crate::access::Visibility;
use crate::answer::{Answer, Fingerprint, Origin};
use crate::cache::{Fresh, Freshness, Served};
use crate::error::ServiceError;

/// Which traces to look for, as a user asks.
#[derive(Debug, Clone)]
pub struct TraceSearch {
    /// In these experiments; when there are none, in the run's, else in the configured one.
    pub experiment_ids: Vec<ExperimentId>,
    /// MLflow's trace filter; holds beside `run_id`.
    pub filter: Option<String>,
    /// Only traces logged by or linked to this run.
    pub run_id: Option<RunId>,
    /// How many at most.
    pub max_results: u32,
    /// Where the search before ended.
    pub page_token: Option<String>,
    /// Order, such as `timestamp_ms DESC`.
    pub order_by: Vec<String>,
    /// How much of each trace's spans.
    pub spans: SpanInclusion,
}

/// What a filter that names a run contains, in lower case: MLflow takes keys in any case.
pub(crate) const RUN_WORDS: [&str; 2] = ["run_id", "sourcerun"];

/// Why a reviewer may not search everywhere.
const SEARCH_DENIED: &str =
    "reviewers may search only by the run (run_id) of a labeling session assigned to them";

/// A page of traces: ready without spans, and its infos to be shown with them.
#[derive(Debug)]
pub(crate) struct SearchPage {
    infos: Vec<Arc<InfoEntry>>,
    next_page_token: Option<String>,
    /// The document without spans.
    document: Bytes,
    fingerprint: Fingerprint,
}

impl SearchPage {
    fn new(infos: Vec<Arc<InfoEntry>>, next_page_token: Option<String>) -> Result<Self, ServiceError> {
        let kind = ListKind::Page {
            next_page_token: next_page_token.clone(),
        };
        let document = without_spans(&infos, &kind)?;
        Ok(Self {
            infos,
            next_page_token,
            fingerprint: Fingerprint::of(&document),
            document,
        })
    }

    /// A page of traces with these ids.
    #[cfg(test)]
    pub(crate) fn of(ids: &[&str]) -> Self {
        let info = |id: &&str| Arc::new(InfoEntry::render(super::test_info(id)).unwrap());
        Self::new(ids.iter().map(info).collect(), None).unwrap()
    }

    pub(crate) fn trace_ids(&self) -> impl Iterator<Item = &TraceId> {
        self.infos.iter().map(|info| info.trace_id())
    }

    /// The infos count although the cache holds most of them once more: an evicted one lives on here.
    pub(crate) fn weight(&self) -> usize {
        let infos: usize = self
            .infos
            .iter()
            .map(|info| info.weight() + size_of::<Arc<InfoEntry>>())
            .sum();
        size_of::<Self>() + self.document.len() + infos
    }
}

impl Services {
    /// `{"traces": [Trace], "next_page_token": text or null}`. Without spans, span data is not touched.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when no experiment is named or configured; [`ServiceError::RunNotFound`];
    /// [`ServiceError::AccessDenied`] when a reviewer searches anything but a run they reach;
    /// [`ServiceError::Upstream`] with MLflow's words when it cannot read filter, order or page token. Spans that cannot
    /// be loaded fail only their trace.
    pub async fn search_traces(
        &self,
        search: TraceSearch,
        visibility: &Visibility,
        freshness: Freshness,
    ) -> Result<Answer, ServiceError> {
        if !visibility.is_everything() {
            let run = search
                .run_id
                .as_ref()
                .ok_or(ServiceError::AccessDenied(SEARCH_DENIED))?;
            visibility.check_run(run)?;
        }
        let inclusion = search.spans;
        let search = self.resolved(search, freshness).await?;
        let page = self.search_page(search, freshness).await?;
        let origin = Origin::from(&page);
        let is_visible = |info: &&Arc<InfoEntry>| visibility.has_trace(info.trace_id());
        let visible: Vec<_> = page.value.infos.iter().filter(is_visible).collect();
        if inclusion == SpanInclusion::None && visible.len() == page.value.infos.len() {
            return Ok(Answer::whole(
                vec![page.value.document.clone()],
                page.value.fingerprint,
                origin,
            ));
        }
        let kind = ListKind::Page {
            next_page_token: page.value.next_page_token.clone(),
        };
        let entries = visible.into_iter().map(|info| Ok(Arc::clone(info))).collect();
        self.trace_list(entries, kind, inclusion, freshness, origin)
    }

    /// The infos of the traces that are found.
    pub(crate) async fn search_infos(
        &self,
        search: TraceSearch,
        freshness: Freshness,
    ) -> Result<impl Iterator<Item = Arc<InfoEntry>>, ServiceError> {
        let search = self.resolved(search, freshness).await?;
        let page = self.search_page(search, freshness).await?;
        let infos = page.value.infos.clone();
        Ok(infos.into_iter())
    }

    /// Fills in what the user left out.
    async fn resolved(
        &self,
        search: TraceSearch,
        freshness: Freshness,
    ) -> Result<SearchTraces, ServiceError> {
        let TraceSearch {
            mut experiment_ids,
            filter,
            run_id,
            max_results,
            page_token,
            order_by,
            spans: _,
        } = search;
        if experiment_ids.is_empty() {
            let experiment_id = match (&run_id, &self.experiment_id) {
                (Some(run_id), _) => self.experiment_of_run(run_id, freshness).await?,
                (None, Some(configured)) => configured.clone(),
                (None, None) => {
                    let rule = "is required, because no experiment is configured (MLFLOW_EXPERIMENT_ID)";
                    return Err(BrokenRule::new("experiment_ids", rule).into());
                }
            };
            experiment_ids.push(experiment_id);
        }
        let filter = joined_filter(run_id.as_ref(), filter)?;
        Ok(SearchTraces {
            experiment_ids,
            filter,
            max_results,
            order_by,
            page_token,
        })
    }

    async fn search_page(
        &self,
        search: SearchTraces,
        freshness: Freshness,
    ) -> Result<Served<Arc<SearchPage>>, ServiceError> {
        let (services, key) = (self.clone(), self.keys.search(search.clone()));
        let load = async move {
            let asked_at = Instant::now();
            let found = services.source.search_traces(&search).await?;
            let infos = found
                .traces
                .into_iter()
                .map(|info| services.rendered_info(info, asked_at));
            let page = SearchPage::new(infos.collect::<Result<_, _>>()?, found.next_page_token)?;
            Ok(Fresh {
                value: Arc::new(page),
                fresh_for: services.cache.policy().search_ttl,
            })
        };
        self.cache.get_or_load(key, freshness, load).await
    }
}

/// MLflow joins conditions with AND only. `attributes.run_id` means: logged by the run, or linked to it.
///
/// # Errors
/// When the filter names a run besides: MLflow takes the last of two (seen on 3.17.2), and finds what is in another run.
fn joined_filter(run_id: Option<&RunId>, filter: Option<String>) -> Result<Option<String>, BrokenRule> {
    let filter = filter.filter(|filter| !filter.trim().is_empty());
    let (run_id, filter) = match (run_id, filter) {
        (None, filter) => return Ok(filter),
        (Some(run_id), filter) => (run_id, filter.unwrap_or_default()),
    };
    let lower = filter.to_ascii_lowercase();
    if RUN_WORDS.iter().any(|word| lower.contains(word)) {
        return Err(BrokenRule::new("filter", "must not name a run beside run_id"));
    }
    // An id holds no quote: see `RunId`.
    let of_run = format!("attributes.run_id = '{run_id}'");
    Ok(Some(if filter.is_empty() {
        of_run
    } else {
        format!("{filter} AND {of_run}")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_narrows_the_filter_that_is_given() {
        let run: RunId = "abc".parse().unwrap();
        let joined = |run, filter: Option<&str>| joined_filter(run, filter.map(str::to_owned)).unwrap();
        let of_run = Some("attributes.run_id = 'abc'".to_owned());
        assert_eq!(joined(Some(&run), None), of_run);
        assert_eq!(joined(Some(&run), Some("  ")), of_run);
        let both = "status = 'OK' AND attributes.run_id = 'abc'".to_owned();
        assert_eq!(joined(Some(&run), Some("status = 'OK'")), Some(both));
        assert_eq!(
            joined(None, Some("run_id = 'x'")).as_deref(),
            Some("run_id = 'x'")
        );
        assert_eq!(joined(None, Some("")), None);
    }

    #[test]
    fn a_second_run_beside_the_first_is_refused() {
        let run: RunId = "abc".parse().unwrap();
        for filter in [
            "run_id = 'x'",
            "attributes.RUN_ID='x'",
            "metadata.`mlflow.sourceRun` = 'x'",
        ] {
            assert!(
                joined_filter(Some(&run), Some(filter.to_owned())).is_err(),
                "{filter}"
            );
        }
    }
}
