//! The SQL of an order: joins of what is no column, the list of an `ORDER BY`, and what breaks ties.
//!
//! A thing without a value for a key stands after all that have one, in either direction.

use super::compile_traces::{Approach, END_TIME};
use super::order::{Direction, RunKey, RunOrder, TraceKey, TraceOrder};
use super::runs::{RunAttribute, RunTime};
use super::traces::{SESSION, TRACE_NAME};
use crate::shape::SchemaShape;
use crate::sql::Statement;

impl Direction {
    fn push(self, statement: &mut Statement) {
        statement.push(match self {
            Self::Ascending => "",
            Self::Descending => " DESC",
        });
    }
}

/// Pushes `x IS NULL, x`, in a direction.
fn push_nullable(statement: &mut Statement, column: &'static str, direction: Direction) {
    statement.push("(").push(column).push(" IS NULL), ").push(column);
    direction.push(statement);
}

/// Pushes the same for the value that was joined for the key at this place.
fn push_joined(statement: &mut Statement, place: usize, direction: Direction) {
    statement
        .push("(j")
        .number(place)
        .push(".value IS NULL), j")
        .number(place)
        .push(".value");
    direction.push(statement);
}

/// Pushes the join of the row of a key: at most one, by the primary keys.
fn push_join(
    statement: &mut Statement,
    table: &'static str,
    id: &'static str,
    main: &'static str,
    place: usize,
    key: &str,
) {
    statement.push(" LEFT JOIN ").push(table).push(" j").number(place);
    statement.push(" ON j").number(place).push(id).push(main);
    statement.push(" AND j").number(place).push(".key = ").bind(key);
}

impl TraceOrder {
    /// The direction of an order that is by time, and among those of one time by id.
    pub(crate) fn by_time(&self) -> Option<Direction> {
        match self.keys.as_slice() {
            [] => Some(Direction::Descending),
            [(TraceKey::Timestamp, direction)]
            | [
                (TraceKey::Timestamp, direction),
                (TraceKey::RequestId, Direction::Ascending),
            ] => Some(*direction),
            _ => None,
        }
    }

    /// Pushes the joins that the order needs, between `FROM trace_info t` and `WHERE`.
    pub(crate) fn push_joins(&self, statement: &mut Statement, schema: SchemaShape) {
        for (place, (key, _)) in self.keys.iter().enumerate() {
            let (table, key) = match key {
                key if key.column(schema).is_some() => continue,
                TraceKey::Tag(key) => ("trace_tags", key),
                TraceKey::Metadata(key) => ("trace_request_metadata", key),
                _ => continue,
            };
            push_join(statement, table, ".request_id", " = t.request_id", place, key);
        }
    }

    /// Pushes the list that follows `ORDER BY`; it leaves no two traces equal.
    ///
    /// Traces that are gathered are sorted at the end: SQLite is kept from walking them by time instead.
    pub(crate) fn push(&self, statement: &mut Statement, schema: SchemaShape, approach: Approach) {
        let timestamp = match approach {
            Approach::Walk => "t.timestamp_ms",
            Approach::Gather => "+t.timestamp_ms",
        };
        for (place, (key, direction)) in self.keys.iter().enumerate() {
            statement.push(if place == 0 { "" } else { ", " });
            match key.column(schema) {
                None => push_joined(statement, place, *direction),
                Some(column) if key.is_nullable() => push_nullable(statement, column, *direction),
                Some(column) => {
                    statement.push(if *key == TraceKey::Timestamp {
                        timestamp
                    } else {
                        column
                    });
                    direction.push(statement);
                }
            }
        }
        let mut joint = if self.keys.is_empty() { "" } else { ", " };
        let has = |wanted| self.keys.iter().any(|(key, _)| *key == wanted);
        if !has(TraceKey::Timestamp) {
            statement.push(joint).push(timestamp).push(" DESC");
            joint = ", ";
        }
        if !has(TraceKey::RequestId) {
            statement.push(joint).push("t.request_id");
        }
    }
}

impl TraceKey {
    /// The column that holds it, if there is one.
    fn column(&self, schema: SchemaShape) -> Option<&'static str> {
        match self {
            Self::ExperimentId => Some("t.experiment_id"),
            Self::Timestamp => Some("t.timestamp_ms"),
            Self::ExecutionTime => Some("t.execution_time_ms"),
            Self::EndTime => Some(END_TIME),
            Self::Status => Some("t.status"),
            Self::RequestId => Some("t.request_id"),
            Self::Tag(key) if schema.has_promoted_columns && key == TRACE_NAME => Some("t.trace_name"),
            Self::Metadata(key) if schema.has_promoted_columns && key == SESSION => Some("t.session_id"),
            Self::Tag(_) | Self::Metadata(_) => None,
        }
    }

    /// A column that is never NULL is left bare, so that an index can serve the order.
    fn is_nullable(&self) -> bool {
        matches!(self, Self::ExecutionTime | Self::Tag(_) | Self::Metadata(_))
    }
}

impl RunOrder {
    /// Pushes the joins that the order needs, between `FROM runs r` and `WHERE`.
    pub(crate) fn push_joins(&self, statement: &mut Statement) {
        for (place, (key, _)) in self.keys.iter().enumerate() {
            let (table, key) = match key {
                RunKey::Attribute(_) => continue,
                RunKey::Metric(key) => ("latest_metrics", key),
                RunKey::Param(key) => ("params", key),
                RunKey::Tag(key) => ("tags", key),
            };
            push_join(statement, table, ".run_uuid", " = r.run_uuid", place, key);
        }
    }

    /// Pushes the list that follows `ORDER BY`; it leaves no two runs equal.
    pub(crate) fn push(&self, statement: &mut Statement) {
        for (place, (key, direction)) in self.keys.iter().enumerate() {
            match key {
                RunKey::Attribute(RunAttribute::Text(text)) => {
                    push_nullable(statement, text.column(), *direction);
                }
                RunKey::Attribute(RunAttribute::Time(time)) => {
                    push_nullable(statement, time.column(), *direction);
                }
                RunKey::Metric(_) => {
                    // NaN stands after the numbers, and before what has no value.
                    statement
                        .push("CASE WHEN j")
                        .number(place)
                        .push(".is_nan = TRUE THEN 1 WHEN j");
                    statement
                        .number(place)
                        .push(".value IS NULL THEN 2 ELSE 0 END, j");
                    statement.number(place).push(".value");
                    direction.push(statement);
                }
                RunKey::Param(_) | RunKey::Tag(_) => push_joined(statement, place, *direction),
            }
            statement.push(", ");
        }
        let start = RunKey::Attribute(RunAttribute::Time(RunTime::Start));
        if !self.keys.iter().any(|(key, _)| *key == start) {
            statement.push("r.start_time DESC, ");
        }
        statement.push("r.run_uuid");
    }
}
