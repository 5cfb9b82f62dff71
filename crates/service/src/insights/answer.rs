//! What a model's answer must be before anything of it is used.

use std::collections::HashSet;

use serde::de::DeserializeOwned;

/// Marks that turn the direction of the text around them, or join what is on both sides: shown, they could make a report say
/// something else than what stands there.
const UNSEEN: [std::ops::RangeInclusive<char>; 4] = [
    '\u{200b}'..='\u{200f}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{2069}',
    '\u{feff}'..='\u{feff}',
];

/// An answer that is held to rules of its own, beyond its shape.
pub trait Validated {
    /// Mends what can be mended: cuts texts and lists to their limits, drops what is empty and traces that are not among
    /// `known`.
    fn tidy(&mut self, known: &HashSet<String>);

    /// Refuses what cannot.
    ///
    /// # Errors
    /// What is wrong, in words for the model.
    fn validate(&self) -> Result<(), String>;
}

/// Reads an answer: the one JSON object in it, whatever fence or words are around it.
pub(super) fn read<T: DeserializeOwned + Validated>(
    content: &str,
    known: &HashSet<String>,
) -> Result<T, String> {
    let start = content.find('{').ok_or("there is no JSON object in it")?;
    let mut objects = serde_json::Deserializer::from_str(&content[start..]).into_iter::<T>();
    let object = objects.next().ok_or("there is no JSON object in it")?;
    let mut object = object.map_err(|error| error.to_string())?;
    if content[start + objects.byte_offset()..].contains('{') {
        return Err("there is more than one JSON object in it".to_owned());
    }
    object.tidy(known);
    object.validate()?;
    Ok(object)
}

/// Makes a text what can be shown as it is, of so many characters at most. Line breaks stay.
pub(super) fn tidy_text(text: &mut String, max_chars: usize) {
    let is_shown = |c: char| c == '\n' || !(c.is_control() || UNSEEN.iter().any(|range| range.contains(&c)));
    let shown: String = text.chars().filter(|c| is_shown(*c)).collect();
    let cut: String = shown.trim().chars().take(max_chars).collect();
    cut.trim_end().clone_into(text);
}

/// The same for a text of one line.
pub(super) fn tidy_line(text: &mut String, max_chars: usize) {
    *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    tidy_text(text, max_chars);
}

/// Makes lines of a list what can be shown; drops empty ones, and those beyond so many.
pub(super) fn tidy_lines(lines: &mut Vec<String>, max_chars: usize, max_lines: usize) {
    for line in lines.iter_mut() {
        tidy_line(line, max_chars);
    }
    lines.retain(|line| !line.is_empty());
    lines.truncate(max_lines);
}

/// Makes a name of lower case letters, digits and `_`.
pub(super) fn tidy_name(name: &mut String, max_chars: usize) {
    let lower = name.trim().to_ascii_lowercase();
    let kept = lower
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    let cut: String = kept.take(max_chars).collect();
    cut.trim_matches('_').clone_into(name);
}

/// Keeps traces that there are, each once, and so many at most.
pub(super) fn tidy_traces(ids: &mut Vec<String>, known: &HashSet<String>, max: usize) {
    let mut seen = HashSet::new();
    ids.retain(|id| known.contains(id) && seen.insert(id.clone()));
    ids.truncate(max);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Thing {
        text: String,
    }

    impl Validated for Thing {
        fn tidy(&mut self, _: &HashSet<String>) {
            tidy_text(&mut self.text, 1000);
        }

        fn validate(&self) -> Result<(), String> {
            if self.text.is_empty() {
                return Err("text is empty".into());
            }
            Ok(())
        }
    }

    fn read_thing(content: &str) -> Result<Thing, String> {
        read(content, &HashSet::new())
    }

    #[test]
    fn an_object_is_found_in_fences_and_words() {
        for content in [
            "{\"text\":\"a\"}",
            "```json\n{\"text\": \"a\"}\n```",
            "```\n{\"text\":\"a\",\"more\":[1]}```",
            "Here it is:\n{\"text\":\"a\"}\nAnything else?",
        ] {
            assert_eq!(read_thing(content), Ok(Thing { text: "a".into() }), "{content}");
        }
    }

    #[test]
    fn what_is_not_one_whole_valid_object_is_refused() {
        for content in [
            "",
            "no",
            "[]",
            "{}",
            "{\"text\":1}",
            "{\"text\":\"a\"",
            "{\"text\":\"\"}",
            "{\"text\":\"a\",\"text\":\"b\"}",
            "{\"text\":\"a\"}{\"text\":\"b\"}",
            "{as asked} {\"text\":\"a\"}",
        ] {
            assert!(read_thing(content).is_err(), "{content}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_within_any_words(
            text in "[a-z]\\PC{0,30}[a-z]",
            before in "[^{]{0,20}",
            after in "[^{]{0,20}",
        ) {
            let expected = {
                let mut text = text.clone();
                tidy_text(&mut text, 1000);
                Thing { text }
            };
            let content = format!("{before}{}{after}", json!({ "text": text }));
            prop_assert_eq!(read_thing(&content), Ok(expected));
        }

        #[test]
        fn nothing_makes_it_panic(content in "[{}\\[\\]\",:a-z`\\\\]{0,40}|\\PC{0,40}") {
            let _ = read_thing(&content);
        }

        #[test]
        fn texts_keep_to_their_limits(text in ".{0,60}|(\\PC|\n|\t|\u{202e}){0,60}", max in 0_usize..40) {
            let (mut many, mut one, mut name) = (text.clone(), text.clone(), text);
            tidy_text(&mut many, max);
            tidy_line(&mut one, max);
            tidy_name(&mut name, max);
            for tidied in [&many, &one, &name] {
                prop_assert!(tidied.chars().count() <= max);
                let is_unseen = |c: char| (c.is_control() && c != '\n') || UNSEEN[1].contains(&c);
                prop_assert!(!tidied.contains(is_unseen));
            }
            prop_assert!(!one.contains('\n'));
            prop_assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
        }
    }

    #[test]
    fn traces_that_nobody_told_the_model_of_are_dropped() {
        let known = ["a", "b"].map(str::to_owned).into();
        let mut ids = ["b", "x", "b", "a"].map(str::to_owned).to_vec();
        tidy_traces(&mut ids, &known, 5);
        assert_eq!(ids, ["b", "a"]);
        tidy_traces(&mut ids, &known, 1);
        assert_eq!(ids, ["b"]);
    }
}
