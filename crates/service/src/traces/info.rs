//! Trace infos, rendered once.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use analysis::facts::TraceFacts;
use bytes::Bytes;
use domain::{TraceId, TraceInfo, TraceState};
use serde::Deserialize;

use crate::Services;
use crate::answer::Fingerprint;
use crate::cache::{Fresh, Freshness, Served};
use crate::error::ServiceError;
use crate::preview;
use crate::records::to_json;
use crate::spans::SpanSet;

/// A trace info as the API writes it, and the little that decisions need of it.
#[derive(Debug)]
pub(crate) struct InfoEntry {
    trace_id: TraceId,
    state: TraceState,
    expected_span_count: Option<usize>,
    json: Bytes,
    fingerprint: Fingerprint,
    /// Kept only where a preview is missing that spans may give.
    unpreviewed: Option<Box<Unpreviewed>>,
}

/// An info without some preview, and the same with previews from the spans of this fingerprint.
#[derive(Debug)]
struct Unpreviewed {
    info: TraceInfo,
    with_previews: OnceLock<(Fingerprint, Bytes)>,
}

/// Infos that came in one call; `None` when the server has no such call.
#[derive(Debug)]
pub(crate) struct InfoList(pub(super) Option<Vec<Arc<InfoEntry>>>);

impl InfoList {
    pub(crate) fn weight(&self) -> usize {
        self.0.iter().flatten().map(|info| info.weight()).sum()
    }
}

impl InfoEntry {
    pub(crate) fn render(mut info: TraceInfo) -> Result<Self, ServiceError> {
        preview::from_metadata(&mut info);
        let json = to_json(&info)?;
        let is_missing = info.request_preview.is_none() || info.response_preview.is_none();
        Ok(Self {
            trace_id: info.trace_id.clone(),
            state: info.state,
            expected_span_count: info.expected_span_count(),
            fingerprint: Fingerprint::of(&json),
            json,
            unpreviewed: is_missing.then(|| {
                Box::new(Unpreviewed {
                    info,
                    with_previews: OnceLock::new(),
                })
            }),
        })
    }

    pub(crate) fn trace_id(&self) -> &TraceId {
        &self.trace_id
    }

    pub(crate) fn state(&self) -> TraceState {
        self.state
    }

    pub(crate) fn expected_span_count(&self) -> Option<usize> {
        self.expected_span_count
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub(crate) fn json(&self) -> Bytes {
        self.json.clone()
    }

    /// The trace's request and response in short, as far as they are known without its spans.
    pub(crate) fn previews(&self) -> (Option<String>, Option<String>) {
        #[derive(Deserialize)]
        struct Previews {
            request_preview: Option<String>,
            response_preview: Option<String>,
        }
        // Read from our own text: keeping them apart would cost every entry twice their room.
        let previews: Option<Previews> = serde_json::from_slice(&self.json).ok();
        previews.map_or((None, None), |previews| {
            (previews.request_preview, previews.response_preview)
        })
    }

    /// What an analysis looks at of it, read from our own text.
    pub(crate) fn facts(&self) -> Result<TraceFacts, ServiceError> {
        TraceFacts::parse(&self.json).map_err(|error| {
            tracing::error!(%error, trace_id = %self.trace_id, "an info that we wrote cannot be read");
            ServiceError::Interrupted
        })
    }

    /// The info with previews from the trace's spans where it has none of its own.
    pub(crate) fn json_with_previews_of(&self, spans: &SpanSet) -> Bytes {
        let Some(unpreviewed) = &self.unpreviewed else {
            return self.json();
        };
        let derive = || {
            let mut info = unpreviewed.info.clone();
            preview::from_spans(&mut info, spans.views());
            to_json(&info).unwrap_or_else(|_| self.json())
        };
        let (of, json) = unpreviewed
            .with_previews
            .get_or_init(|| (spans.fingerprint(), derive()));
        if *of == spans.fingerprint() {
            json.clone()
        } else {
            derive()
        }
    }

    pub(crate) fn weight(&self) -> usize {
        // An unrendered info takes about twice the room of its text; beside it stands a second text.
        let unpreviewed = if self.unpreviewed.is_some() {
            3 * self.json.len()
        } else {
            0
        };
        size_of::<Self>() + self.json.len() + unpreviewed
    }
}

impl Services {
    /// One trace without spans.
    pub(crate) async fn trace_info(
        &self,
        id: &TraceId,
        freshness: Freshness,
    ) -> Result<Served<Arc<InfoEntry>>, ServiceError> {
        let (services, wanted) = (self.clone(), id.clone());
        let load = async move {
            let info = services.source.get_trace_info(&wanted).await;
            let info = info.map_err(|error| ServiceError::from(error).about_trace(&wanted))?;
            let fresh_for = services.info_lasts(info.state);
            Ok(Fresh {
                value: Arc::new(InfoEntry::render(info)?),
                fresh_for,
            })
        };
        self.cache.get_or_load(self.keys.info(id), freshness, load).await
    }

    fn info_lasts(&self, state: TraceState) -> Duration {
        self.cache.seldom(self.cache.policy().info(state))
    }

    /// Renders and keeps an info that came with others, so that opening the trace next needs no call.
    pub(super) fn rendered_info(
        &self,
        info: TraceInfo,
        asked_at: Instant,
    ) -> Result<Arc<InfoEntry>, ServiceError> {
        let entry = Arc::new(InfoEntry::render(info)?);
        let fresh = Fresh {
            value: Arc::clone(&entry),
            fresh_for: self.info_lasts(entry.state),
        };
        self.cache.keep(&self.keys.info(&entry.trace_id), fresh, asked_at);
        Ok(entry)
    }
}

#[cfg(test)]
pub(crate) fn test_info(id: &str) -> TraceInfo {
    TraceInfo {
        trace_id: id.parse().unwrap(),
        client_request_id: None,
        trace_location: domain::TraceLocation::experiment("1".parse().unwrap()),
        request_time: domain::Timestamp::from_unix_ms(0),
        execution_duration: None,
        execution_duration_ms: None,
        state: TraceState::Ok,
        trace_metadata: std::collections::BTreeMap::default(),
        tags: std::collections::BTreeMap::default(),
        assessments: Vec::new(),
        request_preview: None,
        response_preview: None,
    }
}
