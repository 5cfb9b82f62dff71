//! Traces as rows, column by column.

use std::collections::BTreeMap;
use std::io::Write;

use bytes::Bytes;
use domain::{Timestamp, TraceLocation};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The columns, by the names of the API; their order is that of [`Rows`]. Assessments and spans are JSON texts, one each: what is
/// in them differs from one to the next.
pub(super) const SCHEMA: &str = "
    message traces {
        REQUIRED BYTE_ARRAY trace_id (UTF8);
        OPTIONAL BYTE_ARRAY client_request_id (UTF8);
        OPTIONAL BYTE_ARRAY experiment_id (UTF8);
        OPTIONAL INT64 request_time (TIMESTAMP(MILLIS,true));
        OPTIONAL INT64 execution_duration_ms;
        REQUIRED BYTE_ARRAY state (UTF8);
        OPTIONAL BYTE_ARRAY request_preview (UTF8);
        OPTIONAL BYTE_ARRAY response_preview (UTF8);
        REQUIRED GROUP trace_metadata (MAP) {
            REPEATED GROUP key_value { REQUIRED BYTE_ARRAY key (UTF8); REQUIRED BYTE_ARRAY value (UTF8); }
        }
        REQUIRED GROUP tags (MAP) {
            REPEATED GROUP key_value { REQUIRED BYTE_ARRAY key (UTF8); REQUIRED BYTE_ARRAY value (UTF8); }
        }
        REQUIRED GROUP assessments (LIST) { REPEATED GROUP list { REQUIRED BYTE_ARRAY element (UTF8); } }
        REQUIRED GROUP spans (LIST) { REPEATED GROUP list { REQUIRED BYTE_ARRAY element (UTF8); } }
    }
";

/// Columns of which hardly two values are equal.
pub(super) const ALL_DIFFER: [&str; 6] = [
    "trace_id",
    "client_request_id",
    "request_preview",
    "response_preview",
    "assessments.list.element",
    "spans.list.element",
];

/// Rows that are written together.
#[derive(Debug, Default)]
pub(super) struct Rows {
    trace_id: Column<ByteArray>,
    client_request_id: Column<ByteArray>,
    experiment_id: Column<ByteArray>,
    request_time: Column<i64>,
    execution_duration_ms: Column<i64>,
    state: Column<ByteArray>,
    request_preview: Column<ByteArray>,
    response_preview: Column<ByteArray>,
    trace_metadata: [Column<ByteArray>; 2],
    tags: [Column<ByteArray>; 2],
    assessments: Column<ByteArray>,
    spans: Column<ByteArray>,
}

/// A line as `GET /api/traces/{trace_id}` answers it, as far as columns have it.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    info: Info<'a>,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Info<'a> {
    trace_id: String,
    client_request_id: Option<String>,
    trace_location: TraceLocation,
    request_time: Timestamp,
    execution_duration_ms: Option<u64>,
    state: String,
    request_preview: Option<String>,
    response_preview: Option<String>,
    trace_metadata: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    #[serde(borrow)]
    assessments: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    spans: Vec<&'a RawValue>,
}

impl Rows {
    /// Adds a line; its assessments and spans are held where they stand in it.
    pub(super) fn add(&mut self, line: &Bytes) -> Result<(), serde_json::Error> {
        let Line { info, data } = serde_json::from_slice(line)?;
        let experiment = info.trace_location.mlflow_experiment;
        self.trace_id.add(text(info.trace_id));
        self.client_request_id.add_some(info.client_request_id.map(text));
        self.experiment_id
            .add_some(experiment.map(|location| text(location.experiment_id.to_string())));
        self.request_time.add_some(info.request_time.unix_ms());
        let duration = info.execution_duration_ms.and_then(|ms| i64::try_from(ms).ok());
        self.execution_duration_ms.add_some(duration);
        self.state.add(text(info.state));
        self.request_preview.add_some(info.request_preview.map(text));
        self.response_preview.add_some(info.response_preview.map(text));
        add_map(&mut self.trace_metadata, info.trace_metadata);
        add_map(&mut self.tags, info.tags);
        let held = |raw: &&RawValue| ByteArray::from(line.slice_ref(raw.get().as_bytes()));
        self.assessments.add_all(info.assessments.iter().map(held));
        self.spans.add_all(data.spans.iter().map(held));
        Ok(())
    }

