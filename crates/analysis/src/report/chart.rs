//! Charts as Mermaid.

use std::fmt::Write;

use super::text::one_line;

/// As many parts can be told apart; the rest is one part.
const MAX_PARTS: usize = 12;
const LABEL_CHARS: usize = 40;

/// A chart of a few figures.
#[derive(Debug, Clone)]
pub struct Chart {
    kind: Kind,
    title: &'static str,
    parts: Vec<(String, f64)>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Pie,
    Bars { unit: &'static str },
}

impl Chart {
    /// How a whole is made up; the parts in the order given.
    pub fn pie(title: &'static str, parts: impl IntoIterator<Item = (String, u64)>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a chart shows no 53 bits")]
        let parts = parts.into_iter().map(|(label, count)| (label, count as f64));
        let mut parts: Vec<_> = parts.filter(|(_, count)| *count > 0.0).collect();
        if parts.len() > MAX_PARTS {
            let rest = parts.split_off(MAX_PARTS - 1);
            parts.push(("others".to_owned(), rest.iter().map(|(_, count)| count).sum()));
        }
        Self {
            kind: Kind::Pie,
            title,
            parts,
        }
    }

    /// Figures side by side, 12 at most.
    pub fn bars(
        title: &'static str,
        unit: &'static str,
        bars: impl IntoIterator<Item = (String, f64)>,
    ) -> Self {
        let bars = bars.into_iter().filter(|(_, figure)| figure.is_finite());
        Self {
            kind: Kind::Bars { unit },
            title,
            parts: bars.take(MAX_PARTS).collect(),
        }
    }

    /// The text of the chart; `None` where it shows nothing.
    pub(super) fn mermaid(&self) -> Option<String> {
        if self.parts.is_empty() {
            return None;
        }
        let title = self.title;
        let mut text = String::new();
        // Writing to a text does not fail.
        match self.kind {
            Kind::Pie => {
                let _ = writeln!(text, "pie showData title {title}");
                for (name, count) in &self.parts {
                    let _ = writeln!(text, "    \"{}\" : {count:.0}", label(name));
                }
            }
            Kind::Bars { unit } => {
                let names: Vec<_> = self
                    .parts
                    .iter()
                    .map(|(name, _)| format!("\"{}\"", label(name)))
                    .collect();
                let figures: Vec<_> = self
                    .parts
                    .iter()
                    .map(|(_, figure)| format!("{figure:.2}"))
                    .collect();
                let _ = writeln!(text, "xychart-beta\n    title \"{title}\"");
                let _ = writeln!(text, "    x-axis [{}]\n    y-axis \"{unit}\"", names.join(", "));
                let _ = writeln!(text, "    bar [{}]", figures.join(", "));
            }
        }
        Some(text)
    }
}

/// A label within quotes, where Mermaid reads nothing: letters, digits and the few marks that mean nothing to it.
fn label(others: &str) -> String {
    let is_plain =
        |letter: char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_' | '.' | ',' | '/');
    let plain: String = others
        .chars()
        .map(|letter| if is_plain(letter) { letter } else { ' ' })
        .collect();
    let line = one_line(&plain, LABEL_CHARS);
    if line.is_empty() { "other".to_owned() } else { line }
}
