//! Traces found by a filter.
//!
//! PostgreSQL knows how often a value occurs and finds its own way. SQLite does not: it walks the traces in their order until a
//! page is full, which is fast where many pass the filter, and reads everything, row by row and out of order, where few do.
//! So it is asked twice: first for those among the newest, then, if they do not fill the page, for all, gathered from what
//! the filter asks for.

use domain::{SearchTraces, TraceInfo, TracePage};

use crate::MlflowStore;
use crate::dialect::Dialect;
use crate::error::DatabaseError;
use crate::filter::{Approach, Direction, TraceFilter, TraceOrder};
use crate::page_token::{read_page_token, write_page_token};
use crate::schema::Schema;
use crate::sql::Statement;
use crate::trace_row;

/// Of the newest traces, so many are walked at least before all are gathered: a few milliseconds.
const NEWEST: i64 = 4000;

/// And so many for each that is wanted.
const NEWEST_EACH: i64 = 16;

/// Which traces are looked at, and how.
#[derive(Debug, Clone, Copy)]
enum Extent {
    /// All, one by one.
    Walked,
    /// Only the first of this many, by time in this direction.
    Newest(i64, Direction),
    /// All, from what the filter asks for.
    Gathered,
}

/// A search, understood.
struct Search {
    filter: TraceFilter,
    order: TraceOrder,
    experiments: Vec<i64>,
    offset: i64,
    wanted: i64,
}

impl MlflowStore {
    /// Traces of some experiments, without spans. Pages go by offset, as MLflow's own, and their tokens are MLflow's.
    ///
    /// # Errors
    /// [`DatabaseError::Refused`] when filter, order or page token cannot be read. An unknown experiment is no error:
    /// nothing is found there.
    pub async fn search_traces(&self, search: &SearchTraces) -> Result<TracePage, DatabaseError> {
        let search = Search::read(search)?;
        let mut traces = if search.experiments.is_empty() || search.wanted == 0 {
            Vec::new()
        } else {
            self.find(&search).await?
        };
        let wanted = usize::try_from(search.wanted).unwrap_or(usize::MAX);
        let has_more = traces.len() > wanted;
        traces.truncate(wanted);
        Ok(TracePage {
            // One that cannot be read is told in the log and does not hide the page.
            traces: traces.into_iter().filter_map(told).collect(),
            next_page_token: has_more.then(|| write_page_token(search.offset + search.wanted)),
        })
    }

    /// One more than wanted, which tells whether there is a next page.
    async fn find(&self, search: &Search) -> Result<Vec<Result<TraceInfo, DatabaseError>>, DatabaseError> {
        let schema = self.schema().await?;
        let knows_itself = self.dialect() == Dialect::Postgres;
        if knows_itself || search.filter.is_open() || search.filter.is_narrow() {
            return self
                .infos(&self.statement(search, &schema, Extent::Walked)?, &schema)
                .await;
        }
        if let Some(direction) = search.order.by_time() {
            let newest = NEWEST.max(
                search
                    .offset
                    .saturating_add(search.wanted)
                    .saturating_mul(NEWEST_EACH),
            );
            let statement = self.statement(search, &schema, Extent::Newest(newest, direction))?;
            let traces = self.infos(&statement, &schema).await?;
            if i64::try_from(traces.len()).is_ok_and(|found| found > search.wanted) {
                return Ok(traces);
            }
        }
        self.infos(&self.statement(search, &schema, Extent::Gathered)?, &schema)
            .await
    }

    fn statement(
        &self,
        search: &Search,
        schema: &Schema,
        extent: Extent,
    ) -> Result<Statement, DatabaseError> {
        let (filter, order, shape) = (&search.filter, &search.order, schema.shape);
        let mut statement = Statement::new(self.dialect(), "SELECT ");
        trace_row::push_list(&mut statement, shape);
        statement.push("(SELECT ");
        trace_row::push_own(&mut statement, shape);
        let mut approach = Approach::Walk;
        match extent {
            Extent::Walked => {
                statement.push(" FROM trace_info t");
            }
            Extent::Newest(newest, direction) => {
                statement.push(" FROM (SELECT * FROM trace_info t WHERE ");
                filter.push_experiments(&mut statement, &search.experiments, approach);
                statement.push(match direction {
                    Direction::Ascending => " ORDER BY t.timestamp_ms, t.request_id LIMIT ",
                    Direction::Descending => " ORDER BY t.timestamp_ms DESC, t.request_id LIMIT ",
                });
                statement.bind(newest).push(") t");
            }
            Extent::Gathered if filter.is_of_columns() => {
                // From end to end the table is read ten times as fast as by way of an index.
                statement.push(" FROM trace_info t NOT INDEXED");
            }
            Extent::Gathered => {
                approach = Approach::Gather;
                statement.push(" FROM trace_info t");
            }
        }
        order.push_joins(&mut statement, shape);
        statement.push(" WHERE ");
        filter.push_experiments(&mut statement, &search.experiments, approach);
        filter.push_conditions(&mut statement, shape, &search.experiments, approach)?;
        statement.push(" ORDER BY ");
        order.push(&mut statement, shape, approach);
        statement.push(" LIMIT ").bind(search.wanted.saturating_add(1));
        statement.push(" OFFSET ").bind(search.offset).push(") page");
        Ok(statement)
    }
}

fn told(trace: Result<TraceInfo, DatabaseError>) -> Option<TraceInfo> {
    let told = |error: &DatabaseError| tracing::warn!(%error, "a trace is left out of a search");
    trace.inspect_err(told).ok()
}

impl Search {
    fn read(search: &SearchTraces) -> Result<Self, DatabaseError> {
        let ids = search.experiment_ids.iter();
        Ok(Self {
            filter: TraceFilter::parse(search.filter.as_deref().unwrap_or_default())?,
            order: TraceOrder::parse(&search.order_by)?,
            experiments: ids.filter_map(|id| id.as_str().parse().ok()).collect(),
            offset: read_page_token(search.page_token.as_deref())?,
            wanted: search.max_results.into(),
        })
    }
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
