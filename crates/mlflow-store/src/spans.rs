//! A trace's spans: first where they are and how large, then their texts, some at a time.
//!
//! No read stays open while someone reads slowly: in SQLite it would keep MLflow from writing.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use domain::TraceId;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::MlflowStore;
use crate::artifacts::{self, ArtifactText};
use crate::error::DatabaseError;
use crate::row::Row;
use crate::sql::Statement;
use crate::traces::{texts, unknown_trace};

/// The first texts are few, so that a stream begins at once.
const FIRST_BYTES: i64 = 256 << 10;

/// The texts that are read at once afterwards; a larger span is read alone.
const PIECE_BYTES: i64 = 1 << 20;

/// Spans up to this size altogether are read at once.
const WHOLE_BYTES: i64 = 8 << 20;

/// The columns of [`Whereabouts`].
const WHEREABOUTS: &str = "
    SELECT (SELECT value FROM trace_tags WHERE request_id = t.request_id AND key = 'mlflow.trace.spansLocation'),
        (SELECT value FROM trace_tags WHERE request_id = t.request_id AND key = 'mlflow.artifactLocation')
    FROM trace_info t WHERE t.request_id = ";

/// The columns of [`Listed`]. The length of a text is told without reading it, by both databases.
const LISTED: &str = "SELECT span_id, CAST(octet_length(content) AS BIGINT) FROM spans WHERE trace_id = ";

/// Traces whose spans are in the database, with the size of all their spans and of the smallest.
const SIZES: &str = "
    SELECT s.trace_id, CAST(SUM(octet_length(s.content)) AS BIGINT), CAST(MIN(octet_length(s.content)) AS BIGINT)
    FROM trace_tags l JOIN spans s ON s.trace_id = l.request_id
    WHERE l.key = 'mlflow.trace.spansLocation' AND l.value = 'TRACKING_STORE' AND ";

/// The columns of [`Text`].
const TEXTS: &str = "
    SELECT CASE WHEN parent_span_id IS NULL THEN 0 ELSE 1 END, start_time_unix_nano, span_id, trace_id, content
    FROM spans WHERE ";

/// A trace's spans as they come, in MLflow's dictionary format.
pub struct StoredSpans {
    /// How many bytes come.
    pub content_length: Option<u64>,
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
            pieces: StoredPieces::Text(text.pieces.map_err(DatabaseError::Artifact).boxed()),
        }
    }
}

/// Where a trace keeps its spans, by its tags.
struct Whereabouts {
    spans_location: Option<String>,
    artifact_location: Option<String>,
}

/// A span that is to be read.
struct Listed {
    span_id: String,
    bytes: i64,
}

impl MlflowStore {
    /// Opens a trace's spans.
    ///
    /// # Errors
    /// [`DatabaseError::NotFound`] when there is no such trace, [`DatabaseError::SpansNotFound`] when it has no spans, or
    /// none that can be reached from here. Later errors come out of the stream.
    pub async fn open_spans(&self, id: &TraceId) -> Result<StoredSpans, DatabaseError> {
        let has_spans = self.schema().await?.shape.has_spans;
        let whereabouts = self.whereabouts(id).await?;
        match whereabouts.spans_location.as_deref() {
            Some("TRACKING_STORE") if has_spans => self.open_stored_spans(id).await,
            Some("ARCHIVE_REPO") => Err(DatabaseError::SpansNotFound(
                "MLflow moved them to its archive, which is read through an MLflow server".to_owned(),
            )),
            _ => {
                let location = whereabouts.artifact_location.ok_or_else(|| {
                    DatabaseError::SpansNotFound("MLflow does not say where they are".to_owned())
                })?;
                Ok(artifacts::open_spans(self.artifacts(), &location).await?.into())
            }
        }
    }

