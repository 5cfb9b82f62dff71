//! Traces found by a filter.
//!
//! PostgreSQL knows how often a value occurs and finds its own way. SQLite does not, and is told one of two: to walk the traces
//! in their order until a page is full, which is fast where many pass the filter, or to gather all from what the filter asks
//! for and sort them, which is fast where few do. Which of them it is, the newest traces tell: they are walked first.

use domain::{SearchTraces, TraceInfo, TracePage};

use crate::MlflowStore;
use crate::dialect::Dialect;
use crate::error::DatabaseError;
use crate::filter::{Approach, Direction, TraceFilter, TraceOrder};
use crate::page_token::{read_page_token, write_page_token};
use crate::row::Row;
use crate::schema::Schema;
use crate::sql::Statement;
use crate::trace_row;

/// How many of the newest traces are walked before all are gathered.
struct Pace {
    /// At first: some milliseconds.
    first: i64,
    /// At most, if by what was found the page is expected to be full by then: as long as gathering takes among 200,000.
    most: i64,
}

/// Where the filter looks at a trace's own columns only.
const BY_COLUMNS: Pace = Pace {
    first: 4000,
    most: 12_000,
};

/// Where something is looked up for each trace.
const BY_LOOKING_UP: Pace = Pace {
    first: 1000,
    most: 20_000,
};

/// Of one trace in so many that pass or more often, gathering finds too many.
const RARE: i64 = 50;

/// Which traces are looked at, and how.
#[derive(Debug, Clone, Copy)]
enum Extent {
    /// All, one by one.
    Walked,
    /// This many and those of the same time as the last of them, by time in this direction; until the page is full.
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
        if let Some(direction) = search.order.by_time()
            && let Some(traces) = self.find_among_newest(search, &schema, direction).await?
        {
            return Ok(traces);
        }
        self.infos(&self.statement(search, &schema, Extent::Gathered)?, &schema)
            .await
    }

    /// `None` where the newest traces do not fill the page.
    async fn find_among_newest(
        &self,
        search: &Search,
        schema: &Schema,
        direction: Direction,
    ) -> Result<Option<Vec<Result<TraceInfo, DatabaseError>>>, DatabaseError> {
        let pace = if search.filter.is_of_columns() {
            BY_COLUMNS
        } else {
            BY_LOOKING_UP
        };
        let walk = async |newest| {
            let statement = self.statement(search, schema, Extent::Newest(newest, direction))?;
            let traces = self.infos(&statement, schema).await?;
            let found = i64::try_from(traces.len()).unwrap_or(i64::MAX);
            Ok::<_, DatabaseError>((found > search.wanted, found, traces))
        };
        let (is_full, found, traces) = walk(pace.first).await?;
        if is_full {
            return Ok(Some(traces));
        }
        let passing = match found {
            0 if search.offset > 0 => {
                self.count_among_newest(search, schema, pace.first, direction)
                    .await?
            }
            0 => 0,
            found => search.offset.saturating_add(found),
        };
        if passing.saturating_mul(RARE) < pace.first {
            return Ok(None);
        }
        let sought = search.offset.saturating_add(search.wanted).saturating_add(1);
        let expected = pace.first.saturating_mul(sought) / passing;
        if expected > pace.most {
            return Ok(None);
        }
        let (is_full, _, traces) = walk(expected.saturating_mul(3) / 2).await?;
        Ok(is_full.then_some(traces))
    }

    async fn count_among_newest(
        &self,
        search: &Search,
        schema: &Schema,
        newest: i64,
        direction: Direction,
    ) -> Result<i64, DatabaseError> {
        let mut statement = Statement::new(self.dialect(), "SELECT count(*)");
        search.push_found(&mut statement, schema, Extent::Newest(newest, direction))?;
        let read = |rows: Vec<Row>| rows.first().map_or(Ok(0), |row| row.needed_int(0));
        self.fetch(&statement, read).await
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
        statement.push(" OFFSET ").bind(search.offset).push(") page");
        Ok(statement)
    }
}

/// Pushes the condition that a trace is no older than so many others; the index on time alone tells when that was.
fn push_newest(statement: &mut Statement, experiments: &[i64], newest: i64, direction: Direction) {
    let (comparison, order, none) = match direction {
        Direction::Descending => (" AND t.timestamp_ms >= ", " DESC", i64::MIN),
        Direction::Ascending => (" AND t.timestamp_ms <= ", "", i64::MAX),
    };
    statement.push(comparison);
    statement.push("coalesce((SELECT b.timestamp_ms FROM trace_info b WHERE ");
    statement.is_one_of("b.experiment_id", experiments);
    statement.push(" ORDER BY b.timestamp_ms").push(order);
    statement.push(" LIMIT 1 OFFSET ").bind(newest);
    statement.push("), ").bind(none).push(")");
}

fn told(trace: Result<TraceInfo, DatabaseError>) -> Option<TraceInfo> {
    let told = |error: &DatabaseError| tracing::warn!(%error, "a trace is left out of a search");
    trace.inspect_err(told).ok()
}

impl Search {
    fn approach(&self, extent: Extent) -> Approach {
        match extent {
            Extent::Gathered if !self.filter.is_of_columns() => Approach::Gather,
            Extent::Walked | Extent::Newest(..) | Extent::Gathered => Approach::Walk,
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
        if let Extent::Newest(newest, direction) = extent {
            push_newest(statement, &self.experiments, newest, direction);
        }
        Ok(self
            .filter
            .push_conditions(statement, shape, &self.experiments, approach)?)
    }

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
