//! Whether anything in the database changed: asked for so little that an answer whose time is over need not be read
//! anew.

use std::sync::atomic::Ordering;

use sqlx::query_scalar;
use tokio::time::timeout;

use crate::MlflowStore;
use crate::error::DatabaseError;
use crate::pool::Pool;

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
        let look = async {
            Ok(match &self.0.watching {
                Pool::Sqlite(pool) => {
                    let mut connection = pool.acquire().await?;
                    let version: i64 = query_scalar("PRAGMA data_version")
                        .fetch_one(&mut *connection)
                        .await?;
                    // While we hold the only connection, no other one is made.
                    format!("{}:{version}", self.0.watchers_made.load(Ordering::SeqCst))
                }
                Pool::Postgres(pool) => {
                    let snapshot = query_scalar("SELECT txid_current_snapshot()::text");
                    snapshot.fetch_one(pool).await?
                }
            })
        };
        let limit = self.0.limit;
        timeout(limit, look)
            .await
            .unwrap_or(Err(DatabaseError::Timeout(limit)))
    }
}
