//! Finds the spans in `{"spans":[…]}` while the text arrives, without reading what is inside them.
//!
//! A push parser over pieces of any size: it tracks strings and nesting, nothing else. A span that lies within one
//! piece comes out as a slice of it; only a span across a boundary is copied. Members beside `spans` (older servers
//! write `request` and `response`) are skipped.

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

use crate::error::UnreadableSpans;

/// Longest name of a top-level member that is told apart from `spans`.
const KEY_LIMIT: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the opening brace.
    Start,
    /// Before a member's name; an object may also end here when it is empty.
    KeyOrEnd,
    Key,
    Colon,
    /// Before a member's value.
    Value,
    /// Before a span; the list may also end here when it is empty.
    SpanOrEnd,
    /// Before a span, after a comma.
    Span,
    /// Within a span.
    InSpan,
    /// After a span: a comma or the list's end.
    AfterSpan,
    /// Within the value of another member.
    Skipping,
    /// Within a number or word of another member.
    SkippingScalar,
    /// After a member: a comma or the object's end.
    AfterMember,
    /// Before a member's name, after a comma.
    NextKey,
    /// After the closing brace.
    End,
}

/// Finds the spans in a text that arrives in pieces.
#[derive(Debug)]
pub(crate) struct SpanScanner {
    state: State,
    depth: usize,
    in_string: bool,
    escaped: bool,
    key: Vec<u8>,
    /// Whether the list of spans came.
    has_list: bool,
    /// The part of a span that earlier pieces held.
    partial: BytesMut,
    consumed: u64,
    span_limit: usize,
}

impl SpanScanner {
    /// A scanner that refuses spans of more than `span_limit` bytes.
    pub(crate) fn new(span_limit: usize) -> Self {
        Self {
            state: State::Start,
            depth: 0,
            in_string: false,
            escaped: false,
            key: Vec::new(),
            has_list: false,
            partial: BytesMut::new(),
            consumed: 0,
            span_limit,
        }
    }

    /// Takes the next piece and appends the spans that end in it to `found`.
    pub(crate) fn push(&mut self, piece: &Bytes, found: &mut Vec<Bytes>) -> Result<(), UnreadableSpans> {
        let mut at = 0;
        while at < piece.len() {
            at = match self.state {
                State::InSpan => self.continue_span(piece, at, found)?,
                State::Skipping => self.continue_skipping(piece, at),
                _ => {
                    self.step(piece[at]).map_err(|()| self.malformed_at(at))?;
                    // The byte that begins a nested value belongs to it.
                    if matches!(self.state, State::InSpan | State::Skipping) {
                        at
                    } else {
                        at + 1
                    }
                }
            };
        }
        self.consumed += piece.len() as u64;
        Ok(())
    }

    /// Says whether the text was whole.
    pub(crate) fn finish(&self) -> Result<(), UnreadableSpans> {
        match self.state {
            State::End if self.has_list => Ok(()),
            State::End => Err(UnreadableSpans::NoList),
            _ => Err(UnreadableSpans::Truncated),
        }
    }

    fn malformed_at(&self, at: usize) -> UnreadableSpans {
        UnreadableSpans::Malformed {
            offset: self.consumed + at as u64,
        }
    }

    /// One byte outside spans and skipped values.
    fn step(&mut self, byte: u8) -> Result<(), ()> {
        if self.state == State::Key {
            return self.step_key(byte);
        }
        if byte.is_ascii_whitespace() {
            if self.state == State::SkippingScalar {
                self.state = State::AfterMember;
            }
            return Ok(());
        }
        self.state = match (self.state, byte) {
            (State::Start, b'{') => State::KeyOrEnd,
            (State::KeyOrEnd | State::NextKey, b'"') => {
                self.key.clear();
                State::Key
            }
            (State::KeyOrEnd | State::AfterMember | State::SkippingScalar, b'}') => State::End,
            (State::Colon, b':') => State::Value,
            (State::Value, b'[') if self.key == b"spans" => {
                self.has_list = true;
                State::SpanOrEnd
            }
            (State::Value, b'{' | b'[' | b'"') => State::Skipping,
            (State::Value, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => State::SkippingScalar,
            (State::SpanOrEnd | State::Span, b'{') => State::InSpan,
            (State::SpanOrEnd | State::AfterSpan, b']') => State::AfterMember,
            (State::AfterSpan, b',') => State::Span,
            (State::AfterMember | State::SkippingScalar, b',') => State::NextKey,
            (State::SkippingScalar, b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E') => {
                State::SkippingScalar
            }
            _ => return Err(()),
        };
        Ok(())
    }

    fn step_key(&mut self, byte: u8) -> Result<(), ()> {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => {
                self.state = State::Colon;
                return Ok(());
            }
            _ => {}
        }
        self.key.push(byte);
        if self.key.len() > KEY_LIMIT {
            Err(())
        } else {
            Ok(())
        }
    }

    fn continue_span(
        &mut self,
        piece: &Bytes,
        from: usize,
        found: &mut Vec<Bytes>,
    ) -> Result<usize, UnreadableSpans> {
        let end = self.end_of_nested(piece, from);
        let to = end.unwrap_or(piece.len());
        if self.partial.len() + (to - from) > self.span_limit {
            return Err(UnreadableSpans::SpanTooLarge {
                limit: self.span_limit,
            });
        }
        match end {
            Some(end) if self.partial.is_empty() => found.push(piece.slice(from..end)),
            Some(end) => {
                self.partial.extend_from_slice(&piece[from..end]);
                found.push(self.partial.split().freeze());
            }
            None => self.partial.extend_from_slice(&piece[from..]),
        }
        if end.is_some() {
            self.state = State::AfterSpan;
        }
        Ok(to)
    }