    /// The spans of many traces in two statements, each trace's whole and in its order. Left out are traces whose spans are
    /// not in the database and those that would make more than so many bytes with the ones before them.
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
            let id = text.trace_id.parse().map_err(|_| DatabaseError::Unreadable {
                table: "spans",
                reason: "a trace's id is none".to_owned(),
            })?;
            spans.entry(id).or_default().push(text.content);
        }
        Ok(spans)
    }

    /// Those whose spans are stored here and fit together.
    async fn fitting(&self, ids: &[TraceId], bytes: usize) -> Result<Vec<String>, DatabaseError> {
        let mut statement = Statement::new(self.dialect(), SIZES);
        statement.is_one_of("l.request_id", &texts(ids));
        statement.push(" GROUP BY s.trace_id");
        let mut left = i64::try_from(bytes).unwrap_or(i64::MAX);
        let mut fitting = Vec::new();
        for row in self.fetch_all(&statement).await? {
            let (size, smallest) = (row.needed_int(1)?, row.needed_int(2)?);
            // Archived spans keep their rows and lose their content (3.14).
            if smallest > 0 && size <= left {
                left -= size;
                fitting.push(row.needed_text(0)?);
            }
        }
        Ok(fitting)
    }

    async fn whereabouts(&self, id: &TraceId) -> Result<Whereabouts, DatabaseError> {
        let mut statement = Statement::new(self.dialect(), WHEREABOUTS);
        statement.bind(id.as_str());
        let rows = self.fetch_all(&statement).await?;
        let row = rows.first().ok_or_else(|| unknown_trace(id))?;
        Ok(Whereabouts {
            spans_location: row.text(0)?,
            artifact_location: row.text(1)?,
        })
    }

    async fn open_stored_spans(&self, id: &TraceId) -> Result<StoredSpans, DatabaseError> {
        let listed = self.list_spans(id).await?;
        if listed.is_empty() {
            return Err(DatabaseError::SpansNotFound("none were logged yet".to_owned()));
        }
        // Archived spans keep their rows and lose their content (3.14).
        if listed.iter().any(|span| span.bytes == 0) {
            return Err(DatabaseError::SpansNotFound(
                "MLflow moved them to its archive, which is read through an MLflow server".to_owned(),
            ));
        }
        let bytes: i64 = listed.iter().map(|span| span.bytes).sum();
        let (store, id) = (self.clone(), id.clone());
        let pieces = stream::iter(portions(listed)).then(move |portion| {
            let (store, id) = (store.clone(), id.clone());
            async move { store.read_spans(&id, &portion).await }
        });
        Ok(StoredSpans {
            content_length: u64::try_from(bytes).ok(),
            pieces: StoredPieces::Spans(pieces.boxed()),
        })
    }

    /// All spans of a trace in the order in which MLflow gives them; their texts are not touched for that.
    async fn list_spans(&self, id: &TraceId) -> Result<Vec<Listed>, DatabaseError> {
        let mut statement = Statement::new(self.dialect(), LISTED);
        statement.bind(id.as_str());
        statement.push(" ORDER BY parent_span_id IS NOT NULL, start_time_unix_nano, span_id");
        let rows = self.fetch_all(&statement).await?;
        rows.iter()
            .map(|row| {
                Ok(Listed {
                    span_id: row.needed_text(0)?,
                    bytes: row.needed_int(1)?,
                })
            })
            .collect()
    }

    /// The texts of some spans of a trace, in their order.
    async fn read_spans(&self, id: &TraceId, span_ids: &[String]) -> Result<Vec<Bytes>, DatabaseError> {
        let mut statement = Statement::new(self.dialect(), TEXTS);
        statement.push("trace_id = ").bind(id.as_str()).push(" AND ");
        statement.is_one_of("span_id", span_ids);
        let texts = self.sorted_texts(&statement).await?;
        if texts.len() != span_ids.len() {
            return Err(DatabaseError::SpansNotFound(
                "some were deleted while they were read".to_owned(),
            ));
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
            content: row.needed_text(4)?.into(),
        })
    }
}

/// Cuts a list of spans into what is read at once.
fn portions(listed: Vec<Listed>) -> Vec<Arc<[String]>> {
    let bytes: i64 = listed.iter().map(|span| span.bytes).sum();
    let mut limit = if bytes <= WHOLE_BYTES {
        WHOLE_BYTES
    } else {
        FIRST_BYTES
    };
    let (mut portions, mut portion, mut size) = (Vec::new(), Vec::new(), 0);
    for span in listed {
        if size + span.bytes > limit && !portion.is_empty() {
            portions.push(std::mem::take(&mut portion).into());
            (size, limit) = (0, limit.max(PIECE_BYTES));
        }
        size += span.bytes;
        portion.push(span.span_id);
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
        let listed = sizes.iter().enumerate().map(|(index, bytes)| Listed {
            span_id: index.to_string(),
            bytes: *bytes,
        });
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
        assert_eq!(cut(&[WHOLE_BYTES / 4; 4]), [4]);
        let spans = [100 << 10; 100];
        let cut = cut(&spans);
        assert_eq!((cut[0], cut[1]), (2, 10));
    }

    #[test]
    fn a_span_larger_than_a_portion_is_read_alone() {
        assert_eq!(cut(&[1, 20 << 20, 1, 1]), [1, 1, 2]);
    }
}
