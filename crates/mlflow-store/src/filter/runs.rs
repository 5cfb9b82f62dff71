//! What the comparisons of a filter of runs mean, as MLflow 3.17.2 reads them (`SearchUtils`).

use super::grammar::{Comparison, read_comparisons};
use super::refusal::{Refusal, listing};
use super::test::{EQUALITY, KeyedTest, LISTS, Number, NumberTest, PATTERNS, TextTest};

/// The attributes that a filter can name, besides `created` for `start_time`.
const ATTRIBUTES: &[&str] = &[
    "run_id",
    "run_name",
    "status",
    "user_id",
    "start_time",
    "end_time",
    "artifact_uri",
];

/// A filter of runs: all of its conditions hold of a run that is found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunFilter {
    pub(super) clauses: Vec<RunClause>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RunClause {
    Text(RunText, TextTest),
    Number(RunTime, NumberTest<Number>),
    Metric(String, NumberTest<f64>),
    Param(String, KeyedTest),
    Tag(String, KeyedTest),
    Dataset(DatasetField, TextTest),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunText {
    RunId,
    RunName,
    Status,
    UserId,
    ArtifactUri,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunTime {
    Start,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DatasetField {
    Name,
    Digest,
    Context,
}

/// What stands before the dot of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunEntity {
    Attribute,
    Metric,
    Param,
    Tag,
    Dataset,
}

impl RunEntity {
    pub(super) fn named(entity: Option<&str>) -> Result<Self, Refusal> {
        match entity {
            None | Some("attribute" | "attributes" | "attr" | "run") => Ok(Self::Attribute),
            Some("metric" | "metrics") => Ok(Self::Metric),
            Some("param" | "params" | "parameter" | "parameters") => Ok(Self::Param),
            Some("tag" | "tags") => Ok(Self::Tag),
            Some("dataset" | "datasets") => Ok(Self::Dataset),
            Some(other) => Err(Refusal::new(format!(
                "runs have no `{other}`; what can stand before the dot is attributes, metrics, params, tags or dataset"
            ))),
        }
    }
}

/// A column of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunAttribute {
    Text(RunText),
    Time(RunTime),
}

impl RunAttribute {
    pub(super) fn named(name: &str) -> Result<Self, Refusal> {
        match name {
            "run_id" => Ok(Self::Text(RunText::RunId)),
            "run_name" => Ok(Self::Text(RunText::RunName)),
            "status" => Ok(Self::Text(RunText::Status)),
            "user_id" => Ok(Self::Text(RunText::UserId)),
            "artifact_uri" => Ok(Self::Text(RunText::ArtifactUri)),
            "start_time" | "created" | "Created" => Ok(Self::Time(RunTime::Start)),
            "end_time" => Ok(Self::Time(RunTime::End)),
            other => Err(Refusal::new(format!(
                "runs have no attribute `{other}`; there are {}",
                listing(ATTRIBUTES)
            ))),
        }
    }
}

impl RunFilter {
    /// Reads a filter; an empty one finds every run.
    pub(crate) fn parse(filter: &str) -> Result<Self, Refusal> {
        let comparisons = read_comparisons(filter)?;
        let clauses = comparisons.iter().map(clause).collect::<Result<_, _>>()?;
        Ok(Self { clauses })
    }
}

fn clause(comparison: &Comparison) -> Result<RunClause, Refusal> {
    let entity = RunEntity::named(comparison.key.entity.as_deref()).map_err(|why| comparison.refuse(why))?;
    let name = comparison.key.name.as_str();
    match entity {
        RunEntity::Attribute => attribute(comparison, name),
        RunEntity::Metric => {
            let test = comparison.real_test("a metric")?;
            Ok(RunClause::Metric(name.to_owned(), test))
        }
        RunEntity::Param => {
            let test = comparison.keyed_test("a param", &[EQUALITY, PATTERNS])?;
            Ok(RunClause::Param(name.to_owned(), test))
        }
        RunEntity::Tag => {
            let test = comparison.keyed_test("a tag", &[EQUALITY, PATTERNS])?;
            Ok(RunClause::Tag(name.to_owned(), test))
        }
        RunEntity::Dataset => dataset(comparison, name),
    }
}

fn attribute(comparison: &Comparison, name: &str) -> Result<RunClause, Refusal> {
    let attribute = match name {
        "run name" | "Run name" | "Run Name" => RunAttribute::Text(RunText::RunName),
        _ => RunAttribute::named(name).map_err(|why| comparison.refuse(why))?,
    };
    match attribute {
        RunAttribute::Time(time) => Ok(RunClause::Number(time, comparison.number_test(name)?)),
        RunAttribute::Text(RunText::RunId) => {
            let test = comparison.text_test(name, &[EQUALITY, PATTERNS, LISTS])?;
            Ok(RunClause::Text(RunText::RunId, test))
        }
        RunAttribute::Text(attribute) => {
            let test = comparison.text_test(name, &[EQUALITY, PATTERNS])?;
            Ok(RunClause::Text(attribute, test))
        }
    }
}

fn dataset(comparison: &Comparison, name: &str) -> Result<RunClause, Refusal> {
    let field = match name {
        "name" => DatasetField::Name,
        "digest" => DatasetField::Digest,
        "context" => DatasetField::Context,
        other => {
            let why = format!("datasets have no `{other}`; there are name, digest and context");
            return Err(comparison.refuse(why));
        }
    };
    let test = comparison.text_test("a dataset", &[EQUALITY, PATTERNS, LISTS])?;
    Ok(RunClause::Dataset(field, test))
}
