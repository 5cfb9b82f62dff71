//! Traces found by a filter.
//!
//! PostgreSQL knows how often a value occurs and finds its own way. SQLite does not, and is told one of two: to walk the traces
//! in their order until a page is full, which is fast where many pass the filter, or to gather all from what the filter asks
//! for and sort them, which is fast where few do. Which of them it is, the newest traces tell: they are walked first.

mod newest;

use domain::{SearchTraces, TraceInfo, TracePage};

use crate::MlflowStore;
use crate::dialect::Dialect;
use crate::error::DatabaseError;
use crate::filter::{self, Approach, Direction, Scope, TraceFilter, TraceOrder};
use crate::page_token::{read_page_token, write_page_token};
use crate::row::Row;
use crate::schema::Schema;
use crate::sql::Statement;
use crate::trace_row;

/// Which traces are looked at, and how.
#[derive(Debug, Clone, Copy)]
enum Extent {
    /// All, one by one.
    Walked,
    /// This many and those of the same time as the last of them, by time in this direction; until the page is full.
    Newest(i64, Direction),
    /// The newest without the very newest, of which it is known how many pass: all these come before the page.
    Beyond {
        walked: i64,
        passing: i64,
        newest: i64,
        direction: Direction,
    },
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
    /// Whether assessments of whole sessions are looked for.
    sessions: bool,
}

impl MlflowStore {
    /// Traces of some experiments, without spans. Pages go by offset, as MLflow's own, and their tokens are MLflow's.
    ///
    /// # Errors
    /// [`DatabaseError::Refused`] when filter, order or page token cannot be read. An unknown experiment is no error:
    /// nothing is found there.
    pub async fn search_traces(&self, search: &SearchTraces) -> Result<TracePage, DatabaseError> {
        let mut search = Search::read(search)?;
        let mut traces = if search.experiments.is_empty() || search.wanted == 0 {
            Vec::new()
        } else {
            self.find(&mut search).await?
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
    async fn find(
        &self,
        search: &mut Search,
    ) -> Result<Vec<Result<TraceInfo, DatabaseError>>, DatabaseError> {
        let schema = self.schema().await?;
        let knows_itself = self.dialect() == Dialect::Postgres;
        if knows_itself || search.filter.is_open() || search.filter.is_narrow() {
            return self.page(search, &schema, Extent::Walked).await;
        }
        // Most likely there are none; to know takes as long as to find the page.
        search.sessions = false;
        let looked = self.any_of_session(search, &schema);
        let (any, found) = tokio::try_join!(looked, self.find_in_sqlite(search, &schema))?;
        if !any {
            return Ok(found);
        }
        search.sessions = true;
        self.find_in_sqlite(search, &schema).await
    }

    async fn find_in_sqlite(
        &self,
        search: &Search,
        schema: &Schema,
    ) -> Result<Vec<Result<TraceInfo, DatabaseError>>, DatabaseError> {
        if let Some(direction) = search.order.by_time()
            && let Some(traces) = self.find_among_newest(search, schema, direction).await?
        {
            return Ok(traces);
        }
        self.page(search, schema, Extent::Gathered).await
    }

    /// What is found of the page there, and one more.
    async fn page(
        &self,
        search: &Search,
        schema: &Schema,
        extent: Extent,
    ) -> Result<Vec<Result<TraceInfo, DatabaseError>>, DatabaseError> {
        self.infos(&self.statement(search, schema, extent)?, schema).await
    }

    /// Whether an assessment that the filter may mean is of a whole session. To find those, all assessments of these names are
    /// read: where there are none, once and not with each statement.
    async fn any_of_session(&self, search: &Search, schema: &Schema) -> Result<bool, DatabaseError> {
        let names = search.filter.assessment_names();
        if names.is_empty() || !schema.shape.has_assessments {
            return Ok(false);
        }
        let mut statement = Statement::new(self.dialect(), "");
        filter::push_any_of_session(&mut statement, schema.shape, &search.experiments, &names);
        Ok(self.fetch_number(&statement).await? != 0)
    }

    /// What a statement that gives one number gives.
    async fn fetch_number(&self, statement: &Statement) -> Result<i64, DatabaseError> {
        let read = |rows: Vec<Row>| rows.first().map_or(Ok(0), |row| row.needed_int(0));
        self.fetch(statement, read).await
    }

    fn statement(
        &self,
        search: &Search,
        schema: &Schema,
        extent: Extent,
    ) -> Result<Statement, DatabaseError> {
        let mut statement = Statement::new(self.dialect(), "SELECT ");
        trace_row::push_columns(&mut statement, schema.shape);
        statement.push("(SELECT ");
        trace_row::push_own(&mut statement, schema.shape);
        search.push_found(&mut statement, schema, extent)?;
        statement.push(" ORDER BY ");
        search
            .order
            .push(&mut statement, schema.shape, search.approach(extent));
        statement.push(" LIMIT ").bind(search.wanted.saturating_add(1));
        let before = match extent {
            Extent::Beyond { passing, .. } => search.offset - passing,
            _ => search.offset,
        };
        statement.push(" OFFSET ").bind(before).push(") page");
        if !search.filter.is_open() {
            statement.plan_for_values();
        }
        Ok(statement)
    }
}

fn told(trace: Result<TraceInfo, DatabaseError>) -> Option<TraceInfo> {
    let told = |error: &DatabaseError| tracing::warn!(%error, "a trace is left out of a search");
    trace.inspect_err(told).ok()
}

impl Search {
    fn approach(&self, extent: Extent) -> Approach {
        match extent {
            Extent::Gathered if !self.filter.is_of_columns() => Approach::Gather,
            _ => Approach::Walk,
        }
    }

    /// Pushes `FROM` and `WHERE` of what is found.
    fn push_found(
        &self,
        statement: &mut Statement,
        schema: &Schema,
        extent: Extent,
    ) -> Result<(), DatabaseError> {
        let (shape, approach) = (schema.shape, self.approach(extent));
        statement.push(match (extent, approach) {
            // From end to end the table is read ten times as fast as by way of an index.
            (Extent::Gathered, Approach::Walk) => " FROM trace_info t NOT INDEXED",
            _ => " FROM trace_info t",
        });
        self.order.push_joins(statement, shape);
        statement.push(" WHERE ");
        self.filter
            .push_experiments(statement, &self.experiments, approach);
        newest::push_bounds(statement, &self.experiments, extent);
        let scope = Scope {
            schema: shape,
            approach,
            experiments: &self.experiments,
            sessions: self.sessions,
        };
        Ok(self.filter.push_conditions(statement, scope)?)
    }

    fn read(search: &SearchTraces) -> Result<Self, DatabaseError> {
        let ids = search.experiment_ids.iter();
        Ok(Self {
            filter: TraceFilter::parse(search.filter.as_deref().unwrap_or_default())?,
            order: TraceOrder::parse(&search.order_by)?,
            experiments: ids.filter_map(|id| id.as_str().parse().ok()).collect(),
            offset: read_page_token(search.page_token.as_deref())?,
            wanted: search.max_results.into(),
            sessions: true,
        })
    }
}

#[cfg(test)]
mod tests;
