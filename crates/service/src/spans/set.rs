//! A trace's spans, all there: one contiguous text and where each span lies in it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

use bytes::{BufMut, Bytes, BytesMut};
use domain::SpanId;
use domain::span::SpanView;

use crate::answer::Fingerprint;

const PREFIX: &[u8] = br#"{"spans":["#;
const SUFFIX: &[u8] = b"]}";

/// A trace's spans, all there.
#[derive(Debug)]
pub(crate) struct SpanSet {
    /// `{"spans":[…]}`, the spans untouched.
    document: Bytes,
    places: Box<[Range<u32>]>,
    fingerprint: Fingerprint,
    /// Built when first asked; for a trace with duplicate ids the first span wins.
    by_id: OnceLock<HashMap<SpanId, u32>>,
}

impl SpanSet {
    /// Joins spans to one text; at most 4 GiB together, which the limit on shared spans is far below.
    pub(crate) fn join(spans: &[Bytes]) -> Self {
        let length: usize = spans.iter().map(|span| span.len() + 1).sum();
        let mut document = BytesMut::with_capacity(PREFIX.len() + length + SUFFIX.len());
        document.put_slice(PREFIX);
        let mut places = Vec::with_capacity(spans.len());
        for (index, span) in spans.iter().enumerate() {
            if index > 0 {
                document.put_u8(b',');
            }
            let start = place(document.len());
            document.put_slice(span);
            places.push(start..place(document.len()));
        }
        document.put_slice(SUFFIX);
        let document = document.freeze();
        let fingerprint = Fingerprint::of(&document);
        Self {
            document,
            places: places.into(),
            fingerprint,
            by_id: OnceLock::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// `{"spans":[…]}`.
    pub(crate) fn document(&self) -> Bytes {
        self.document.clone()
    }

    /// `[…]`.
    pub(crate) fn list(&self) -> Bytes {
        self.document.slice(PREFIX.len() - 1..self.document.len() - 1)
    }

    pub(crate) fn get(&self, index: usize) -> Option<Bytes> {
        let place = self.places.get(index)?;
        Some(self.document.slice(place.start as usize..place.end as usize))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Bytes> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// The spans as this product reads them; a span that is not of the known shapes is left out.
    pub(crate) fn views(&self) -> impl Iterator<Item = SpanView<'_>> {
        let text = |place: &Range<u32>| &self.document[place.start as usize..place.end as usize];
        self.places.iter().filter_map(move |place| view(text(place)))
    }

    /// The span with this id.
    pub(crate) fn find(&self, id: SpanId) -> Option<Bytes> {
        let by_id = self.by_id.get_or_init(|| {
            let mut by_id = HashMap::with_capacity(self.len());
            for index in 0..self.len() {
                let id = self.get(index).and_then(|span| view(&span)?.id());
                if let (Some(id), Ok(index)) = (id, u32::try_from(index)) {
                    by_id.entry(id).or_insert(index);
                }
            }
            by_id
        });
        self.get(*by_id.get(&id)? as usize)
    }

    pub(crate) fn weight(&self) -> usize {
        // The index by id is counted whether it is built or not, so that a weight never changes.
        let index = self.len() * (size_of::<SpanId>() + size_of::<u32>()) * 2;
        size_of::<Self>() + self.document.len() + size_of_val(self.places.as_ref()) + index
    }
}

/// A span as this product reads it; `None` when it is not of the known shapes.
pub(crate) fn view(span: &[u8]) -> Option<SpanView<'_>> {
    SpanView::parse(std::str::from_utf8(span).ok()?).ok()
}

fn place(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_holds_the_spans_untouched() {
        let spans = [r#"{"span_id": "AAAAAAAAAAE="}"#, r#"{"span_id":"AAAAAAAAAAI="}"#].map(Bytes::from);
        let set = SpanSet::join(&spans);
        assert_eq!(
            set.document(),
            r#"{"spans":[{"span_id": "AAAAAAAAAAE="},{"span_id":"AAAAAAAAAAI="}]}"#
        );
        assert_eq!(
            set.list(),
            r#"[{"span_id": "AAAAAAAAAAE="},{"span_id":"AAAAAAAAAAI="}]"#
        );
        assert_eq!(set.iter().collect::<Vec<_>>(), spans);
        assert_eq!(
            set.find("0000000000000002".parse().unwrap()),
            Some(spans[1].clone())
        );
        assert_eq!(set.find("0000000000000003".parse().unwrap()), None);
    }

    #[test]
    fn no_spans_are_an_empty_list() {
        let set = SpanSet::join(&[]);
        assert_eq!(
            (set.document(), set.list()),
            (r#"{"spans":[]}"#.into(), "[]".into())
        );
        assert_eq!(set.get(0), None);
    }
}
