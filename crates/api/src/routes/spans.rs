//! Spans of one trace.

use axum::extract::State;
use axum::response::Response;
use domain::{SpanId, TraceId};
use http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use service::{SpanDetail, SpanQuery};
use utoipa::{IntoParams, ToSchema};

use super::problems::{FormProblems, QueryProblems, ReadProblems, UpstreamProblems};
use crate::extract::{Bounded, Conditions, Flag, IfChanged, PastTheCache, PathId, Query, Served};
use crate::problem::Problem;
use crate::respond;
use crate::schema::{Span, SpanEvent, SpanList};
use crate::state::AppState;
use crate::stream::{StreamForm, stream_spans as stream};

/// How much of each span.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Whole spans.
    #[default]
    Full,
    /// Without inputs, outputs and large attributes.
    Summary,
}

/// Which spans, and how much of each.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SpanParams {
    /// `full` (the default) or `summary`: without inputs, outputs and large attributes.
    #[param(inline, example = "summary")]
    view: Option<View>,
    /// Only spans of this type.
    #[param(example = "TOOL")]
    span_type: Option<String>,
    /// Only direct children of this span: 8 bytes in base64 or 16 hex digits.
    #[param(example = "DFx/0KajpFA=")]
    parent_id: Option<String>,
    /// Only spans without a parent.
    #[param(value_type = Option<bool>)]
    root_only: Option<Flag>,
    /// Spans to leave out at the beginning, after the filters.
    #[param(value_type = Option<u32>, example = 0)]
    offset: Option<Bounded<0, { i32::MAX.cast_unsigned() }>>,
    /// Spans at most.
    #[param(value_type = Option<u32>, minimum = 1, example = 100)]
    limit: Option<Bounded<1, { i32::MAX.cast_unsigned() }>>,
}

impl TryFrom<SpanParams> for SpanQuery {
    type Error = Problem;

    fn try_from(params: SpanParams) -> Result<Self, Problem> {
        let parent_id = params.parent_id.map(|text| text.parse::<SpanId>()).transpose();
        Ok(Self {
            detail: match params.view.unwrap_or_default() {
                View::Full => SpanDetail::Full,
                View::Summary => SpanDetail::Summary,
            },
            span_type: params.span_type,
            parent_id: parent_id.map_err(|invalid| {
                Problem::invalid_field("parent_id", format!("must be {}", invalid.rule))
            })?,
            root_only: params.root_only.is_some_and(|Flag(is)| is),
            offset: params.offset.map_or(0, |Bounded(offset)| offset as usize),
            limit: params.limit.map(|Bounded(limit)| limit as usize),
        })
    }
}

/// A trace's spans, sent while they arrive.
///
/// `Accept` chooses the form: `application/x-ndjson` (the default; one span a line), `application/json`
/// (`{"spans":[…]}`) or `text/event-stream` (an event `span` for each, then `end`). When MLflow fails half-way, the
/// last line is `{"error":{"code","message"}}`, the last event is `error`, and a JSON answer is broken off.
#[utoipa::path(
    get,
    path = "/{trace_id}/spans",
    tag = "spans",
    params(("trace_id" = String, Path, description = "The trace's id", example = "tr-6513270e269e0d37f2a74de452e6b438"), SpanParams, IfChanged),
    responses(
        (status = 200, description = "The spans", content((Span = "application/x-ndjson"), (SpanList = "application/json"), (SpanEvent = "text/event-stream"))),
        ReadProblems, QueryProblems, FormProblems, UpstreamProblems
    )
)]
pub async fn get_spans(
    PathId(id): PathId<TraceId>,
    Query(params): Query<SpanParams>,
    conditions: Conditions,
    headers: HeaderMap,
    Served(services): Served,
    State(state): State<AppState>,
) -> Result<Response, Problem> {
    let form = StreamForm::accepted(&headers)?;
    let query = params.try_into()?;
    let mut response = if form == StreamForm::Json {
        let answer = services.list_spans(&id, query, conditions.freshness).await?;
        respond::json(answer, &conditions, &services, &state).await
    } else {
        let (spans, origin) = services.stream_spans(&id, query, conditions.freshness).await?;
        stream(spans, origin, form, &state)
    };
    response
        .headers_mut()
        .append(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// A trace's spans, one a line, sent while they arrive. When MLflow fails half-way, the last line is
/// `{"error":{"code","message"}}`.
#[utoipa::path(
    get,
    path = "/{trace_id}/spans/stream",
    tag = "spans",
    params(("trace_id" = String, Path, description = "The trace's id", example = "tr-6513270e269e0d37f2a74de452e6b438"), SpanParams, PastTheCache),
    responses(
        (status = 200, description = "The spans", content_type = "application/x-ndjson", body = Span),
        ReadProblems, QueryProblems, UpstreamProblems
    )
)]
pub async fn stream_spans(
    PathId(id): PathId<TraceId>,
    Query(params): Query<SpanParams>,
    conditions: Conditions,
    Served(services): Served,
    State(state): State<AppState>,
) -> Result<Response, Problem> {
    let (spans, origin) = services
        .stream_spans(&id, params.try_into()?, conditions.freshness)
        .await?;
    Ok(stream(spans, origin, StreamForm::Ndjson, &state))
}

/// One span, whole.
#[utoipa::path(
    get,
    path = "/{trace_id}/spans/{span_id}",
    tag = "spans",
    params(
        ("trace_id" = String, Path, description = "The trace's id", example = "tr-6513270e269e0d37f2a74de452e6b438"),
        ("span_id" = String, Path, description = "The span's id: 16 hex digits, or 8 bytes in base64 with `/` as `%2F` or `_`", example = "0c5c7fd0a6a3a450"),
        IfChanged
    ),
    responses((status = 200, description = "The span", body = Span), ReadProblems, UpstreamProblems)
)]
pub async fn get_span(
    PathId(trace_id): PathId<TraceId>,
    PathId(span_id): PathId<SpanId>,
    conditions: Conditions,
    Served(services): Served,
    State(state): State<AppState>,
) -> Result<Response, Problem> {
    let answer = services
        .get_span(&trace_id, span_id, conditions.freshness)
        .await?;
    Ok(respond::json(answer, &conditions, &services, &state).await)
}