    fn continue_skipping(&mut self, piece: &Bytes, from: usize) -> usize {
        let end = self.end_of_nested(piece, from);
        if end.is_some() {
            self.state = State::AfterMember;
        }
        end.unwrap_or(piece.len())
    }

    /// Where the object, list or string that is open ends, if it ends in this piece: one past its last byte.
    fn end_of_nested(&mut self, piece: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        while at < piece.len() {
            if self.escaped {
                self.escaped = false;
                at += 1;
            } else if self.in_string {
                let found = memchr2(b'"', b'\\', &piece[at..])?;
                at += found + 1;
                if piece[at - 1] == b'\\' {
                    self.escaped = true;
                } else {
                    self.in_string = false;
                    if self.depth == 0 {
                        return Some(at);
                    }
                }
            } else {
                match piece[at] {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
                at += 1;
                if self.depth == 0 && !self.in_string {
                    return Some(at);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn scan(text: &[u8], cuts: &[usize]) -> Result<Vec<Bytes>, UnreadableSpans> {
        let (mut scanner, mut found) = (SpanScanner::new(1 << 20), Vec::new());
        let whole = Bytes::copy_from_slice(text);
        let mut cuts: Vec<_> = cuts
            .iter()
            .map(|cut| cut % (text.len() + 1))
            .chain([0, text.len()])
            .collect();
        cuts.sort_unstable();
        for pair in cuts.windows(2) {
            scanner.push(&whole.slice(pair[0]..pair[1]), &mut found)?;
        }
        scanner.finish()?;
        Ok(found)
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[\\[\\]{}\"\\\\,: a-z\u{e9}\u{1f600}\n]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::hash_map("[a-z\"\\\\{}]{0,6}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn object() -> impl Strategy<Value = Value> {
        proptest::collection::hash_map("[a-z]{0,6}", json_value(), 0..5)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn every_span_comes_out_whole_wherever_the_text_is_cut(
            spans in proptest::collection::vec(object(), 0..6),
            before in json_value(),
            after in json_value(),
            is_pretty: bool,
            cuts in proptest::collection::vec(any::<usize>(), 0..12),
        ) {
            let document = json!({"a": before, "spans": spans, "z": after});
            let text = if is_pretty { serde_json::to_vec_pretty(&document) } else { serde_json::to_vec(&document) };
            let found = scan(&text.unwrap(), &cuts).unwrap();
            let found: Vec<Value> = found.iter().map(|span| serde_json::from_slice(span).unwrap()).collect();
            prop_assert_eq!(found, spans);
        }

        #[test]
        fn a_text_that_ends_too_early_is_never_taken_for_whole(
            spans in proptest::collection::vec(object(), 0..4),
            cut: prop::sample::Index,
        ) {
            let text = serde_json::to_vec(&json!({"spans": spans})).unwrap();
            let end = cut.index(text.len());
            prop_assert!(scan(&text[..end], &[]).is_err());
        }

        #[test]
        fn no_bytes_make_the_scanner_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            cuts in proptest::collection::vec(any::<usize>(), 0..4),
        ) {
            let _ = scan(&bytes, &cuts);
            let _ = scan(&[b"{\"spans\":[", bytes.as_slice()].concat(), &cuts);
        }
    }

    #[test]
    fn a_span_within_one_piece_is_not_copied() {
        let text = Bytes::from_static(br#"{"spans": [{"a": 1}, {"b": "}"}]}"#);
        let (mut scanner, mut found) = (SpanScanner::new(100), Vec::new());
        scanner.push(&text, &mut found).unwrap();
        assert_eq!(found, [r#"{"a": 1}"#, r#"{"b": "}"}"#]);
        let inside = text.as_ptr_range();
        assert!(found.iter().all(|span| inside.contains(&span.as_ptr())));
    }

    #[test]
    fn what_is_not_a_list_of_spans_is_refused_with_its_place() {
        for (text, offset) in [
            (&b"<html>"[..], 0),
            (b"[]", 0),
            (b"{\"spans\":[1]}", 10),
            (b"{\"spans\":[{}}", 12),
            (b"{\"spans\":[{},]}", 13),
            (b"{\"spans\":[]} x", 13),
            (b"{\"spans\":[],}", 12),
        ] {
            let error = scan(text, &[]).unwrap_err();
            assert!(
                matches!(error, UnreadableSpans::Malformed { offset: o } if o == offset),
                "{error:?}"
            );
        }
        assert!(matches!(scan(b"", &[]), Err(UnreadableSpans::Truncated)));
        for text in [&b"{}"[..], b"{\"spans\":null}", b"{\"error\":{\"spans\":[]}}"] {
            assert!(matches!(scan(text, &[]), Err(UnreadableSpans::NoList)));
        }
    }

    #[test]
    fn a_span_over_the_limit_is_refused_before_it_is_held() {
        let (mut scanner, mut found) = (SpanScanner::new(64), Vec::new());
        scanner
            .push(&Bytes::from_static(b"{\"spans\":[{\"a\":\""), &mut found)
            .unwrap();
        let piece = Bytes::from(vec![b'x'; 40]);
        scanner.push(&piece, &mut found).unwrap();
        let error = scanner.push(&piece, &mut found).unwrap_err();
        assert!(matches!(error, UnreadableSpans::SpanTooLarge { limit: 64 }));
    }
}
