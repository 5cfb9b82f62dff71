//! In which order a search finds things: a list of keys, each once, with `ASC` or `DESC`.

use super::key::Key;
use super::refusal::{Refusal, excerpt};
use super::runs::{RunAttribute, RunEntity};
use super::scanner::Scanner;
use super::traces::{COST, LINKED_PROMPTS, SOURCE_RUN, TOKEN_USAGE, TRACE_NAME, TraceEntity, alias};

/// Keys of one order, at most: some need a join.
const MAX_KEYS: usize = 20;

/// The longest key, in bytes; keys of tags are up to 250 characters long.
const MAX_LENGTH: usize = 2048;

/// The order of a search of traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceOrder {
    pub(super) keys: Vec<(TraceKey, Direction)>,
}

/// The order of a search of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunOrder {
    pub(super) keys: Vec<(RunKey, Direction)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Ascending,
    Descending,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TraceKey {
    ExperimentId,
    Timestamp,
    ExecutionTime,
    EndTime,
    Status,
    RequestId,
    Tag(String),
    Metadata(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RunKey {
    Attribute(RunAttribute),
    Metric(String),
    Param(String),
    Tag(String),
}

impl TraceOrder {
    /// Reads the keys of an order; without any, the newest traces come first.
    pub(crate) fn parse(order_by: &[String]) -> Result<Self, Refusal> {
        read_keys(order_by, trace_key).map(|keys| Self { keys })
    }
}

impl RunOrder {
    /// Reads the keys of an order; without any, the runs that began last come first.
    pub(crate) fn parse(order_by: &[String]) -> Result<Self, Refusal> {
        read_keys(order_by, run_key).map(|keys| Self { keys })
    }
}

/// Reads the keys of an order, each once.
fn read_keys<K: PartialEq>(
    order_by: &[String],
    meaning: impl Fn(&Key) -> Result<K, Refusal>,
) -> Result<Vec<(K, Direction)>, Refusal> {
    if order_by.len() > MAX_KEYS {
        return Err(Refusal::new(format!("order_by has more than {MAX_KEYS} keys")));
    }
    let mut keys: Vec<(K, Direction)> = Vec::new();
    for written in order_by {
        let refuse = |why: Refusal| Refusal::new(format!("order_by `{}`: {why}", excerpt(written)));
        let (key, direction) = read_key(written).map_err(refuse)?;
        let key = meaning(&key).map_err(refuse)?;
        if keys.iter().any(|(earlier, _)| *earlier == key) {
            return Err(refuse(Refusal::new("`order_by` contains duplicate fields")));
        }
        keys.push((key, direction));
    }
    Ok(keys)
}

fn read_key(written: &str) -> Result<(Key, Direction), Refusal> {
    let malformed =
        || Refusal::new("a key with ASC or DESC after it, or neither, is expected: timestamp_ms DESC");
    if written.len() > MAX_LENGTH || written.contains('\0') {
        return Err(malformed());
    }
    let mut scanner = Scanner::new(written);
    scanner.skip_space();
    let key = scanner.key()?;
    if key.is_empty() {
        return Err(malformed());
    }
    let before = scanner.place();
    scanner.skip_space();
    let is_apart = scanner.place() > before;
    let direction = scanner.word();
    scanner.skip_space();
    let direction = match direction.to_ascii_uppercase().as_str() {
        "" => Direction::Ascending,
        "ASC" if is_apart => Direction::Ascending,
        "DESC" if is_apart => Direction::Descending,
        _ => return Err(malformed()),
    };
    if scanner.is_done() {
        Ok((Key::new(key)?, direction))
    } else {
        Err(malformed())
    }
}

fn trace_key(key: &Key) -> Result<TraceKey, Refusal> {
    let impossible = || {
        Refusal::new(
            "traces are ordered by experiment_id, timestamp_ms, execution_time_ms, end_time_ms, status, request_id, \
             name, run_id, tags.<key> or metadata.<key>",
        )
    };
    let entity = TraceEntity::named(key.entity.as_deref())?;
    let is_other = matches!(entity, TraceEntity::Attribute) && matches!(key.name.as_str(), "text" | "prompt");
    if entity == TraceEntity::Span || is_other {
        return Err(impossible());
    }
    // An attribute is known by its exact name only; elsewhere MLflow takes these keys in any case.
    let alias = match entity {
        TraceEntity::Attribute => alias(&key.name).filter(|_| key.name == key.name.to_lowercase()),
        _ => alias(&key.name),
    };
    let name = alias.unwrap_or(&key.name);
    match (name, entity) {
        ("name", _) => Ok(TraceKey::Tag(TRACE_NAME.to_owned())),
        ("run_id", _) => Ok(TraceKey::Metadata(SOURCE_RUN.to_owned())),
        ("prompt", _) => Ok(TraceKey::Tag(LINKED_PROMPTS.to_owned())),
        ("text", _) => Err(impossible()),
        (TOKEN_USAGE | COST, TraceEntity::Metadata) => Err(Refusal::new(
            "tokens and costs are several numbers, which give no order",
        )),
        (_, TraceEntity::Tag) => Ok(TraceKey::Tag(name.to_owned())),
        (_, TraceEntity::Metadata) => Ok(TraceKey::Metadata(name.to_owned())),
        ("experiment_id", TraceEntity::Attribute) => Ok(TraceKey::ExperimentId),
        ("timestamp_ms", TraceEntity::Attribute) => Ok(TraceKey::Timestamp),
        ("execution_time_ms", TraceEntity::Attribute) => Ok(TraceKey::ExecutionTime),
        ("end_time_ms", TraceEntity::Attribute) => Ok(TraceKey::EndTime),
        ("status", TraceEntity::Attribute) => Ok(TraceKey::Status),
        ("request_id", TraceEntity::Attribute) => Ok(TraceKey::RequestId),
        _ => Err(impossible()),
    }
}

fn run_key(key: &Key) -> Result<RunKey, Refusal> {
    match RunEntity::named(key.entity.as_deref())? {
        RunEntity::Attribute => RunAttribute::named(&key.name).map(RunKey::Attribute),
        RunEntity::Metric => Ok(RunKey::Metric(key.name.clone())),
        RunEntity::Param => Ok(RunKey::Param(key.name.clone())),
        RunEntity::Tag => Ok(RunKey::Tag(key.name.clone())),
        RunEntity::Dataset => Err(Refusal::new(
            "runs are ordered by attributes, metrics, params or tags, not by datasets",
        )),
    }
}
