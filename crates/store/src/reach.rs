//! What is assigned to a user: the sessions, and the traces in them.

use domain::{LabelingSessionId, ReviewAppId, RunId, TraceId};
use sqlx::query;

use crate::Store;
use crate::error::StoreError;
use crate::labeling_sessions::keys_text;
use crate::row::Reader;

/// A session that is assigned to a user, with one of its traces; `None` for a session without any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The session.
    pub labeling_session_id: LabelingSessionId,
    /// Its run, if it has one.
    pub mlflow_run_id: Option<RunId>,
    /// One of its traces.
    pub trace_id: Option<TraceId>,
}

const ASSIGNED_SQLITE: &str = "
    SELECT s.labeling_session_id, s.mlflow_run_id, i.trace_id
    FROM ts_labeling_sessions s LEFT JOIN ts_items i ON i.labeling_session_id = s.labeling_session_id
    WHERE s.review_app_id = $1 AND s.labeling_session_id IN (
        SELECT labeling_session_id FROM ts_session_users WHERE user_key IN (SELECT value FROM json_each($2)))";

const ASSIGNED_POSTGRES: &str = "
    SELECT s.labeling_session_id, s.mlflow_run_id, i.trace_id
    FROM ts_labeling_sessions s LEFT JOIN ts_items i ON i.labeling_session_id = s.labeling_session_id
    WHERE s.review_app_id = $1 AND s.labeling_session_id IN (
        SELECT labeling_session_id FROM ts_session_users
        WHERE user_key IN (SELECT jsonb_array_elements_text($2::jsonb)))";

impl Store {
    /// What is assigned in a review app to somebody who goes by one of these names, in any case.
    pub async fn assignments(
        &self,
        app: &ReviewAppId,
        names: &[String],
    ) -> Result<Vec<Assignment>, StoreError> {
        let rows = query(self.dialect.pick(ASSIGNED_SQLITE, ASSIGNED_POSTGRES))
            .bind(app.as_str())
            .bind(keys_text(names))
            .fetch_all(&mut *self.connection().await?)
            .await?;
        let assignment = |row: &_| {
            let row = Reader {
                table: "ts_items",
                row,
            };
            let trace_id: Option<String> = row.get("trace_id")?;
            Ok(Assignment {
                labeling_session_id: row.id("labeling_session_id")?,
                mlflow_run_id: Some(row.id("mlflow_run_id")?),
                trace_id: trace_id.is_some().then(|| row.id("trace_id")).transpose()?,
            })
        };
        rows.iter().map(assignment).collect()
    }
}
