//! Whether anything in the database changed: asked for so little that an answer whose time is over need not be read
//! anew.

use crate::MlflowStore;
use crate::error::DatabaseError;
use crate::pool::Pool;
use crate::sql::Statement;

impl MlflowStore {
    /// The state of the database at this moment: two that are equal, of one store, mean that nothing was written in
    /// between.
    ///
    /// In SQLite it is `PRAGMA data_version`, which compares on one connection only: one is kept for it, and a new one
    /// counts as a change. In PostgreSQL it is what a snapshot sees: a write that is committed changes it. (So do writes to
    /// other databases of that server, which costs a read.)
    ///
    /// # Errors
    /// When the database fails.
    pub async fn data_version(&self) -> Result<String, DatabaseError> {
        let (watching, limit) = (&self.0.watching, self.0.limit);
        let statement = Statement::new(
            self.dialect(),
            self.dialect()
                .pick("PRAGMA data_version", "SELECT txid_current_snapshot()::text"),
        );
        let rows = watching.fetch_all(&statement, limit).await?;
        let row = rows.first().ok_or_else(|| DatabaseError::Unreadable {
            table: "MLflow's database",
            reason: "it does not tell its state".to_owned(),
        })?;
        match watching {
            // There is one connection at most: no other was opened since it told this.
            Pool::Sqlite(pool) => Ok(format!("{}:{}", pool.opened(), row.needed_int(0)?)),
            Pool::Postgres(_) => row.needed_text(0),
        }
    }
}
