//! A search in SQLite, which begins with the newest traces (or the oldest, where these come first): how many of them pass tells
//! how many there are to walk, or that all are better gathered.

use domain::TraceInfo;

use super::{Extent, Search};
use crate::MlflowStore;
use crate::error::DatabaseError;
use crate::filter::Direction;
use crate::schema::Schema;
use crate::sql::Statement;

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

/// Of one trace in so many that pass or more often, gathering finds too many to be the first choice.
const RARE: i64 = 50;

/// And of one in so many or more often, too many to be any choice, however far the walk.
const COMMON: i64 = 4;

impl Pace {
    /// How many of the newest are likely to hold those that are sought, when so many of the first pass; `None` where gathering
    /// is likely to be faster.
    fn newest(&self, passing: i64, sought: i64) -> Option<i64> {
        if passing >= sought {
            return Some(self.first);
        }
        if passing.saturating_mul(RARE) < self.first {
            return None;
        }
        let expected = self.first.saturating_mul(sought) / passing;
        let is_common = passing.saturating_mul(COMMON) >= self.first;
        (is_common || expected <= self.most).then(|| expected.saturating_mul(3) / 2)
    }
}

impl MlflowStore {
    /// `None` where they are not among the newest, or would be found there more slowly than elsewhere.
    pub(super) async fn find_among_newest(
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
        let sought = search.offset.saturating_add(search.wanted).saturating_add(1);
        let first = Extent::Newest(pace.first, direction);
        let passing = if search.offset == 0 {
            let traces = self.page(search, schema, first).await?;
            let found = i64::try_from(traces.len()).unwrap_or(i64::MAX);
            if found == sought {
                return Ok(Some(traces));
            }
            found
        } else {
            // A page further on may be empty, which would not tell.
            self.count(search, schema, first, sought).await?
        };
        let Some(newest) = pace.newest(passing, sought) else {
            return Ok(None);
        };
        let extent = if passing <= search.offset {
            Extent::Beyond {
                walked: pace.first,
                passing,
                newest,
                direction,
            }
        } else {
            Extent::Newest(newest, direction)
        };
        let traces = self.page(search, schema, extent).await?;
        let is_full = i64::try_from(traces.len()).is_ok_and(|found| found > search.wanted);
        Ok(is_full.then_some(traces))
    }

    /// How many pass, counted to so many.
    async fn count(
        &self,
        search: &Search,
        schema: &Schema,
        extent: Extent,
        most: i64,
    ) -> Result<i64, DatabaseError> {
        let mut statement = Statement::new(self.dialect(), "SELECT count(*) FROM (SELECT 1");
        search.push_found(&mut statement, schema, extent)?;
        statement.push(" LIMIT ").bind(most).push(") found");
        self.fetch_number(&statement).await
    }
}

/// Pushes the conditions on a trace's time that an extent makes.
pub(super) fn push_bounds(statement: &mut Statement, experiments: &[i64], extent: Extent) {
    let (walked, newest, direction) = match extent {
        Extent::Newest(newest, direction) => (None, newest, direction),
        Extent::Beyond {
            walked,
            newest,
            direction,
            ..
        } => (Some(walked), newest, direction),
        Extent::Walked | Extent::Gathered => return,
    };
    let (no_further, further) = match direction {
        Direction::Descending => (" AND t.timestamp_ms >= ", " AND t.timestamp_ms < "),
        Direction::Ascending => (" AND t.timestamp_ms <= ", " AND t.timestamp_ms > "),
    };
    if let Some(walked) = walked {
        push_time(statement.push(further), experiments, walked, direction);
    }
    push_time(statement.push(no_further), experiments, newest, direction);
}

/// Pushes the time of the last of the newest; where one experiment is searched, the index on time alone tells it.
fn push_time(statement: &mut Statement, experiments: &[i64], newest: i64, direction: Direction) {
    let (order, none) = match direction {
        Direction::Descending => (" DESC", i64::MIN),
        Direction::Ascending => ("", i64::MAX),
    };
    statement.push("coalesce((SELECT b.timestamp_ms FROM trace_info b WHERE ");
    statement.is_one_of("b.experiment_id", experiments);
    statement.push(" ORDER BY b.timestamp_ms").push(order);
    statement.push(" LIMIT 1 OFFSET ").bind(newest);
    statement.push("), ").bind(none).push(")");
}
