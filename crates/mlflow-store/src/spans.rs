//! A trace's spans: first where they are and how large, then their texts, some at a time.
//!
//! No read stays open while someone reads slowly: in SQLite it would keep MLflow from writing.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use domain::TraceId;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde::Deserialize;

use crate::MlflowStore;
use crate::artifacts::{self, ArtifactText};
use crate::error::DatabaseError;
use crate::json_list;
use crate::row::Row;
use crate::sql::Statement;
use crate::traces::{texts, unknown_trace};

/// Texts that are read at once: few, so that a stream begins at once and what comes is worked on while the next is read. A
/// larger span is read alone.
const PORTION_BYTES: i64 = 256 << 10;

/// Portions that are read while the one before is worked on.
const READ_AHEAD: usize = 2;

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
    /// Whole spans, roots first, then by their beginning, some at a time.
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
        let mut spans: HashMap<TraceId, Vec<Bytes>> = HashMap::new();
        if !self.schema().await?.shape.has_spans {
            return Ok(spans);
        }
        let fitting = self.fitting(ids, bytes).await?;
        if fitting.is_empty() {
            return Ok(spans);
        }
        let mut statement = Statement::new(self.dialect(), TEXTS);
        statement.is_one_of("trace_id", &fitting);
        for text in self.sorted_texts(&statement).await? {
            let id = text
                .trace_id
                .parse()
                .map_err(|_| broken("a trace's id is none"))?;
            spans.entry(id).or_default().push(text.content);
        }
        // Archived since the look at their lengths.
        spans.retain(|_, texts| texts.iter().all(|text| !text.is_empty()));
        Ok(spans)
    }

    /// Those whose spans are stored here and fit together.
    async fn fitting(&self, ids: &[TraceId], bytes: usize) -> Result<Vec<String>, DatabaseError> {
        let mut statement = Statement::new(self.dialect(), "SELECT ");
        statement
            .begin_list()
            .push("f.trace_id, f.bytes, f.smallest")
            .end_list("");
        // The length of a text is told without reading it, by both databases.
        statement.pick("", "::text").push(
            " FROM (SELECT s.trace_id, CAST(SUM(octet_length(s.content)) AS BIGINT) AS bytes,
                 MIN(octet_length(s.content)) AS smallest
             FROM trace_tags l JOIN spans s ON s.trace_id = l.request_id
             WHERE l.key = 'mlflow.trace.spansLocation' AND l.value = 'TRACKING_STORE' AND ",
        );
        statement.is_one_of("l.request_id", &texts(ids));
        statement.push(" GROUP BY s.trace_id) f");
        let found = self.fetch_list::<(String, i64, i64)>(&statement, "spans").await?;
        let mut left = i64::try_from(bytes).unwrap_or(i64::MAX);
        // Archived spans keep their rows and lose their content (3.14).
        let fitting = found.into_iter().flatten().filter(|(_, size, smallest)| {
            let fits = *smallest > 0 && *size <= left;
            left -= if fits { *size } else { 0 };
            fits
        });
        Ok(fitting.map(|(id, ..)| id).collect())
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
        let rows = self.fetch_all(&statement).await?;
        let row = rows.first().ok_or_else(|| unknown_trace(id))?;
        Ok(Whereabouts {
            spans_location: row.text(0)?,
            artifact_location: row.text(1)?,
            stored: json_list::list(row, 2, "spans")?,
        })
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
            async move { store.read_spans(&id, &portion).await }
        });
        let pieces = pieces.buffered(READ_AHEAD);
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
        let texts = self.sorted_texts(&statement).await?;
        if texts.len() != span_ids.len() {
            let message = "some were deleted while they were read".to_owned();
            return Err(DatabaseError::SpansNotFound(message));
        }
        if texts.iter().any(|text| text.content.is_empty()) {
            return Err(archived());
        }
        Ok(texts.into_iter().map(|text| text.content).collect())
    }

    /// Sorted here: the database would copy every text into its sorter.
    async fn sorted_texts(&self, statement: &Statement) -> Result<Vec<Text>, DatabaseError> {
        let rows = self.fetch_all(statement).await?;
        let mut texts = rows.iter().map(Text::read).collect::<Result<Vec<_>, _>>()?;
        texts.sort_unstable_by(|a, b| a.place.cmp(&b.place));
        Ok(texts)
    }
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
}

fn archived() -> DatabaseError {
    DatabaseError::SpansNotFound(
        "MLflow moved them to its archive, which is read through an MLflow server".to_owned(),
    )
}

fn broken(reason: &str) -> DatabaseError {
    DatabaseError::Unreadable {
        table: "spans",
        reason: reason.to_owned(),
    }
}

/// Cuts a list of spans into what is read at once.
fn portions(listed: Vec<SpanLength>) -> Vec<Arc<[String]>> {
    let (mut portions, mut portion, mut size) = (Vec::new(), Vec::new(), 0);
    for SpanLength(span_id, bytes) in listed {
        if size + bytes > PORTION_BYTES && !portion.is_empty() {
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
        let spans = [100 << 10; 100];
        let cut = cut(&spans);
        assert_eq!((cut[0], cut.len()), (2, 50));
    }

    #[test]
    fn a_span_larger_than_a_portion_is_read_alone() {
        assert_eq!(cut(&[1, 20 << 20, 1, 1]), [1, 1, 2]);
    }
}
