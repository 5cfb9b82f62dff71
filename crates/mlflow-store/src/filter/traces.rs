//! What the comparisons of a filter of traces mean, as MLflow 3.17.2 reads them (`SearchTraceUtils`).

use super::comparator::Comparator;
use super::grammar::{Comparison, Operand, read_comparisons};
use super::key::without;
use super::refusal::{Refusal, listing};
use super::test::{
    EQUALITY, KeyedTest, LISTS, Number, NumberTest, PATTERNS, PRESENCE, RANGES, REGEX, TextTest,
};

/// The tag that holds a trace's name.
pub(super) const TRACE_NAME: &str = "mlflow.traceName";
/// The metadata that holds the run a trace was made in.
pub(super) const SOURCE_RUN: &str = "mlflow.sourceRun";
/// The metadata that holds a trace's session.
pub(super) const SESSION: &str = "mlflow.trace.session";
/// The metadata that holds a trace's tokens.
pub(super) const TOKEN_USAGE: &str = "mlflow.trace.tokenUsage";
/// The metadata that holds a trace's costs.
pub(super) const COST: &str = "mlflow.trace.cost";
/// The tag that MLflow finds linked prompts by.
pub(super) const LINKED_PROMPTS: &str = "mlflow.linkedPrompts";

/// The attributes that a filter can name.
const ATTRIBUTES: &[&str] = &[
    "request_id",
    "timestamp_ms",
    "execution_time_ms",
    "end_time_ms",
    "status",
    "client_request_id",
    "name",
    "run_id",
    "prompt",
    "text",
];

