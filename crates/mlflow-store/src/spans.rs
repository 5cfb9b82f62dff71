//! A trace's spans: first where they are and how large, then their texts, some at a time.
//!
//! No read stays open while someone reads slowly: in SQLite it would keep MLflow from writing.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use bytes::Bytes;
use domain::{TraceId, span_text};
use futures::FutureExt;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde::Deserialize;
use tokio_util::task::AbortOnDropHandle;

use crate::MlflowStore;
use crate::artifacts::{self, ArtifactText};
use crate::error::DatabaseError;
use crate::json_column;
use crate::row::Row;
use crate::sql::Statement;
use crate::sqlite::interrupted;
use crate::traces::{texts, unknown_trace};

/// Portions of a trace's texts that are read and checked side by side.
const SIDE_BY_SIDE: u8 = 2;

/// How large a portion is, in bytes, its last span not counted: so large that the trace is read in as few as are read side by
/// side, and so small that a stream begins at once.
const PORTION_BYTES: RangeInclusive<i64> = 256 << 10..=1 << 20;

/// A trace's spans as they come, in MLflow's dictionary format.
pub struct StoredSpans {
    /// How many bytes come.
    pub content_length: Option<u64>,
    /// The bytes of the largest span, where that is known before it is read.
    pub largest_span: Option<u64>,
    /// What comes. Dropping it ends the read.
    pub pieces: StoredPieces,
}

/// What comes of a trace's spans.
pub enum StoredPieces {
    /// Whole spans, roots first, then by their beginning, some at a time, each checked ([`span_text`]).
    Spans(BoxStream<'static, Result<Vec<Bytes>, DatabaseError>>),
    /// The JSON text `{"spans":[…]}` in pieces, as an artifact holds it.
    Text(BoxStream<'static, Result<Bytes, DatabaseError>>),
}

impl std::fmt::Debug for StoredPieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Spans(_) => "Spans",
            Self::Text(_) => "Text",
        })
    }
}

impl std::fmt::Debug for StoredSpans {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredSpans")
            .field("content_length", &self.content_length)
            .finish_non_exhaustive()
    }
}

impl From<ArtifactText> for StoredSpans {
    fn from(text: ArtifactText) -> Self {
        Self {
            content_length: Some(text.length),
            largest_span: None,
            pieces: StoredPieces::Text(text.pieces.map_err(DatabaseError::Artifact).boxed()),
        }
    }
}

/// Where a trace keeps its spans, by its tags, and which there are in the database.
struct Whereabouts {
    spans_location: Option<String>,
    artifact_location: Option<String>,
    stored: Vec<SpanLength>,
}

/// A span in the database: its id, and the length of its text.
#[derive(Deserialize)]
struct SpanLength(String, i64);

impl MlflowStore {
    /// Opens a trace's spans.
    ///
    /// # Errors
    /// [`DatabaseError::NotFound`] when there is no such trace, [`DatabaseError::SpansNotFound`] when it has no spans, or
    /// none that can be reached from here. Later errors come out of the stream.
    pub async fn open_spans(&self, id: &TraceId) -> Result<StoredSpans, DatabaseError> {
        let whereabouts = self.whereabouts(id).await?;
        match whereabouts.spans_location.as_deref() {
            Some("TRACKING_STORE") => self.open_stored(id, whereabouts.stored),
            Some("ARCHIVE_REPO") => Err(archived()),
            _ => {
                let location = whereabouts.artifact_location.ok_or_else(|| {
                    DatabaseError::SpansNotFound("MLflow does not say where they are".to_owned())
                })?;
                Ok(artifacts::open_spans(self.artifacts(), &location).await?.into())
            }
        }
    }

