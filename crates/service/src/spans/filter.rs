//! Which spans of a trace are wanted, and how much of each.

use bytes::Bytes;
use domain::SpanId;

use super::set::view;

/// How much of a span is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpanDetail {
    /// The whole span, untouched.
    #[default]
    Full,
    /// Name, ids, times, status, small attributes and sizes.
    Summary,
}

/// Which spans of a trace are wanted, and how much of each.
#[derive(Debug, Clone, Default)]
pub struct SpanQuery {
    /// How much of each.
    pub detail: SpanDetail,
    /// Only spans of this type, such as `TOOL`.
    pub span_type: Option<String>,
    /// Only direct children of this span.
    pub parent_id: Option<SpanId>,
    /// Only spans without a parent.
    pub root_only: bool,
    /// Spans to leave out at the beginning, after the filters.
    pub offset: usize,
    /// Spans at most.
    pub limit: Option<usize>,
}

impl SpanQuery {
    /// Whether this is simply everything.
    pub(crate) fn is_everything(&self) -> bool {
        self.detail == SpanDetail::Full && !self.has_filter() && self.offset == 0 && self.limit.is_none()
    }

    fn has_filter(&self) -> bool {
        self.span_type.is_some() || self.parent_id.is_some() || self.root_only
    }
}

/// Applies a query to spans one after the other.
#[derive(Debug)]
pub(crate) struct SpanSieve {
    query: SpanQuery,
    matched: usize,
}

impl SpanSieve {
    pub(crate) fn new(query: SpanQuery) -> Self {
        Self { query, matched: 0 }
    }

    /// Whether all spans are wanted as they are.
    pub(crate) fn takes_everything(&self) -> bool {
        self.query.is_everything()
    }

    /// Whether no further span can be wanted.
    pub(crate) fn is_done(&self) -> bool {
        self.query
            .limit
            .is_some_and(|limit| self.matched >= self.query.offset.saturating_add(limit))
    }

    /// The span as it is wanted; `None` when it is not.
    pub(crate) fn sift(&mut self, span: Bytes) -> Option<Bytes> {
        if self.is_done() {
            return None;
        }
        let query = &self.query;
        if query.has_filter() && !matches(query, &span) {
            return None;
        }
        self.matched += 1;
        if self.matched <= query.offset {
            return None;
        }
        match query.detail {
            SpanDetail::Full => Some(span),
            SpanDetail::Summary => Some(summary(&span)),
        }
    }
}

fn matches(query: &SpanQuery, span: &[u8]) -> bool {
    let Some(view) = view(span) else { return false };
    (!query.root_only || view.is_root())
        && query
            .parent_id
            .is_none_or(|wanted| view.parent_id() == Some(wanted))
        && query
            .span_type
            .as_ref()
            .is_none_or(|wanted| view.span_type().as_ref() == Some(wanted))
}

/// A span's summary. A span that is not of the known shapes says so and gives its size, so that none is lost.
pub(crate) fn summary(span: &[u8]) -> Bytes {
    let summary = view(span).and_then(|view| serde_json::to_vec(&view.summary(span.len())).ok());
    let unknown = || format!(r#"{{"name":null,"sizes":{{"total_bytes":{}}}}}"#, span.len()).into_bytes();
    summary.unwrap_or_else(unknown).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn span(index: u64, parent: Option<u64>, kind: &str) -> Bytes {
        let parent = parent.map_or("null".to_owned(), |parent| format!("\"{parent:016x}\""));
        format!(
            r#"{{"span_id":"{index:016x}","parent_span_id":{parent},"attributes":{{"mlflow.spanType":"\"{kind}\""}}}}"#
        )
        .into()
    }

    fn ids(query: SpanQuery, spans: &[Bytes]) -> Vec<SpanId> {
        let mut sieve = SpanSieve::new(query);
        spans
            .iter()
            .filter_map(|s| sieve.sift(s.clone()))
            .filter_map(|s| view(&s)?.id())
            .collect()
    }

    fn id(index: u64) -> SpanId {
        format!("{index:016x}").parse().unwrap()
    }

    #[test]
    fn filters_hold_together() {
        let spans = [
            span(1, None, "AGENT"),
            span(2, Some(1), "TOOL"),
            span(3, Some(1), "LLM"),
            span(4, Some(2), "TOOL"),
        ];
        let tool = || Some("TOOL".to_owned());
        assert_eq!(
            ids(
                SpanQuery {
                    span_type: tool(),
                    ..SpanQuery::default()
                },
                &spans
            ),
            [id(2), id(4)]
        );
        assert_eq!(
            ids(
                SpanQuery {
                    root_only: true,
                    ..SpanQuery::default()
                },
                &spans
            ),
            [id(1)]
        );
        let children = SpanQuery {
            parent_id: Some(id(1)),
            span_type: tool(),
            ..SpanQuery::default()
        };
        assert_eq!(ids(children, &spans), [id(2)]);
    }

    #[test]
    fn a_span_of_an_unknown_shape_is_summarised_by_its_size() {
        assert_eq!(
            summary(br#"{"attributes":3}"#),
            r#"{"name":null,"sizes":{"total_bytes":16}}"#
        );
    }

    proptest! {
        #[test]
        fn pages_put_together_are_everything(count in 0_u64..30, limit in 1_usize..10) {
            let spans: Vec<_> = (0..count).map(|index| span(index, None, "TOOL")).collect();
            let page = |offset| SpanQuery { offset, limit: Some(limit), ..SpanQuery::default() };
            let pages: Vec<_> = (0..spans.len().max(1)).step_by(limit).flat_map(|at| ids(page(at), &spans)).collect();
            prop_assert_eq!(pages, ids(SpanQuery::default(), &spans));
        }

        #[test]
        fn huge_bounds_do_not_overflow(offset: usize, limit: usize) {
            let query = SpanQuery { offset, limit: Some(limit), ..SpanQuery::default() };
            prop_assert!(ids(query, &[span(1, None, "X")]).len() <= 1);
        }
    }
}