    /// Writes all of them, in the order of [`SCHEMA`].
    pub(super) fn write(self, to: &mut SerializedFileWriter<impl Write + Send>) -> Result<(), ParquetError> {
        let mut group = to.next_row_group()?;
        let to = &mut group;
        self.trace_id.write::<ByteArrayType>(to)?;
        self.client_request_id.write::<ByteArrayType>(to)?;
        self.experiment_id.write::<ByteArrayType>(to)?;
        self.request_time.write::<Int64Type>(to)?;
        self.execution_duration_ms.write::<Int64Type>(to)?;
        self.state.write::<ByteArrayType>(to)?;
        self.request_preview.write::<ByteArrayType>(to)?;
        self.response_preview.write::<ByteArrayType>(to)?;
        for column in self.trace_metadata.into_iter().chain(self.tags) {
            column.write::<ByteArrayType>(to)?;
        }
        self.assessments.write::<ByteArrayType>(to)?;
        self.spans.write::<ByteArrayType>(to)?;
        group.close()?;
        Ok(())
    }
}

fn text(text: String) -> ByteArray {
    ByteArray::from(Bytes::from(text))
}

fn add_map([keys, values]: &mut [Column<ByteArray>; 2], map: BTreeMap<String, String>) {
    let (of_keys, of_values): (Vec<_>, Vec<_>) = map.into_iter().unzip();
    keys.add_all(of_keys.into_iter().map(text));
    values.add_all(of_values.into_iter().map(text));
}

/// The values of a column, and by Parquet's levels which of them are there (`definition`) and where rows begin (`repetition`).
#[derive(Debug)]
struct Column<T> {
    values: Vec<T>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            definition: Vec::new(),
            repetition: Vec::new(),
        }
    }
}

impl<T> Column<T> {
    /// A row of a column that has a value in each.
    fn add(&mut self, value: T) {
        self.values.push(value);
    }

    /// A row of a column that may have none.
    fn add_some(&mut self, value: Option<T>) {
        self.definition.push(i16::from(value.is_some()));
        self.values.extend(value);
    }

    /// A row of a column that has any number of them.
    fn add_all(&mut self, values: impl Iterator<Item = T>) {
        let before = self.values.len();
        self.values.extend(values);
        let added = self.values.len() - before;
        let begins_row = std::iter::once(0).chain(std::iter::repeat(1));
        self.repetition.extend(begins_row.take(added.max(1)));
        self.definition
            .extend(std::iter::repeat_n(i16::from(added > 0), added.max(1)));
    }

    fn write<D: DataType<T = T>>(
        self,
        to: &mut SerializedRowGroupWriter<'_, impl Write + Send>,
    ) -> Result<(), ParquetError> {
        let column = to.next_column()?;
        let mut column =
            column.ok_or_else(|| ParquetError::General("the schema has no such column".to_owned()))?;
        let levels = |levels: Vec<i16>| (!levels.is_empty()).then_some(levels);
        let (definition, repetition) = (levels(self.definition), levels(self.repetition));
        column
            .typed::<D>()
            .write_batch(&self.values, definition.as_deref(), repetition.as_deref())?;
        column.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_say_where_rows_begin_and_what_is_not_there() {
        let mut column = Column::default();
        for row in [&[1, 2, 3][..], &[], &[4]] {
            column.add_all(row.iter().copied());
        }
        assert_eq!(column.values, [1, 2, 3, 4]);
        assert_eq!(column.repetition, [0, 1, 1, 0, 0]);
        assert_eq!(column.definition, [1, 1, 1, 0, 1]);
    }
}
