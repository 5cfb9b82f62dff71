//! What a model sees in an analysis, as it is shown: its words, and never its Markdown.

use domain::TraceId;
use serde::Serialize;

use crate::report::{Report, Text};

/// The longest texts that are shown, in characters.
const SUMMARY_CHARS: usize = 1500;
const TITLE_CHARS: usize = 120;
const DETAIL_CHARS: usize = 800;

/// What a model sees.
#[derive(Debug, Clone, Serialize)]
pub struct Insights {
    /// The model, by the name it was asked by.
    pub model: String,
    /// All in a few sentences.
    pub summary: String,
    /// What stands out.
    pub findings: Vec<Finding>,
    /// What to do about it.
    pub recommendations: Vec<String>,
}

/// Something that stands out.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What it is.
    pub title: String,
    /// What is meant, and by what it is seen.
    pub detail: String,
    /// Traces that show it.
    pub trace_ids: Vec<TraceId>,
}

/// Whether a model was asked, and what it says.
#[derive(Debug, Clone)]
pub enum InsightsOutcome {
    /// What it says.
    Given(Insights),
    /// Nothing, and why; in words of our own.
    Absent(String),
}

/// Adds a section of what a model sees, or says that there is none.
pub fn add(report: &mut Report, outcome: &InsightsOutcome, link: &dyn Fn(&TraceId) -> String) {
    report.section("Insights of a model");
    let insights = match outcome {
        InsightsOutcome::Given(insights) => insights,
        InsightsOutcome::Absent(why) => {
            let all = "; the figures of this report are complete without them.";
            report.paragraph(Text::own("There are none: ").and(Text::own(why.clone())).and(all));
            return;
        }
    };
    let by = Text::own("Written by ").and(Text::code(&insights.model));
    report.paragraph(by.and(
        " from the figures of this report and excerpts of traces. It may be wrong: look at the traces.",
    ));
    report.paragraph(Text::prose(&insights.summary, SUMMARY_CHARS));
    report.list(insights.findings.iter().map(|finding| {
        let title = Text::own("**")
            .and(Text::prose(&finding.title, TITLE_CHARS))
            .and("** ");
        let told = title.and(Text::prose(&finding.detail, DETAIL_CHARS));
        let links = finding.trace_ids.iter().map(|id| trace_link(id, link));
        match Text::joined(links, ", ") {
            none if none.as_str().is_empty() => told,
            links => told.and(" (").and(links).and(")"),
        }
    }));
    if !insights.recommendations.is_empty() {
        report.subsection("What the model recommends");
        let texts = insights.recommendations.iter();
        report.list(texts.map(|text| Text::prose(text, DETAIL_CHARS)));
    }
}

/// A trace by its id, linked to where it can be read.
pub fn trace_link(id: &TraceId, link: &dyn Fn(&TraceId) -> String) -> Text {
    Text::link(&Text::code(id.as_str()), &link(id))
}
