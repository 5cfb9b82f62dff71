//! Traces without their spans: search, and by id.

use std::collections::HashMap;

use domain::{SearchTraces, TraceId, TraceInfo, TracePage};

use crate::MlflowStore;
use crate::error::DatabaseError;
use crate::filter::{TraceFilter, TraceOrder};
use crate::page_token::{read_page_token, write_page_token};
use crate::schema::Schema;
use crate::sql::Statement;
use crate::trace_columns;

impl MlflowStore {
    /// Traces of some experiments, without spans, in one statement. Pages go by offset, as MLflow's own, and their tokens
    /// are MLflow's.
    ///
    /// # Errors
    /// [`DatabaseError::Refused`] when filter, order or page token cannot be read. An unknown experiment is no error:
    /// nothing is found there.
    pub async fn search_traces(&self, search: &SearchTraces) -> Result<TracePage, DatabaseError> {
        let filter = TraceFilter::parse(search.filter.as_deref().unwrap_or_default())?;
        let order = TraceOrder::parse(&search.order_by)?;
        let offset = read_page_token(search.page_token.as_deref())?;
        let experiments: Vec<i64> = search
            .experiment_ids
            .iter()
            .filter_map(|id| id.as_str().parse().ok())
            .collect();
        if experiments.is_empty() || search.max_results == 0 {
            return Ok(TracePage {
                traces: Vec::new(),
                next_page_token: None,
            });
        }
        let schema = self.schema().await?;
        let wanted = i64::from(search.max_results);
        let mut statement = Statement::new(self.dialect(), "");
        trace_columns::push_with_children(&mut statement, schema.shape);
        statement.push("(SELECT ");
        trace_columns::push_own(&mut statement, schema.shape);
        statement.push(" FROM trace_info t");
        order.push_joins(&mut statement, schema.shape);
        statement.push(" WHERE ");
        filter.push_experiments(&mut statement, &experiments);
        filter.push_conditions(&mut statement, schema.shape, &experiments)?;
        statement.push(" ORDER BY ");
        order.push(&mut statement, schema.shape);
        // One more than wanted tells whether there is a next page.
        statement
            .push(" LIMIT ")
            .bind(wanted + 1)
            .push(" OFFSET ")
            .bind(offset)
            .push(") page");
        let mut traces = self.infos(&statement, &schema).await?;
        let has_more = traces.len() > search.max_results as usize;
        traces.truncate(search.max_results as usize);
        Ok(TracePage {
            traces,
            next_page_token: has_more.then(|| write_page_token(offset + wanted)),
        })
    }

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
        let mut statement = Statement::new(self.dialect(), "");
        trace_columns::push_with_children(&mut statement, schema.shape);
        statement.push("(SELECT ");
        trace_columns::push_own(&mut statement, schema.shape);
        statement.push(" FROM trace_info t WHERE ");
        statement.is_one_of("t.request_id", &texts(ids));
        statement.push(") page");
        let found = self.infos(&statement, &schema).await?;
        let mut by_id: HashMap<_, _> = found
            .into_iter()
            .map(|info| (info.trace_id.clone(), info))
            .collect();
        Ok(ids.iter().filter_map(|id| by_id.remove(id)).collect())
    }

    async fn infos(&self, statement: &Statement, schema: &Schema) -> Result<Vec<TraceInfo>, DatabaseError> {
        let rows = self.fetch_all(statement).await?;
        rows.iter()
            .map(|row| trace_columns::read(row, schema.shape))
            .collect()
    }
}

pub(crate) fn unknown_trace(id: &TraceId) -> DatabaseError {
    DatabaseError::NotFound(format!("there is no trace {id}"))
}

pub(crate) fn texts(ids: &[TraceId]) -> Vec<String> {
    ids.iter().map(|id| id.as_str().to_owned()).collect()
}
