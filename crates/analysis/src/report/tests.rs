//! Held against a reader of GitHub's Markdown, which makes links of bare addresses too.

use super::*;
use comrak::nodes::NodeValue;
use comrak::{Arena, Options, parse_document};
use proptest::prelude::*;

/// What a report is made of, in order, without what its texts say. Runs of text are one.
pub(crate) fn structure(markdown: &str) -> Vec<String> {
    let mut options = Options::default();
    let extension = &mut options.extension;
    extension.table = true;
    extension.autolink = true;
    extension.strikethrough = true;
    extension.tasklist = true;
    extension.footnotes = true;
    extension.math_dollars = true;
    let arena = Arena::new();
    let mut kinds: Vec<String> = Vec::new();
    for node in parse_document(&arena, markdown, &options).descendants() {
        let kind = match &node.data().value {
            NodeValue::Text(_) | NodeValue::SoftBreak => "text".to_owned(),
            NodeValue::Code(_) => "code".to_owned(),
            NodeValue::CodeBlock(block) => format!("block {}", block.info),
            NodeValue::Link(link) => format!("link {}", link.url),
            NodeValue::Heading(heading) => format!("heading {}", heading.level),
            other => format!("{other:?}")
                .split(['(', ' '])
                .next()
                .unwrap_or_default()
                .to_owned(),
        };
        if kind != "text" || kinds.last().is_none_or(|last| last != "text") {
            kinds.push(kind);
        }
    }
    kinds
}

/// A report that holds this text wherever a text can stand.
fn report(others: &str) -> String {
    let mut report = Report::titled(Text::own("Report on ").and(Text::code(others)));
    report.section(Text::own("Of ").and(Text::prose(others, 300)));
    report.paragraph(Text::prose(others, 300));
    report.paragraph(
        Text::code(others)
            .and(Text::code(others))
            .and(" and ")
            .and(Text::prose(others, 50)),
    );
    report.list([
        Text::prose(others, 300),
        Text::code(others),
        Text::own("a **bold** word"),
    ]);
    let link = Text::link(&Text::code(others), "http://host/#/x?y=(1)&z=a b");
    report.table(
        ["a", "b", "c"],
        [[Text::code(others), Text::prose(others, 300), link]],
    );
    report.chart(&Chart::pie("Answers", [(others.to_owned(), 3), ("b".into(), 1)]));
    report.chart(&Chart::bars("Times", "ms", [(others.to_owned(), 1.5)]));
    report.subsection("End");
    report.into_markdown()
}

/// What would do something, were it read.
const ACTIVE: &[&str] = &[
    "# h",
    "\n\n# h\n",
    "- a",
    "1. a",
    "1) a",
    "> q",
    "```",
    "````\n",
    "~~~",
    "---",
    "===",
    "| a | b |",
    "\\|",
    "\\",
    "`",
    "``",
    "*",
    "**b**",
    "_e_",
    "[l](http://e.com)",
    "![i](http://e.com/i.png)",
    "<script>",
    "<b>",
    "<!-- ",
    "-->",
    "&lt;",
    "&#35;",
    "http://e.com",
    "https://e.com/a?b",
    "www.e.com",
    "WwW.e.com",
    "a@e.com",
    "mailto:a@e.com",
    "[^1]",
    "[x]",
    "[ ] t",
    "$x$",
    "$$",
    "~~s~~",
    "\t",
    "\r",
    "\u{0}",
    "\u{202e}",
    "\u{2060}",
    "\"",
    "%%",
    "\"]",
    ";",
    ":",
    "://",
    "@",
    "www",
    ".",
    " ",
    "[[w]]",
    "ftp://e.com",
    "{",
    "}",
    "+",
    "=",
    "|",
    "||",
    "!",
    "xmpp:a@e.com",
];

/// Text made of such pieces and of others.
pub(crate) fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(ACTIVE).prop_map(str::to_owned),
        "\\PC{1,4}",
        "[a-z0-9]{1,5}",
    ];
    proptest::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn no_text_changes_what_a_report_is_made_of(others in hostile()) {
        // Text of nothing but what is not shown is told to be empty, in other words.
        prop_assume!(!text::one_line(&others, 300).is_empty());
        prop_assert_eq!(structure(&report(&others)), structure(&report("x")), "{}", report(&others));
    }

    #[test]
    fn a_line_is_never_longer_than_it_may_be(others in "\\PC{0,60}", chars in 1_usize..40) {
        let line = text::one_line(&others, chars);
        prop_assert!(line.chars().count() <= chars + 1);
        let unseen = line.contains(['\n', '\t', '\u{202e}']);
        prop_assert!(!unseen);
    }
}

#[test]
fn a_report_reads_as_it_is_meant() {
    let mut report = Report::titled("Title");
    report.paragraph(Text::prose("1. <b>50% of *all*</b> at www.e.com", 100));
    report.list([]);
    report.table(["who", "how"], [[Text::code("a|b`c"), Text::default()]]);
    report.table(["who"], []);
    report.chart(&Chart::pie(
        "Answers",
        [("yes \"sure\"".to_owned(), 2), ("no".to_owned(), 0)],
    ));
    report.chart(&Chart::bars("Times", "ms", []));
    assert_eq!(
        report.into_markdown(),
        "# Title\n\n\
         1\\. &lt;b&gt;50% of \\*all\\*&lt;/b&gt; at www\u{2060}.e.com\n\n\
         | who | how |\n| --- | --- |\n| ``a∣b`c`` | – |\n\n\
         ```mermaid\npie showData title Answers\n    \"yes sure\" : 2\n```\n"
    );
}

#[test]
fn what_is_too_long_is_cut_at_a_letter() {
    assert_eq!(Text::excerpt("  näïve\n\ntext ", 7).as_str(), "`näïve t…`");
    assert_eq!(Text::code(" \u{200b}\n").as_str(), "*empty*");
}

#[test]
fn many_parts_of_a_whole_are_put_together() {
    let chart = Chart::pie("Many", (0..20).map(|nth| (format!("part {nth}"), 1)));
    let mermaid = chart.mermaid().unwrap();
    assert_eq!(mermaid.lines().count(), 1 + 12);
    assert!(mermaid.ends_with("\"others\" : 9\n"), "{mermaid}");
}
