//! An experiment's summary as a report: first in words, then what goes wrong, then what experts should be asked, then the
//! figures.

use domain::TraceId;

use super::issues::DetectedIssue;
use super::schemas::RecommendedSchema;
use super::statistics::Statistics;
use super::{ExperimentAnalysis, Source};
use crate::digest::Latency;
use crate::insights::{self, InsightsOutcome, trace_link};
use crate::patterns::SpanFigures;
use crate::report::{Chart, Report, Text};

/// Rows of a table.
const MAX_ROWS: usize = 50;

type Link<'a> = &'a dyn Fn(&TraceId) -> String;

/// The report in Markdown. `link` gives the address at which a trace can be read.
pub fn report(analysis: &ExperimentAnalysis, link: Link<'_>, insights: &InsightsOutcome) -> String {
    let mut report =
        Report::titled(Text::own("Traces of experiment ").and(Text::code(&analysis.experiment_id)));
    summary(&mut report, analysis);
    insights::add(&mut report, insights, link);
    report.section("What goes wrong");
    if analysis.detected_issues.is_empty() {
        report.paragraph("Nothing that is looked for was found.");
    }
    for issue in &analysis.detected_issues {
        one_issue(&mut report, issue, link);
    }
    schemas(&mut report, &analysis.schemas_with_label_types, link);
    figures(&mut report, &analysis.statistics);
    method(&mut report);
    report.into_markdown()
}

fn summary(report: &mut Report, analysis: &ExperimentAnalysis) {
    let (figures, metadata) = (&analysis.statistics, &analysis.metadata);
    let mut told = vec![format!(
        "{} traces, the newest: {} ended well, {} in an error ({:.0} %), {} are running. {} spans.",
        figures.traces,
        figures.ok,
        figures.errors,
        100.0 * figures.error_rate,
        figures.running,
        figures.spans,
    )];
    told.extend(figures.latency_ms.map(|Latency { p50, p95, .. }| {
        format!(
            "Half of them took no more than {}, 95 % no more than {}.",
            time(p50),
            time(p95)
        )
    }));
    told.extend(figures.tokens.map(|tokens| {
        format!(
            "{} tokens in {} of them.",
            tokens.total_tokens, figures.traces_with_tokens
        )
    }));
    told.extend(figures.cost.map(|cost| {
        format!(
            "They cost {:.4} USD, as far as it is known ({}).",
            cost.total_cost, figures.traces_with_cost
        )
    }));
    if metadata.traces_failed > 0 {
        told.push(format!(
            "The spans of {} more could not be read.",
            metadata.traces_failed
        ));
    }
    report.paragraph(Text::own(told.join(" ")));
    let kind = figures.patterns.kind();
    report.paragraph(Text::own(format!(
        "It is a {} ({}).",
        kind.0.replace('_', " "),
        kind.1.replace('_', " ")
    )));
    let worst = analysis.detected_issues.iter().take(3);
    report.list(worst.map(|issue| {
        let title = Text::prose(&issue.title, 200);
        Text::own(format!("**{}**: ", issue.severity.as_str())).and(title)
    }));
    let made = Text::own(format!(
        "Made {}; what was to be looked at: ",
        metadata.analysis_timestamp.as_str()
    ));
    report.paragraph(made.and(Text::code(&analysis.focus)));
}

fn one_issue(report: &mut Report, issue: &DetectedIssue, link: Link<'_>) {
    report.subsection(Text::prose(&issue.title, 200));
    let by = match issue.source {
        Source::Statistics => "",
        Source::Model => "; a model says so",
    };
    let told = Text::own(format!(
        "Severity {}, {} traces{by}. ",
        issue.severity.as_str(),
        issue.affected_traces
    ));
    report.paragraph(told.and(Text::prose(&issue.description, 800)));
    let links = issue.example_traces.iter().map(|id| trace_link(id, link));
    let links = Text::joined(links, ", ");
    if !links.as_str().is_empty() {
        report.paragraph(Text::own("See ").and(links));
    }
    report.list(issue.problem_snippets.iter().map(|text| Text::excerpt(text, 300)));
}

