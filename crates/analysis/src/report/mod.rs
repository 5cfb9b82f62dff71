//! Reports in Markdown, in which text of users, agents and models changes nothing but itself.
//!
//! All that comes from outside goes through [`Text`], which can make no heading, list, table, link, image, HTML or code
//! block of it; [`Report`] lays the pieces out, each block on lines of its own. Charts are Mermaid ([`Chart`]), which
//! readers without it show as the numbers they are.

mod chart;
mod text;

pub use chart::Chart;
pub use text::Text;

/// A report while it is written.
#[derive(Debug, Clone)]
pub struct Report(String);

impl Report {
    /// A report of this title.
    pub fn titled(title: impl Into<Text>) -> Self {
        let mut report = Self(String::new());
        report.line("# ", &title.into());
        report
    }

    /// Begins a section.
    pub fn section(&mut self, title: impl Into<Text>) {
        self.line("## ", &title.into());
    }

    /// Begins a part of a section.
    pub fn subsection(&mut self, title: impl Into<Text>) {
        self.line("### ", &title.into());
    }

    /// Adds a paragraph.
    pub fn paragraph(&mut self, text: impl Into<Text>) {
        self.line("", &text.into());
    }

    /// Adds a list; nothing where it is empty.
    pub fn list(&mut self, items: impl IntoIterator<Item = Text>) {
        let before = self.0.len();
        for item in items {
            self.0.push_str("- ");
            self.0.push_str(item.as_str());
            self.0.push('\n');
        }
        if self.0.len() > before {
            self.0.push('\n');
        }
    }

    /// Adds a table; nothing where it has no rows.
    pub fn table<const N: usize>(
        &mut self,
        head: [&'static str; N],
        rows: impl IntoIterator<Item = [Text; N]>,
    ) {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return;
        }
        self.row(head.iter().copied());
        self.row(["---"; N].into_iter());
        for row in rows {
            self.row(row.iter().map(Text::as_str));
        }
        self.0.push('\n');
    }

    /// Adds a chart; nothing where it shows nothing.
    pub fn chart(&mut self, chart: &Chart) {
        if let Some(mermaid) = chart.mermaid() {
            self.0.push_str("```mermaid\n");
            self.0.push_str(&mermaid);
            self.0.push_str("```\n\n");
        }
    }

    /// The Markdown.
    pub fn into_markdown(mut self) -> String {
        self.0.truncate(self.0.trim_end().len());
        self.0.push('\n');
        self.0
    }

    fn line(&mut self, mark: &str, text: &Text) {
        self.0.push_str(mark);
        self.0.push_str(text.as_str());
        self.0.push_str("\n\n");
    }

    fn row<'a>(&mut self, cells: impl Iterator<Item = &'a str>) {
        self.0.push('|');
        for cell in cells {
            self.0.push(' ');
            self.0.push_str(if cell.is_empty() { "–" } else { cell });
            self.0.push_str(" |");
        }
        self.0.push('\n');
    }
}

#[cfg(test)]
pub(crate) mod tests;