    /// The spans of many traces in two statements, each trace's whole and in its order. Left out are traces whose spans are
    /// not in the database and those that do not fit into so many bytes together.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read_many_spans(
        &self,
        ids: &[TraceId],
        bytes: usize,
    ) -> Result<HashMap<TraceId, Vec<Bytes>>, DatabaseError> {
        if !self.schema().await?.shape.has_spans {
            return Ok(HashMap::new());
        }
        let fitting = self.fitting(ids, bytes).await?;
        if fitting.is_empty() {
            return Ok(HashMap::new());
        }
        let mut statement = Statement::new(self.dialect(), TEXTS);
        statement.is_one_of("trace_id", &fitting);
        let read = |rows: Vec<Row>| {
            let mut spans: HashMap<TraceId, Option<Vec<Bytes>>> = HashMap::new();
            for text in sorted(&rows)? {
                let id = text
                    .trace_id
                    .parse()
                    .map_err(|_| unreadable("a trace's id is none"))?;
                let all = spans.entry(id).or_insert_with(|| Some(Vec::new()));
                // One that cannot be had (archived since, or no JSON) leaves its trace out.
                match (text.checked(), &mut *all) {
                    (Ok(content), Some(all)) => all.push(content),
                    (Ok(_), None) => {}
                    (Err(_), all) => *all = None,
                }
            }
            Ok(spans
                .into_iter()
                .filter_map(|(id, all)| Some((id, all?)))
                .collect())
        };
        self.fetch(&statement, read).await
    }

    /// Those whose spans are stored here and fit together.
    async fn fitting(&self, ids: &[TraceId], bytes: usize) -> Result<Vec<String>, DatabaseError> {
        // The length of a text is told without reading it, by both databases.
        let mut statement = Statement::new(
            self.dialect(),
            "SELECT s.trace_id, CAST(SUM(octet_length(s.content)) AS BIGINT), MIN(octet_length(s.content))
             FROM trace_tags l JOIN spans s ON s.trace_id = l.request_id
             WHERE l.key = 'mlflow.trace.spansLocation' AND l.value = 'TRACKING_STORE' AND ",
        );
        statement.is_one_of("l.request_id", &texts(ids));
        statement.push(" GROUP BY s.trace_id");
        let mut left = i64::try_from(bytes).unwrap_or(i64::MAX);
        let fitting = move |rows: Vec<Row>| {
            let mut fitting = Vec::with_capacity(rows.len());
            for row in rows {
                let (size, smallest) = (row.needed_int(1)?, row.needed_int(2)?);
                // Archived spans keep their rows and lose their content (3.14).
                if smallest > 0 && size <= left {
                    left -= size;
                    fitting.push(row.needed_text(0)?);
                }
            }
            Ok(fitting)
        };
        self.fetch(&statement, fitting).await
    }

    async fn whereabouts(&self, id: &TraceId) -> Result<Whereabouts, DatabaseError> {
        let mut statement = Statement::new(
            self.dialect(),
            "SELECT (SELECT value FROM trace_tags WHERE request_id = t.request_id AND key = 'mlflow.trace.spansLocation'),
             (SELECT value FROM trace_tags WHERE request_id = t.request_id AND key = 'mlflow.artifactLocation'), ",
        );
        if self.schema().await?.shape.has_spans {
            statement
                .push("(SELECT ")
                .begin_list()
                .push("s.span_id, octet_length(s.content)");
            statement.end_list(IN_ORDER).pick("", "::text");
            statement.push(" FROM spans s WHERE s.trace_id = t.request_id)");
        } else {
            statement.push("NULL");
        }
        statement
            .push(" FROM trace_info t WHERE t.request_id = ")
            .bind(id.as_str());
        let id = id.clone();
        let read = move |rows: Vec<Row>| {
            let row = rows.first().ok_or_else(|| unknown_trace(&id))?;
            Ok(Whereabouts {
                spans_location: row.text(0)?,
                artifact_location: row.text(1)?,
                stored: json_column::list(row, 2, "spans")?,
            })
        };
        self.fetch(&statement, read).await
    }

    fn open_stored(&self, id: &TraceId, listed: Vec<SpanLength>) -> Result<StoredSpans, DatabaseError> {
        if listed.is_empty() {
            return Err(DatabaseError::SpansNotFound("none were logged yet".to_owned()));
        }
        // Archived spans keep their rows and lose their content (3.14).
        if listed.iter().any(|SpanLength(_, bytes)| *bytes == 0) {
            return Err(archived());
        }
        let lengths = || listed.iter().map(|SpanLength(_, bytes)| *bytes);
        let (bytes, largest) = (lengths().sum::<i64>(), lengths().max().unwrap_or_default());
        let (store, id) = (self.clone(), id.clone());
        let pieces = stream::iter(portions(listed)).map(move |portion| {
            let (store, id) = (store.clone(), id.clone());
            // On its own: one that is read gives its connection back even while nobody takes what was read.
            let read = tokio::spawn(async move { store.read_spans(&id, &portion).await });
            AbortOnDropHandle::new(read).map(|read| read.unwrap_or_else(|_| Err(interrupted())))
        });
        let pieces = pieces.buffered(SIDE_BY_SIDE.into());
        Ok(StoredSpans {
            content_length: u64::try_from(bytes).ok(),
            largest_span: u64::try_from(largest).ok(),
            pieces: StoredPieces::Spans(pieces.boxed()),
        })
    }

    /// The texts of some spans of a trace, in their order.
    async fn read_spans(&self, id: &TraceId, span_ids: &[String]) -> Result<Vec<Bytes>, DatabaseError> {
        let mut statement = Statement::new(self.dialect(), TEXTS);
        statement
            .push("trace_id = ")
            .bind(id.as_str())
            .push(" AND ")
            .is_one_of("span_id", span_ids);
        let expected = span_ids.len();
        let read = move |rows: Vec<Row>| {
            let texts = sorted(&rows)?;
            if texts.len() != expected {
                let message = "some were deleted while they were read".to_owned();
                return Err(DatabaseError::SpansNotFound(message));
            }
            texts.into_iter().map(Text::checked).collect()
        };
        self.fetch(&statement, read).await
    }
}

