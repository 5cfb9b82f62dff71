//! Whether a text is JSON, told faster than by parsing it: what people ask of models and get is full of escaped quotes and line
//! breaks, and to step over them one by one is most of the work.

use std::ops::ControlFlow;

use wide::u8x16;

/// Deeper than any span; what is deeper is left to the parser.
const MAX_DEPTH: u32 = 64;

/// Whether this text, which is UTF-8, is JSON for certain. `false` says nothing: the parser decides.
pub(crate) fn is_surely_json(text: &[u8]) -> bool {
    Walk::default().value(text).is_some()
}

/// Where a walk through a text is: in which arrays and objects.
#[derive(Default)]
struct Walk {
    depth: u32,
    /// A bit for each, the innermost last; 1 is an object.
    objects: u64,
}

impl Walk {
    /// Walks over a text that is one value.
    fn value(mut self, text: &[u8]) -> Option<()> {
        let mut rest = text;
        loop {
            rest = space(rest);
            let (&first, tail) = rest.split_first()?;
            rest = match first {
                b'"' => string(tail)?,
                b'{' => {
                    self.enter(true)?;
                    match space(tail) {
                        [b'}', ..] => space(tail),
                        inner => {
                            rest = key(inner)?;
                            continue;
                        }
                    }
                }
                b'[' => {
                    self.enter(false)?;
                    match space(tail) {
                        inner @ [b']', ..] => inner,
                        inner => {
                            rest = inner;
                            continue;
                        }
                    }
                }
                b't' => tail.strip_prefix(b"rue")?,
                b'f' => tail.strip_prefix(b"alse")?,
                b'n' => tail.strip_prefix(b"ull")?,
                _ => number(rest)?,
            };
            match self.next(rest)? {
                ControlFlow::Continue(next) => rest = next,
                ControlFlow::Break(()) => return Some(()),
            }
        }
    }

    fn enter(&mut self, object: bool) -> Option<()> {
        self.depth += 1;
        self.objects = self.objects << 1 | u64::from(object);
        (self.depth <= MAX_DEPTH).then_some(())
    }

    /// From the end of a value to the beginning of the next, if there is one.
    fn next<'a>(&mut self, mut rest: &'a [u8]) -> Option<ControlFlow<(), &'a [u8]>> {
        loop {
            rest = space(rest);
            if self.depth == 0 {
                return rest.is_empty().then_some(ControlFlow::Break(()));
            }
            let is_object = self.objects & 1 == 1;
            let (&first, tail) = rest.split_first()?;
            match first {
                b',' if is_object => return key(space(tail)).map(ControlFlow::Continue),
                b',' => return Some(ControlFlow::Continue(tail)),
                b'}' if is_object => rest = tail,
                b']' if !is_object => rest = tail,
                _ => return None,
            }
            self.depth -= 1;
            self.objects >>= 1;
        }
    }
}

fn space(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = text {
        text = rest;
    }
    text
}

fn key(text: &[u8]) -> Option<&[u8]> {
    let rest = string(text.strip_prefix(b"\"")?)?;
    space(rest).strip_prefix(b":")
}

/// What a string is walked over by, in bytes: as many as a mask has bits.
const BLOCK: usize = 64;
const LANES: usize = 16;

/// Walks over a string, from behind its opening quote.
fn string(mut rest: &[u8]) -> Option<&[u8]> {
    let mut is_escaped = false;
    while let Some((block, tail)) = rest.split_first_chunk::<BLOCK>() {
        let marks = Marks::of(block);
        let escaped = escaped(marks.backslashes, &mut is_escaped);
        let quotes = marks.quotes & !escaped;
        let inside = below_first(quotes);
        let hex = marks.us & escaped & inside;
        if (marks.controls | escaped & !(marks.letters | marks.us)) & inside != 0 {
            return None;
        }
        each(hex, |place| four_digits(rest.get(place + 1..)?).map(|_| ()))?;
        if quotes != 0 {
            return rest.get(quotes.trailing_zeros() as usize + 1..);
        }
        rest = tail;
    }
    short_string(rest, is_escaped)
}

/// As [`string`], byte by byte; `is_escaped` says whether a backslash stands before.
fn short_string(mut rest: &[u8], mut is_escaped: bool) -> Option<&[u8]> {
    loop {
        let (&byte, tail) = rest.split_first()?;
        (rest, is_escaped) = match byte {
            b'u' if is_escaped => (four_digits(tail)?, false),
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' if is_escaped => (tail, false),
            b'"' => return Some(tail),
            0x20.. if !is_escaped => (tail, byte == b'\\'),
            _ => return None,
        };
    }
}

/// A bit for each byte of a block, the first the lowest.
#[derive(Default)]
struct Marks {
    quotes: u64,
    backslashes: u64,
    controls: u64,
    /// What may stand behind a backslash,
    letters: u64,
    /// and what may stand there before four digits.
    us: u64,
}

impl Marks {
    fn of(block: &[u8; BLOCK]) -> Self {
        let mut marks = Self::default();
        let (lanes, _) = block.as_chunks::<LANES>();
        for (index, lane) in lanes.iter().enumerate() {
            let lane = u8x16::new(*lane);
            let is = |byte: u8| lane.simd_eq(u8x16::splat(byte));
            let mask = |lane: u8x16| u64::from(lane.to_bitmask()) << (index * LANES);
            let (quotes, backslashes) = (is(b'"'), is(b'\\'));
            let letters = is(b'/') | is(b'b') | is(b'f') | is(b'n') | is(b'r') | is(b't');
            marks.quotes |= mask(quotes);
            marks.backslashes |= mask(backslashes);
            marks.controls |= mask(lane.min(u8x16::splat(0x1f)).simd_eq(lane));
            marks.letters |= mask(quotes | backslashes | letters);
            marks.us |= mask(is(b'u'));
        }
        marks
    }
}

