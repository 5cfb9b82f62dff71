//! Traces without their spans, by id.

use std::collections::HashMap;

use domain::{TraceId, TraceInfo};

use crate::MlflowStore;
use crate::error::DatabaseError;
use crate::row::Row;
use crate::schema::Schema;
use crate::sql::Statement;
use crate::trace_row;

impl MlflowStore {
    /// One trace, without spans.
    ///
    /// # Errors
    /// [`DatabaseError::NotFound`].
    pub async fn get_trace_info(&self, id: &TraceId) -> Result<TraceInfo, DatabaseError> {
        let infos = self.get_trace_infos(std::slice::from_ref(id)).await?;
        infos.into_iter().next().ok_or_else(|| unknown_trace(id))
    }

    /// Many traces without spans, in one statement. Unknown ones are left out; the others come in the order asked for,
    /// each once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn get_trace_infos(&self, ids: &[TraceId]) -> Result<Vec<TraceInfo>, DatabaseError> {
        let schema = self.schema().await?;
        let mut statement = Statement::new(self.dialect(), "SELECT ");
        trace_row::push_columns(&mut statement, schema.shape);
        statement.push("(SELECT ");
        trace_row::push_own(&mut statement, schema.shape);
        statement.push(" FROM trace_info t WHERE ");
        statement.is_one_of("t.request_id", &texts(ids));
        statement.push(") page");
        let found = self.infos(&statement, &schema).await?;
        let keyed = |info: TraceInfo| (info.trace_id.clone(), info);
        let mut by_id = found
            .into_iter()
            .map(|info| info.map(keyed))
            .collect::<Result<HashMap<_, _>, _>>()?;
        Ok(ids.iter().filter_map(|id| by_id.remove(id)).collect())
    }

    /// The traces that a statement finds, one or the other of which may be one that cannot be read.
    pub(crate) async fn infos(
        &self,
        statement: &Statement,
        schema: &Schema,
    ) -> Result<Vec<Result<TraceInfo, DatabaseError>>, DatabaseError> {
        let shape = schema.shape;
        let read = move |rows: Vec<Row>| Ok(rows.iter().map(|row| trace_row::read(row, shape)).collect());
        self.fetch(statement, read).await
    }
}

pub(crate) fn unknown_trace(id: &TraceId) -> DatabaseError {
    DatabaseError::NotFound(format!("there is no trace {id}"))
}

pub(crate) fn texts(ids: &[TraceId]) -> Vec<String> {
    ids.iter().map(|id| id.as_str().to_owned()).collect()
}
