//! What reviews write: assessments, runs, their tags, links from traces to runs. Each is one transaction that leaves what
//! MLflow 3.17.2 leaves, so that MLflow itself works on the same tables at the same time.

mod assessments;
mod links;
mod rollups;
mod run_names;
mod runs;

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::timeout;

use crate::MlflowStore;
use crate::error::DatabaseError;
use crate::pool::Transaction;
use crate::schema::{check_writable, revision_statement};

impl MlflowStore {
    /// Does some work in one transaction, if the schema is one that is written to.
    async fn write<T>(
        &self,
        work: impl AsyncFnOnce(&mut Transaction) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let (writing, limit) = (&self.0.writing, self.0.limit);
        let all = async {
            // Before a lock is taken: what is only read is refused at once.
            self.schema().await?.check_writable()?;
            let mut transaction = writing.begin().await?;
            let revision = transaction.fetch_all(&revision_statement(self.dialect())).await?;
            // And within it: MLflow may have been upgraded just now.
            check_writable(
                &revision
                    .first()
                    .map_or(Ok(String::new()), |row| row.needed_text(0))?,
            )?;
            let done = work(&mut transaction).await?;
            transaction.commit().await?;
            Ok(done)
        };
        timeout(limit, all)
            .await
            .unwrap_or(Err(DatabaseError::Timeout(limit)))
    }
}

/// Now, in milliseconds since the Unix epoch.
fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A random UUID of version 4 in 32 hexadecimal digits, as MLflow makes its ids.
fn random_id() -> String {
    let random: u128 = rand::random();
    let version = (random & !(0xf << 76)) | (0x4 << 76);
    let variant = (version & !(0x3 << 62)) | (0x2 << 62);
    format!("{variant:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_4() {
        let id = random_id();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(id.as_bytes()[12], b'4');
        assert!(matches!(id.as_bytes()[16], b'8' | b'9' | b'a' | b'b'));
        assert_ne!(id, random_id());
    }
}