/// Which bytes stand behind a backslash that is not itself escaped. `before` says so of the first, and is told of the one
/// behind the last.
///
/// A run of backslashes escapes every second byte from its second on. Addition carries through the runs that begin at an odd
/// place, which tells them apart without looking at each (Langdale and Lemire, Parsing Gigabytes of JSON per Second, 3.1.1).
fn escaped(backslashes: u64, before: &mut bool) -> u64 {
    const EVEN: u64 = u64::MAX / 3;
    let first = u64::from(*before);
    let backslashes = backslashes & !first;
    let behind = backslashes << 1 | first;
    let odd_starts = backslashes & !EVEN & !behind;
    let (carried, overflow) = odd_starts.overflowing_add(backslashes);
    *before = overflow;
    (EVEN ^ carried << 1) & behind
}

/// The bits below the lowest of a mask; all where it has none.
const fn below_first(mask: u64) -> u64 {
    mask.wrapping_sub(1) & !mask
}

/// Calls with the place of each bit, the lowest first, until one fails.
fn each(mut mask: u64, check: impl Fn(usize) -> Option<()>) -> Option<()> {
    while mask != 0 {
        check(mask.trailing_zeros() as usize)?;
        mask &= mask - 1;
    }
    Some(())
}

fn four_digits(text: &[u8]) -> Option<&[u8]> {
    let (digits, rest) = text.split_first_chunk::<4>()?;
    digits.iter().all(u8::is_ascii_hexdigit).then_some(rest)
}

fn number(text: &[u8]) -> Option<&[u8]> {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let mut rest = match unsigned {
        [b'0', rest @ ..] => rest,
        _ => digits(unsigned)?,
    };
    if let Some(fraction) = rest.strip_prefix(b".") {
        rest = digits(fraction)?;
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let signs = [&b"+"[..], b"-"];
        let unsigned = signs.iter().find_map(|sign| exponent.strip_prefix(*sign));
        rest = digits(unsigned.unwrap_or(exponent))?;
    }
    Some(rest)
}

/// One digit or more.
fn digits(text: &[u8]) -> Option<&[u8]> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count > 0).then(|| text.get(count..))?
}
#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    /// What the parser says, which is right.
    fn is_json(text: &str) -> bool {
        serde_json::from_str::<IgnoredAny>(text).is_ok()
    }

    /// Pieces that JSON is made of, and some that it is not.
    fn pieces() -> impl Strategy<Value = String> {
        let fixed = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "\\\"",
            "\\n",
            "\\u00e9",
            "\\u00",
            "\\x",
            "true",
            "null",
            "fals",
            "0",
            "-1.5e+3",
            "01",
            "1.",
            " ",
            "\n",
            "\u{1}",
            "\u{7f}",
            "größer",
            "納期",
            "{\"a\": 1}",
            "[1, 2]",
            "\"b\"",
        ]);
        let piece = prop_oneof![fixed.prop_map(str::to_owned), "[ax]{0,70}", "\\\\{1,70}"];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    fn values() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            any::<Option<bool>>().prop_map(serde_json::Value::from),
            any::<f64>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            "\\PC{0,90}".prop_map(serde_json::Value::from),
            "[\\\\\"\n\tau]{0,150}".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
                prop::collection::btree_map("[a\\\\\"]{0,9}", inner, 0..6)
                    .prop_map(|object| object.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_says_what_the_parser_says(text in pieces()) {
            prop_assert_eq!(is_surely_json(text.as_bytes()), is_json(&text), "{}", text);
            let quoted = format!("\"{text}\"");
            prop_assert_eq!(is_surely_json(quoted.as_bytes()), is_json(&quoted), "{}", quoted);
        }

        #[test]
        fn what_is_json_is_and_what_was_damaged_is_as_the_parser_says(
            value in values(), pretty: bool, place: prop::sample::Index, damage in "[\\x00-\\x7f]?",
        ) {
            let text = if pretty {
                serde_json::to_string_pretty(&value).unwrap()
            } else {
                value.to_string()
            };
            prop_assert!(is_surely_json(text.as_bytes()), "{}", text);
            let mut chars: Vec<_> = text.chars().collect();
            let place = place.index(chars.len());
            chars.splice(place..=place, damage.chars());
            let damaged: String = chars.into_iter().collect();
            prop_assert_eq!(is_surely_json(damaged.as_bytes()), is_json(&damaged), "{}", damaged);
        }
    }

    #[test]
    fn runs_of_backslashes_are_understood_wherever_they_lie() {
        for before in 0..130 {
            for run in 0..70 {
                let text = format!("\"{}{}\"", "a".repeat(before), "\\".repeat(run));
                assert_eq!(is_surely_json(text.as_bytes()), run % 2 == 0, "{before} {run}");
            }
        }
    }

    #[test]
    fn only_the_white_space_of_json_is_white_space() {
        assert!(is_surely_json(b" \t\r\n[ 1 ,\n2 ]\r"));
        assert!(!is_surely_json(b"\x0c1"));
        assert!(!is_surely_json(b"[1\x0c]"));
    }

    #[test]
    fn what_is_too_deep_is_left_to_the_parser() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(is_surely_json(nested(64).as_bytes()));
        assert!(!is_surely_json(nested(65).as_bytes()));
    }
}
