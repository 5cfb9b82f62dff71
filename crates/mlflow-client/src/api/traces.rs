//! Traces without their spans: search and info.

use std::collections::HashSet;

use domain::{SearchTraces, TraceId, TraceInfo, TracePage};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::capabilities::Feature;
use crate::client::MlflowClient;
use crate::error::ClientError;
use crate::transport::Call;
use crate::wire::trace::{TraceInfoV2, TraceInfoV3};

/// The most traces MLflow gives on one page.
const MAX_PAGE: u32 = 500;

#[derive(Serialize)]
struct SearchBody<'a> {
    locations: Vec<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<&'a str>,
    max_results: u32,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    order_by: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    page_token: Option<&'a str>,
}

#[derive(Deserialize)]
struct SearchAnswer<T> {
    // No hits: `{}`.
    #[serde(default = "Vec::new")]
    traces: Vec<T>,
    #[serde(default)]
    next_page_token: Option<String>,
}

impl<T: Into<TraceInfo>> From<SearchAnswer<T>> for TracePage {
    fn from(answer: SearchAnswer<T>) -> Self {
        Self {
            traces: answer.traces.into_iter().map(Into::into).collect(),
            next_page_token: answer.next_page_token.filter(|token| !token.is_empty()),
        }
    }
}

#[derive(Deserialize)]
struct InfoAnswer {
    trace: InfoAnswerTrace,
}

#[derive(Deserialize)]
struct InfoAnswerTrace {
    trace_info: TraceInfoV3,
}

#[derive(Deserialize)]
struct InfoAnswerV2 {
    trace_info: TraceInfoV2,
}

#[derive(Deserialize)]
struct InfosAnswer {
    #[serde(default)]
    trace_infos: Vec<TraceInfoV3>,
}

impl MlflowClient {
    /// Traces of some experiments, without spans. MLflow pages by offset: while traces arrive, pages shift.
    ///
    /// # Errors
    /// [`ClientError::Rejected`] when the server cannot read filter, order or page token. An unknown experiment is no
    /// error to MLflow: nothing is found there.
    pub async fn search_traces(&self, search: &SearchTraces) -> Result<TracePage, ClientError> {
        let mut found = TracePage {
            traces: Vec::new(),
            next_page_token: search.page_token.clone(),
        };
        let mut seen = HashSet::new();
        loop {
            let got = u32::try_from(found.traces.len()).unwrap_or(u32::MAX);
            let wanted = search.max_results.saturating_sub(got).min(MAX_PAGE);
            let page = self
                .search_page(search, wanted, found.next_page_token.as_deref())
                .await?;
            let is_empty = page.traces.is_empty();
            // While traces arrive, pages shift, and the end of one comes again at the beginning of the next.
            found.traces.extend(
                page.traces
                    .into_iter()
                    .filter(|trace| seen.insert(trace.trace_id.clone())),
            );
            found.next_page_token = page.next_page_token;
            let is_full = found.traces.len() >= search.max_results as usize;
            // An empty page with a token would go on for ever.
            if is_full || is_empty || found.next_page_token.is_none() {
                return Ok(found);
            }
        }
    }

    async fn search_page(
        &self,
        search: &SearchTraces,
        max_results: u32,
        token: Option<&str>,
    ) -> Result<TracePage, ClientError> {
        let capabilities = self.capabilities().await;
        if capabilities.has(Feature::TracesV3) {
            match self.search_page_v3(search, max_results, token).await {
                Err(ClientError::RouteAbsent { .. }) if capabilities.believes_absent(Feature::TracesV3) => {}
                answer => return answer,
            }
        }
        self.search_page_v2(search, max_results, token).await
    }

    async fn search_page_v3(
        &self,
        search: &SearchTraces,
        max_results: u32,
        page_token: Option<&str>,
    ) -> Result<TracePage, ClientError> {
        let location = |id| json!({"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": id}});
        let body = SearchBody {
            locations: search.experiment_ids.iter().map(location).collect(),
            filter: search.filter.as_deref(),
            max_results,
            order_by: &search.order_by,
            page_token,
        };
        let call = Call::read_by_post("traces.search", "/api/3.0/mlflow/traces/search", &body)?;
        Ok(self
            .transport()
            .json::<SearchAnswer<TraceInfoV3>>(&call)
            .await?
            .into())
    }

    async fn search_page_v2(
        &self,
        search: &SearchTraces,
        max_results: u32,
        token: Option<&str>,
    ) -> Result<TracePage, ClientError> {
        let mut call = Call::get("traces.search_v2", "/api/2.0/mlflow/traces")
            .query("max_results", max_results.to_string());
        for id in &search.experiment_ids {
            call = call.query("experiment_ids", id.as_str());
        }
        for order in &search.order_by {
            call = call.query("order_by", order);
        }
        for (key, value) in [("filter", search.filter.as_deref()), ("page_token", token)] {
            if let Some(value) = value {
                call = call.query(key, value);
            }
        }
        Ok(self
            .transport()
            .json::<SearchAnswer<TraceInfoV2>>(&call)
            .await?
            .into())
    }

    /// One trace, without spans.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when the server does not know it.
    pub async fn get_trace_info(&self, id: &TraceId) -> Result<TraceInfo, ClientError> {
        let capabilities = self.capabilities().await;
        if capabilities.has(Feature::TracesV3) {
            let call = Call::get("traces.info", format!("/api/3.0/mlflow/traces/{id}"));
            match self.transport().json::<InfoAnswer>(&call).await {
                Err(ClientError::RouteAbsent { .. }) if capabilities.believes_absent(Feature::TracesV3) => {}
                answer => return asked_for(&call, id, answer?.trace.trace_info.into()),
            }
        }
        let call = Call::get("traces.info_v2", format!("/api/2.0/mlflow/traces/{id}/info"));
        let answer: InfoAnswerV2 = self.transport().json(&call).await?;
        asked_for(&call, id, answer.trace_info.into())
    }

    /// Many traces without spans in one call, or `None` where the server cannot do that. Traces it does not know are
    /// left out; the others come in the order asked for.
    ///
    /// # Errors
    /// As any call.
    pub async fn get_trace_infos(&self, ids: &[TraceId]) -> Result<Option<Vec<TraceInfo>>, ClientError> {
        let capabilities = self.capabilities().await;
        if !capabilities.has(Feature::BatchGetInfos) {
            return Ok(None);
        }
        let path = "/api/3.0/mlflow/traces/batchGetInfos";
        let call = Call::read_by_post("traces.batch_infos", path, &json!({ "trace_ids": ids }))?;
        match self.transport().json::<InfosAnswer>(&call).await {
            Err(ClientError::RouteAbsent { .. }) if capabilities.believes_absent(Feature::BatchGetInfos) => {
                Ok(None)
            }
            answer => {
                let infos: Vec<TraceInfo> = answer?.trace_infos.into_iter().map(Into::into).collect();
                let wanted: HashSet<_> = ids.iter().collect();
                if infos.iter().all(|info| wanted.contains(&info.trace_id)) {
                    Ok(Some(infos))
                } else {
                    Err(call.unreadable(ANOTHER_TRACE))
                }
            }
        }
    }
}

const ANOTHER_TRACE: &str = "it is about a trace that was not asked for";

/// What was asked for one trace must not be taken from the answer about another: it would be shown, and kept, as that one.
fn asked_for(call: &Call, id: &TraceId, info: TraceInfo) -> Result<TraceInfo, ClientError> {
    if info.trace_id == *id {
        Ok(info)
    } else {
        Err(call.unreadable(ANOTHER_TRACE))
    }
}