/// Sorted here: the database would copy every text into its sorter.
fn sorted(rows: &[Row]) -> Result<Vec<Text>, DatabaseError> {
    let mut texts = rows.iter().map(Text::read).collect::<Result<Vec<_>, _>>()?;
    texts.sort_unstable_by(|a, b| a.place.cmp(&b.place));
    Ok(texts)
}

/// The columns of [`Text`], of the spans of a condition that follows.
const TEXTS: &str = "
    SELECT CASE WHEN parent_span_id IS NULL THEN 0 ELSE 1 END, start_time_unix_nano, span_id, trace_id, content
    FROM spans WHERE ";

/// As MLflow gives them: roots first, then by their beginning.
const IN_ORDER: &str = " ORDER BY s.parent_span_id IS NOT NULL, s.start_time_unix_nano, s.span_id";

/// A span's text, and where it stands among the others: roots first, then by their beginning.
struct Text {
    place: (i64, i64, String),
    trace_id: String,
    content: Bytes,
}

impl Text {
    fn read(row: &Row) -> Result<Self, DatabaseError> {
        Ok(Self {
            place: (row.needed_int(0)?, row.needed_int(1)?, row.needed_text(2)?),
            trace_id: row.needed_text(3)?,
            content: row.needed_bytes(4)?,
        })
    }

    fn checked(self) -> Result<Bytes, DatabaseError> {
        if self.content.is_empty() {
            return Err(archived());
        }
        let (_, _, id) = self.place;
        span_text::checked(self.content).ok_or_else(|| unreadable(&format!("span {id} is not valid JSON")))
    }
}

fn archived() -> DatabaseError {
    DatabaseError::SpansNotFound(
        "MLflow moved them to its archive, which is read through an MLflow server".to_owned(),
    )
}

fn unreadable(reason: &str) -> DatabaseError {
    DatabaseError::Unreadable {
        table: "spans",
        reason: reason.to_owned(),
    }
}

/// Cuts a list of spans into portions; a span larger than a portion is read alone.
fn portions(listed: Vec<SpanLength>) -> Vec<Arc<[String]>> {
    let total: i64 = listed.iter().map(|SpanLength(_, bytes)| bytes).sum();
    let enough = (total / i64::from(SIDE_BY_SIDE)).clamp(*PORTION_BYTES.start(), *PORTION_BYTES.end());
    let (mut portions, mut portion, mut size) = (Vec::new(), Vec::new(), 0);
    for SpanLength(span_id, bytes) in listed {
        if !portion.is_empty() && (size >= enough || bytes > enough) {
            portions.push(std::mem::take(&mut portion).into());
            size = 0;
        }
        size += bytes;
        portion.push(span_id);
    }
    if !portion.is_empty() {
        portions.push(portion.into());
    }
    portions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(sizes: &[i64]) -> Vec<usize> {
        let listed = sizes
            .iter()
            .enumerate()
            .map(|(index, bytes)| SpanLength(index.to_string(), *bytes));
        let portions = portions(listed.collect());
        let order: Vec<_> = portions
            .iter()
            .flat_map(|portion| portion.iter().cloned())
            .collect();
        assert_eq!(
            order,
            (0..sizes.len())
                .map(|index| index.to_string())
                .collect::<Vec<_>>()
        );
        portions.iter().map(|portion| portion.len()).collect()
    }

    #[test]
    fn what_is_small_is_read_at_once_and_what_is_large_begins_small() {
        assert_eq!(cut(&[]), Vec::<usize>::new());
        assert_eq!(cut(&[1; 1000]), [1000]);
        let cut_evenly = cut(&[100 << 10; 12]);
        assert_eq!(cut_evenly, [6, 6]);
        let of_a_large_trace = cut(&[100 << 10; 1000]);
        assert_eq!((of_a_large_trace[0], of_a_large_trace.len()), (11, 91));
    }

    #[test]
    fn a_span_larger_than_a_portion_is_read_alone() {
        assert_eq!(cut(&[1, 1, 20 << 20, 1, 1]), [2, 1, 2]);
    }
}
