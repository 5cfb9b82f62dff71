//! A session's analysis as a report: first in words what whoever leads it wants to know, then the figures, then the
//! disagreements, with links to the traces.

use domain::TraceId;

use super::distribution::{Distribution, Numbers};
use super::values::Input;
use super::{SchemaAnalysis, SessionAnalysis};
use crate::insights::{self, InsightsOutcome, trace_link};
use crate::report::{Chart, Report, Text};

/// Rows of a table of reviewers.
const MAX_ROWS: usize = 100;

/// Agreement below this is worth talking about (Landis and Koch 1977: no more than "fair").
const LOW_AGREEMENT: f64 = 0.4;

/// Of fewer items agreement says little.
const ENOUGH: usize = 5;

/// The report in Markdown. `link` gives the address at which a trace can be read.
pub fn report(
    analysis: &SessionAnalysis,
    link: &dyn Fn(&TraceId) -> String,
    insights: &InsightsOutcome,
) -> String {
    let mut report = Report::titled(Text::own("Labels of ").and(Text::code(&analysis.session_name)));
    summary(&mut report, analysis);
    insights::add(&mut report, insights, link);
    progress(&mut report, analysis);
    report.section("What was answered");
    for schema in &analysis.schemas {
        answers(&mut report, schema, link);
    }
    agreement(&mut report, analysis);
    disagreements(&mut report, analysis, link);
    method(&mut report);
    report.into_markdown()
}

fn summary(report: &mut Report, analysis: &SessionAnalysis) {
    let totals = &analysis.totals;
    let done = totals.completed + totals.skipped;
    let told = format!(
        "{done} of {} are done ({}): {} completed, {} skipped, {} in progress, {} pending. {} have a label, {} all of them.",
        counted(totals.items, "item"),
        percent(totals.done_share),
        totals.completed,
        totals.skipped,
        totals.in_progress,
        totals.pending,
        totals.labeled,
        totals.fully_labeled,
    );
    let differ = match analysis.disagreements.total {
        0 => " Nowhere do reviewers differ.".to_owned(),
        many => format!(" Reviewers differ in {}.", counted(many, "place")),
    };
    let gone = match totals.without_trace {
        0 => String::new(),
        gone => format!(
            " The traces of {} cannot be read any more.",
            counted(gone, "item")
        ),
    };
    report.paragraph(Text::own(told + &differ + &gone));
    let low = analysis.schemas.iter().filter_map(|schema| {
        let items = schema.agreement.items;
        let figure = schema.agreement.figure();
        let figure = figure.filter(|figure| *figure < LOW_AGREEMENT && items >= ENOUGH)?;
        let name = Text::own("Look at ").and(Text::code(&schema.name));
        Some(name.and(Text::own(format!(
            ": reviewers agree little ({figure:.2} over {items} items). Its question may be read differently."
        ))))
    });
    report.list(low.collect::<Vec<_>>());
    let made = Text::own(format!("Made {} from ", analysis.analysis_timestamp.as_str()));
    report.paragraph(made.and(Text::own(counted(totals.ratings, "rating"))).and("."));
}

fn progress(report: &mut Report, analysis: &SessionAnalysis) {
    report.section("Reviewers");
    let rows = analysis.reviewers.iter().take(MAX_ROWS).map(|reviewer| {
        let time = reviewer.time_per_item.as_ref();
        let seconds = |ms: f64| Text::own(format!("{:.0} s", ms / 1000.0));
        [
            Text::code(&reviewer.name),
            Text::own(if reviewer.is_assigned { "yes" } else { "no" }),
            Text::own(format!(
                "{} ({})",
                reviewer.items_complete,
                percent(reviewer.completion_share)
            )),
            count(reviewer.items_partial),
            count(reviewer.items_missing),
            count(reviewer.ratings),
            time.map_or_else(Text::default, |time| seconds(time.median_ms)),
            time.map_or_else(Text::default, |time| seconds(time.p90_ms)),
        ]
    });
    report.table(
        [
            "Reviewer",
            "Assigned",
            "Items complete",
            "Partial",
            "Missing",
            "Ratings",
            "Time per item, median",
            "90 %",
        ],
        rows,
    );
    if analysis.reviewers.len() > MAX_ROWS {
        let more = analysis.reviewers.len() - MAX_ROWS;
        report.paragraph(Text::own(format!("{more} more are in data.json.")));
    }
}

fn answers(report: &mut Report, schema: &SchemaAnalysis, link: &dyn Fn(&TraceId) -> String) {
    report.subsection(Text::code(&schema.name));
    if !schema.title.is_empty() {
        report.paragraph(Text::prose(&schema.title, 500));
    }
    let told = format!(
        "{} of {}; {} without.",
        counted(schema.ratings, "rating"),
        counted(schema.items_rated, "item"),
        counted(schema.items_missing, "item")
    );
    let unreadable = match schema.unreadable {
        0 => String::new(),
        some => format!(" No answers to the question: {}.", counted(some, "rating")),
    };
    report.paragraph(Text::own(told + &unreadable));
    distribution(report, &schema.distribution);
    if schema.by_reviewer.len() > 1 && !matches!(schema.input, Input::Text | Input::TextList) {
        let rows = schema.by_reviewer.iter().take(MAX_ROWS).map(|of| {
            let chosen = of.most_chosen.as_deref().map_or_else(Text::default, |most| {
                let share = percent(of.most_chosen_share.unwrap_or_default());
                Text::code(most).and(Text::own(format!(" ({share})")))
            });
            let mean = of
                .mean
                .map_or_else(Text::default, |mean| Text::own(format!("{mean:.2}")));
            [Text::code(&of.reviewer), count(of.ratings), mean, chosen]
        });
        report.table(["Reviewer", "Answers", "Mean", "Chosen most"], rows);
    }
    report.list(schema.rationales.iter().map(|excerpt| {
        let who = Text::code(&excerpt.answer)
            .and(" by ")
            .and(Text::code(&excerpt.reviewer));
        let of = match &excerpt.trace_id {
            Some(id) => who.and(" of ").and(trace_link(id, link)),
            None => who,
        };
        of.and(": ").and(Text::prose(&excerpt.text, 300))
    }));
}