/// A filter of traces: all of its conditions hold of a trace that is found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TraceFilter {
    pub(super) clauses: Vec<TraceClause>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TraceClause {
    Text(TextAttribute, TextTest),
    Number(NumberAttribute, NumberTest<Number>),
    Tag(String, KeyedTest),
    Metadata(String, KeyedTest),
    /// The trace was made in the run, or is linked to it.
    Run(String),
    /// A version of a prompt, `name/version`, is linked to the trace.
    Prompt(String),
    Span(SpanField, TextTest),
    Assessment(AssessmentKind, String, AssessmentTest),
    /// The trace has the issue.
    Issue(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextAttribute {
    RequestId,
    Status,
    ClientRequestId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberAttribute {
    Timestamp,
    ExecutionTime,
    EndTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SpanField {
    Name,
    Type,
    Status,
    /// The whole span, as JSON text.
    Content,
    /// An attribute, which is looked for in the content.
    Attribute(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AssessmentKind {
    Feedback,
    Expectation,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum AssessmentTest {
    Keyed(KeyedTest),
    Number(NumberTest<f64>),
}

/// What stands before the dot of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TraceEntity {
    Attribute,
    Tag,
    Metadata,
    Span,
    Assessment(AssessmentKind),
    Issue,
}

impl TraceEntity {
    pub(super) fn named(entity: Option<&str>) -> Result<Self, Refusal> {
        match entity {
            None | Some("attribute" | "attributes" | "trace") => Ok(Self::Attribute),
            Some("tag" | "tags") => Ok(Self::Tag),
            Some("metadata" | "request_metadata") => Ok(Self::Metadata),
            Some("span") => Ok(Self::Span),
            Some("feedback") => Ok(Self::Assessment(AssessmentKind::Feedback)),
            Some("expectation") => Ok(Self::Assessment(AssessmentKind::Expectation)),
            Some("issue") => Ok(Self::Issue),
            Some(other) => Err(Refusal::new(format!(
                "traces have no `{other}`; what can stand before the dot is attributes, trace, tags, metadata, span, \
                 feedback, expectation or issue"
            ))),
        }
    }
}

/// What MLflow takes a key for, whatever stands before its dot (except `span`): `feedback.name` is the name of the trace.
pub(super) fn alias(name: &str) -> Option<&'static str> {
    match name.to_lowercase().as_str() {
        "name" => Some("name"),
        "prompt" => Some("prompt"),
        "run_id" => Some("run_id"),
        "text" => Some("text"),
        "timestamp" => Some("timestamp_ms"),
        "execution_time" => Some("execution_time_ms"),
        "end_time" => Some("end_time_ms"),
        _ => None,
    }
}

impl TraceFilter {
    /// Reads a filter; an empty one finds every trace.
    pub(crate) fn parse(filter: &str) -> Result<Self, Refusal> {
        let comparisons = read_comparisons(filter)?;
        let clauses: Vec<TraceClause> = comparisons.iter().map(clause).collect::<Result<_, _>>()?;
        let mut runs = clauses.iter().filter_map(|clause| match clause {
            TraceClause::Run(run) => Some(run),
            _ => None,
        });
        let first = runs.next();
        // MLflow 3.17.2 would heed the last alone.
        if runs.any(|run| Some(run) != first) {
            return Err(Refusal::new("`run_id =` can be used only once in a filter"));
        }
        Ok(Self { clauses })
    }

    /// Whether every trace passes.
    pub(crate) fn is_open(&self) -> bool {
        self.clauses.is_empty()
    }

    /// Whether a trace's own row tells that it passes.
    pub(crate) fn is_of_columns(&self) -> bool {
        let is_column = |clause: &TraceClause| match clause {
            TraceClause::Text(..) | TraceClause::Number(..) => true,
            TraceClause::Tag(key, _) => key == TRACE_NAME,
            TraceClause::Metadata(key, _) => matches!(key.as_str(), SESSION | TOKEN_USAGE | COST),
            _ => false,
        };
        self.clauses.iter().all(is_column)
    }

    /// Whether it names the traces that can be found, or what few traces are linked to.
    pub(crate) fn is_narrow(&self) -> bool {
        self.clauses.iter().any(|clause| {
            matches!(
                clause,
                TraceClause::Run(_)
                    | TraceClause::Prompt(_)
                    | TraceClause::Text(TextAttribute::RequestId, TextTest::Is(_) | TextTest::OneOf(_))
            )
        })
    }
}

fn clause(comparison: &Comparison) -> Result<TraceClause, Refusal> {
    let entity =
        TraceEntity::named(comparison.key.entity.as_deref()).map_err(|why| comparison.refuse(why))?;
    let name = comparison.key.name.as_str();
    if entity == TraceEntity::Span {
        return span(comparison, name);
    }
    let is_attribute = entity == TraceEntity::Attribute;
    let is_known = ATTRIBUTES.contains(&name) || matches!(name, "timestamp" | "execution_time" | "end_time");
    if is_attribute && !is_known {
        let possible = listing(ATTRIBUTES);
        return Err(comparison.refuse(format!("traces have no attribute `{name}`; there are {possible}")));
    }
    let name = alias(name).unwrap_or(name);
    match (name, entity) {
        ("name", _) => tag(comparison, TRACE_NAME),
        ("run_id", _) => metadata(comparison, SOURCE_RUN),
        ("prompt", _) | (LINKED_PROMPTS, TraceEntity::Tag) => prompt(comparison),
        ("text", _) => content(comparison),
        (_, TraceEntity::Tag) => tag(comparison, name),
        (_, TraceEntity::Metadata) => metadata(comparison, name),
        (_, TraceEntity::Assessment(kind)) => assessment(comparison, kind, name),
        ("id", TraceEntity::Issue) => {
            comparison.check_comparator("issue.id", &[&[Comparator::Equal]])?;
            comparison.text("issue.id").map(TraceClause::Issue)
        }
        (_, TraceEntity::Issue) => Err(comparison.refuse("an issue is found by issue.id alone")),
        _ => attribute(comparison, name),
    }
}

fn attribute(comparison: &Comparison, name: &str) -> Result<TraceClause, Refusal> {
    let text = |attribute| {
        let test = comparison.text_test(name, &[EQUALITY, LISTS, PATTERNS, REGEX])?;
        Ok(TraceClause::Text(attribute, test))
    };
    let number = |attribute| Ok(TraceClause::Number(attribute, comparison.number_test(name)?));
    match name {
        "timestamp_ms" => number(NumberAttribute::Timestamp),
        "execution_time_ms" => number(NumberAttribute::ExecutionTime),
        "end_time_ms" => number(NumberAttribute::EndTime),
        "status" => text(TextAttribute::Status),
        "client_request_id" => text(TextAttribute::ClientRequestId),
        _ => text(TextAttribute::RequestId),
    }
}

fn tag(comparison: &Comparison, key: &str) -> Result<TraceClause, Refusal> {
    let what = if key == TRACE_NAME { "name" } else { "a tag" };
    let test = comparison.keyed_test(what, &[EQUALITY, PATTERNS, REGEX])?;
    Ok(TraceClause::Tag(key.to_owned(), test))
}

fn metadata(comparison: &Comparison, key: &str) -> Result<TraceClause, Refusal> {
    let what = if key == SOURCE_RUN { "run_id" } else { "metadata" };
    let test = comparison.keyed_test(what, &[EQUALITY, PATTERNS, REGEX])?;
    match test {
        KeyedTest::Text(TextTest::Is(run)) if key == SOURCE_RUN => Ok(TraceClause::Run(run)),
        KeyedTest::Text(TextTest::Like(_) | TextTest::ILike(_) | TextTest::RLike(_))
            if matches!(key, TOKEN_USAGE | COST) =>
        {
            let possible = [EQUALITY, PRESENCE];
            Err(comparison
                .check_comparator(key, &possible)
                .err()
                .unwrap_or_else(|| comparison.refuse(key)))
        }
        test => Ok(TraceClause::Metadata(key.to_owned(), test)),
    }
}

fn prompt(comparison: &Comparison) -> Result<TraceClause, Refusal> {
    comparison.check_comparator("prompt", &[&[Comparator::Equal]])?;
    let version = comparison.text("prompt")?;
    if version.matches('/').count() == 1 {
        Ok(TraceClause::Prompt(version))
    } else {
        Err(comparison.refuse("a prompt is named with its version: prompt = 'name/version'"))
    }
}

fn content(comparison: &Comparison) -> Result<TraceClause, Refusal> {
    let test = comparison.text_test("text", &[PATTERNS])?;
    Ok(TraceClause::Span(SpanField::Content, test))
}

fn span(comparison: &Comparison, name: &str) -> Result<TraceClause, Refusal> {
    let field = match name {
        "name" => SpanField::Name,
        "type" => SpanField::Type,
        "status" => SpanField::Status,
        "content" => return content(comparison),
        _ => match name.strip_prefix("attributes.").map(|name| without(name, '`')) {
            None | Some("") => {
                return Err(comparison.refuse(format!(
                    "spans have no `{name}`; there are name, type, status, content and attributes.<name>"
                )));
            }
            Some(attribute) => SpanField::Attribute(attribute.to_owned()),
        },
    };
    let possible: &[&[Comparator]] = match field {
        // MLflow 3.17.2 fails on these.
        SpanField::Attribute(_) => &[EQUALITY, PATTERNS, REGEX],
        _ => &[EQUALITY, LISTS, PATTERNS, REGEX],
    };
    let test = comparison.text_test("a span's value", possible)?;
    Ok(TraceClause::Span(field, test))
}

fn assessment(comparison: &Comparison, kind: AssessmentKind, name: &str) -> Result<TraceClause, Refusal> {
    let what = match kind {
        AssessmentKind::Feedback => "feedback",
        AssessmentKind::Expectation => "an expectation",
    };
    comparison.check_comparator(what, &[EQUALITY, RANGES, PATTERNS, REGEX, PRESENCE])?;
    let test = if RANGES.contains(&comparison.comparator) {
        AssessmentTest::Number(comparison.real_test(what)?)
    } else if matches!(comparison.operand, Operand::Number(_)) {
        let why = "= and != compare the value as it is written, so it needs quotes, even true and 5";
        return Err(comparison.refuse(why));
    } else {
        AssessmentTest::Keyed(comparison.keyed_test(what, &[EQUALITY, PATTERNS, REGEX])?)
    };
    Ok(TraceClause::Assessment(kind, name.to_owned(), test))
}
