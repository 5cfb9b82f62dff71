//! Lines of an export packed as one Parquet file, which pandas, Polars, Spark and DuckDB read as a table.
//!
//! A Parquet file says at its end what is in it, so that one that was broken off is worth nothing. Traces are therefore written
//! as lines first, and packed once all are there; a row is a trace.

mod rows;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use tokio_util::sync::CancellationToken;

use rows::Rows;

/// Rows are packed together up to about this size, in bytes of their lines: it is what is held in memory.
const ENOUGH: usize = 64 << 20;

/// Values that are encoded at once, so that a page of large ones is not much larger than a page should be.
const AT_ONCE: usize = 64;

/// What cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] io::Error),
    /// The library refuses.
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    /// A line is not what we write.
    #[error("line {number} is no trace: {error}")]
    Line {
        /// Which, from 1.
        number: usize,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// Nobody waits for it any more.
    #[error("stopped")]
    Stopped,
}

/// Writes all lines of one file as rows of another, and says how many bytes that has. Blocks; `stop` ends it. What does not come to
/// its end leaves no file: a part of a table is none.
pub(super) fn pack(lines: &Path, rows: &Path, stop: &CancellationToken) -> Result<u64, PackError> {
    let packed = packed(lines, rows, stop);
    if packed.is_err() {
        let _ = std::fs::remove_file(rows);
    }
    packed
}

fn packed(lines: &Path, rows: &Path, stop: &CancellationToken) -> Result<u64, PackError> {
    let mut lines = BufReader::with_capacity(1 << 20, File::open(lines)?);
    let schema = Arc::new(parquet::schema::parser::parse_message_type(rows::SCHEMA)?);
    let mut writer = SerializedFileWriter::new(File::create(rows)?, schema, Arc::new(properties()))?;
    let (mut held, mut bytes) = (Rows::default(), 0);
    for number in 1.. {
        if stop.is_cancelled() {
            return Err(PackError::Stopped);
        }
        let mut line = Vec::new();
        if lines.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        bytes += line.len();
        let added = held.add(&Bytes::from(line));
        added.map_err(|error| PackError::Line { number, error })?;
        if bytes >= ENOUGH {
            std::mem::take(&mut held).write(&mut writer)?;
            bytes = 0;
        }
    }
    if bytes > 0 {
        held.write(&mut writer)?;
    }
    let file = writer.into_inner()?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

/// Texts that differ from row to row are not looked up in a dictionary first.
fn properties() -> WriterProperties {
    let own = format!("trace-server version {}", env!("CARGO_PKG_VERSION"));
    let properties = WriterProperties::builder()
        .set_created_by(own)
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_write_batch_size(AT_ONCE);
    let all_differ = rows::ALL_DIFFER.iter();
    all_differ
        .fold(properties, |properties, path| {
            let path = path.split('.').map(str::to_owned).collect();
            properties.set_column_dictionary_enabled(ColumnPath::new(path), false)
        })
        .build()
}