fn distribution(report: &mut Report, distribution: &Distribution) {
    match distribution {
        Distribution::Options(options) => {
            let rows = options.iter().map(|option| {
                let name = Text::code(&option.option);
                let name = if option.is_offered {
                    name
                } else {
                    name.and(" (not offered)")
                };
                [name, count(option.count), Text::own(percent(option.share))]
            });
            report.table(["Answer", "Count", "Share"], rows);
            let parts = options
                .iter()
                .map(|option| (option.option.clone(), option.count as u64));
            report.chart(&Chart::pie("Answers", parts));
        }
        Distribution::Numbers(numbers) => {
            let figure = |figure: f64| Text::own(format!("{figure:.2}"));
            let Numbers {
                min,
                p25,
                median,
                mean,
                p75,
                max,
                ..
            } = *numbers;
            let deviation = numbers.standard_deviation.map_or_else(Text::default, figure);
            let [min, p25, median, mean, p75, max] = [min, p25, median, mean, p75, max].map(figure);
            report.table(
                [
                    "Least",
                    "25 %",
                    "Median",
                    "Mean",
                    "75 %",
                    "Greatest",
                    "Standard deviation",
                ],
                [[min, p25, median, mean, p75, max, deviation]],
            );
            #[expect(clippy::cast_precision_loss, reason = "a chart shows no 53 bits")]
            let bars = numbers
                .histogram
                .iter()
                .map(|bin| (bin.from.to_string(), bin.count as f64));
            report.chart(&Chart::bars("Answers, from", "ratings", bars));
        }
        Distribution::Texts { median_chars } => {
            report.paragraph(Text::own(format!(
                "Half of the texts have no more than {median_chars:.0} characters."
            )));
        }
        Distribution::Nothing => {}
    }
}

fn agreement(report: &mut Report, analysis: &SessionAnalysis) {
    report.section("Agreement");
    let figure =
        |figure: Option<f64>| figure.map_or_else(Text::default, |figure| Text::own(format!("{figure:.3}")));
    let rows = analysis.schemas.iter().map(|schema| {
        let found = &schema.agreement;
        let alpha = match found.alpha_metric {
            Some(metric) => figure(found.krippendorffs_alpha).and(Text::own(format!(" ({metric})"))),
            None => Text::default(),
        };
        let percent = found
            .percent_agreement
            .map_or_else(Text::default, |share| Text::own(percent(share)));
        [
            Text::code(&schema.name),
            count(found.items),
            count(found.reviewers),
            percent,
            figure(found.cohens_kappa),
            figure(found.fleiss_kappa),
            alpha,
            Text::own(found.interpretation.or(found.why_none).unwrap_or_default()),
        ]
    });
    report.table(
        [
            "Label",
            "Items rated twice",
            "Reviewers",
            "Equal",
            "Cohen's κ",
            "Fleiss' κ",
            "Krippendorff's α",
            "In words",
        ],
        rows,
    );
}

fn disagreements(report: &mut Report, analysis: &SessionAnalysis, link: &dyn Fn(&TraceId) -> String) {
    report.section("Where reviewers differ");
    let found = &analysis.disagreements;
    if found.total == 0 {
        report.paragraph("Nowhere, as far as items were rated by more than one.");
        return;
    }
    if found.shown.len() < found.total {
        let all = format!("The {} most different of {}.", found.shown.len(), found.total);
        report.paragraph(Text::own(all));
    }
    let rows = found.shown.iter().map(|one| {
        let trace = one
            .trace_id
            .as_ref()
            .map_or_else(Text::default, |id| trace_link(id, link));
        let opinions = one.opinions.iter().map(|opinion| {
            let said = Text::code(&opinion.reviewer)
                .and(": ")
                .and(Text::code(&opinion.answer));
            match &opinion.rationale {
                Some(why) => said.and(" because ").and(Text::prose(why, 200)),
                None => said,
            }
        });
        let asked = one
            .request_preview
            .as_deref()
            .map_or_else(Text::default, |text| Text::excerpt(text, 80));
        [
            trace,
            asked,
            Text::code(&one.schema),
            Text::joined(opinions, "; "),
        ]
    });
    report.table(["Trace", "Request", "Label", "Said"], rows);
}

fn method(report: &mut Report) {
    report.section("How this was counted");
    report.list([
        Text::own(
            "A rating is the newest valid assessment that a person gave a trace under a label's name; where nobody did, the label \
             of the item counts for whoever changed it last. Assessments of judges and code are no ratings. MLflow keeps \
             assessments with the trace: those that were given elsewhere count too.",
        ),
        Text::own(
            "Equal: of all pairs of ratings of one item, those that are the same. Cohen's κ (Cohen 1960), Fleiss' κ (Fleiss 1971) and \
             Krippendorff's α (Krippendorff 2011) take chance into account; 1 is full agreement, 0 what chance gives. In words: Landis \
             and Koch 1977.",
        ),
        Text::own(
            "Time per item: from a reviewer's last label of one item to their last label of the next; pauses of more than half an hour \
             are left out.",
        ),
    ]);
}

/// "1 item", "2 items".
fn counted(count: usize, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}

fn count(count: usize) -> Text {
    Text::own(count.to_string())
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}
