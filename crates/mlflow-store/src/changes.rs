//! Whether anything in the database changed: asked for so little that an answer whose time is over need not be read
//! anew.

use tokio::time::timeout;

use crate::MlflowStore;
use crate::error::DatabaseError;
use crate::pool::Pool;
use crate::row::Row;
use crate::sql::Statement;

impl MlflowStore {
    /// The state of the database at this moment: two that are equal, of one store, mean that nothing was written in
    /// between.
    ///
    /// In SQLite it is `PRAGMA data_version`, which compares on one connection only: one is kept for it, and a new one
    /// counts as a change. In PostgreSQL it is what a snapshot sees: a write that is committed changes it. (So do writes to
    /// other databases of that server, which costs a read.) One that only follows another server does not tell: there the
    /// snapshot lags behind what can be read.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn data_version(&self) -> Result<Option<String>, DatabaseError> {
        let (watching, limit) = (&self.0.watching, self.0.limit);
        match watching {
            Pool::Sqlite(pool) => {
                let statement = Statement::new(self.dialect(), "PRAGMA data_version");
                let told = async {
                    let mut held = pool.acquire().await?;
                    let rows = held.fetch_all(&statement).await?;
                    // There always is one.
                    let version = rows.first().map_or(Ok(0), |row| row.needed_int(0))?;
                    // While it is held: there is one at most, so this is the number of the one that told.
                    let number = pool.opened();
                    held.release();
                    Ok(Some(format!("{number}:{version}")))
                };
                timeout(limit, told)
                    .await
                    .unwrap_or(Err(DatabaseError::Timeout(limit)))
            }
            Pool::Postgres(_) => {
                let statement = Statement::new(
                    self.dialect(),
                    "SELECT CASE WHEN NOT pg_is_in_recovery() THEN txid_current_snapshot()::text END",
                );
                let read = |rows: Vec<Row>| rows.first().map_or(Ok(None), |row| row.text(0));
                watching.fetch(&statement, limit, read).await
            }
        }
    }
}