fn schemas(report: &mut Report, schemas: &[RecommendedSchema], link: Link<'_>) {
    report.section("What experts should be asked");
    let rows = schemas.iter().map(|schema| {
        let links = schema.grounded_in_traces.iter().map(|id| trace_link(id, link));
        let kind = match schema.label_type {
            domain::LabelSchemaType::Expectation => "expectation",
            _ => "feedback",
        };
        [
            Text::own(schema.priority_score.to_string()),
            Text::code(&schema.key),
            Text::prose(&schema.name, 200),
            Text::own(format!("{kind}, {}", schema.schema_type)),
            Text::prose(&schema.rationale, 400),
            Text::joined(links, ", "),
        ]
    });
    report.table(
        ["Priority", "Label", "Question", "Kind", "Why", "Because of"],
        rows,
    );
}

fn figures(report: &mut Report, figures: &Statistics) {
    report.section("Figures");
    for (title, first, all) in [
        ("By type of span", "Type", &figures.by_type),
        ("By tool", "Tool", &figures.by_tool),
    ] {
        if !all.is_empty() {
            report.subsection(title);
            let mut sorted: Vec<_> = all.iter().collect();
            sorted.sort_by_key(|(_, of)| std::cmp::Reverse(of.count));
            let head = [
                first,
                "Spans",
                "Failed",
                "Rate",
                "Half within",
                "95 % within",
                "Tokens",
            ];
            report.table(head, sorted.into_iter().take(MAX_ROWS).map(span_row));
        }
    }
    report.chart(&Chart::pie(
        "Spans",
        figures.by_type.iter().map(|(kind, of)| (kind.clone(), of.count)),
    ));
    let slowest = figures
        .by_tool
        .iter()
        .filter_map(|(tool, of)| Some((tool.clone(), of.latency_ms?.p95)));
    report.chart(&Chart::bars("95 % of calls within", "ms", slowest));
    let turns = [
        ("Messages of the user in a trace", &figures.turns_per_trace),
        ("Traces of a conversation", &figures.traces_per_conversation),
        ("Tokens of a trace", &figures.tokens_per_trace),
    ];
    let rows = turns.into_iter().filter_map(|(what, of)| {
        let of = of.as_ref()?;
        let figure = |figure: f64| Text::own(format!("{figure:.1}"));
        Some([Text::own(what), figure(of.p50), figure(of.p95), figure(of.max)])
    });
    report.table(["", "Median", "95 %", "Most"], rows);
    let rows = figures.assessments.iter().map(|one| {
        [
            Text::code(&one.name),
            Text::own(one.good.to_string()),
            Text::own(one.bad.to_string()),
        ]
    });
    report.table(["Judged", "Good", "Bad"], rows);
}

fn span_row((name, of): (&String, &SpanFigures)) -> [Text; 7] {
    let latency = |figure: fn(&Latency) -> f64| {
        of.latency_ms
            .as_ref()
            .map_or_else(Text::default, |latency| Text::own(time(figure(latency))))
    };
    [
        Text::code(name),
        Text::own(of.count.to_string()),
        Text::own(of.errors.to_string()),
        Text::own(format!("{:.1} %", 100.0 * of.error_rate)),
        latency(|latency| latency.p50),
        latency(|latency| latency.p95),
        of.tokens
            .map_or_else(Text::default, |tokens| Text::own(tokens.total_tokens.to_string())),
    ]
}

fn method(report: &mut Report) {
    report.section("How this was found");
    report.list([
        Text::own(
            "The newest traces of the experiment, each with all its spans; inputs and outputs of more than 256 KiB are counted and not \
             read. Times are those of spans.",
        ),
        Text::own(
            "Failures are one where they say the same but for numbers and ids. A tool counts as failing from a tenth of its calls on, \
             a judgement as bad from a fifth on, both from two on. Far longer, or more, is what lies further above the upper quartile than \
             three times the distance of the quartiles (Tukey 1977).",
        ),
        Text::own(
            "Severity: what makes traces useless is critical from a fifth of them on, high from a twentieth on; what makes them worse is \
             high from three tenths on, medium from a tenth on.",
        ),
    ]);
}

/// A time in ms, with few digits.
fn time(ms: f64) -> String {
    match ms {
        _ if ms < 10.0 => format!("{ms:.1} ms"),
        _ if ms < 10_000.0 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1000.0),
    }
}
