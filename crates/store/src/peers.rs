//! Word between servers that share a PostgreSQL: what one has written, the others must not take from their caches.
//!
//! By LISTEN and NOTIFY: a word arrives within a few milliseconds, and one that comes while a connection is lost does
//! not arrive at all, which is said.

use std::time::Duration;

use sqlx::postgres::PgListener;
use sqlx::query;

use crate::Store;
use crate::dialect::Dialect;
use crate::error::StoreError;

const CHANNEL: &str = "ts_written";

/// The function has no value that sqlx could read: asked whether it is null.
const TELL: &str = "SELECT CAST(pg_notify('ts_written', $1) IS NULL AS INT)";

/// A database that is away is looked for again after this long.
const PAUSE: Duration = Duration::from_secs(1);

/// What the other servers say.
#[derive(Debug)]
pub struct Peers {
    url: url::Url,
    listener: Option<PgListener>,
}

/// What is heard of the other servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// One of them said this.
    Said(String),
    /// Nobody listened for a while: something may have been said.
    MayHaveMissed,
}

impl Store {
    /// Says something to all servers on this database, this one among them; on SQLite there are none. At most 8000
    /// bytes.
    pub async fn tell_peers(&self, text: &str) -> Result<(), StoreError> {
        if self.dialect == Dialect::Postgres {
            let tell = query(TELL).bind(text);
            tell.execute(&mut *self.connection().await?).await?;
        }
        Ok(())
    }

    /// What is said from now on; `None` on SQLite.
    pub fn peers(&self) -> Option<Peers> {
        (self.dialect == Dialect::Postgres).then(|| Peers {
            url: self.pool.connect_options().database_url.clone(),
            listener: None,
        })
    }
}

impl Peers {
    /// Gives up the connection; the next word is waited for on a new one.
    pub fn hang_up(&mut self) {
        self.listener = None;
    }

    /// Waits for the next word. Looks for the database again for as long as it is away.
    pub async fn next(&mut self) -> Heard {
        loop {
            match &mut self.listener {
                Some(listener) => {
                    if let Ok(Some(word)) = listener.try_recv().await {
                        return Heard::Said(word.payload().to_owned());
                    }
                    self.listener = None;
                    // One that is lost at once must not be looked for without a pause.
                    tokio::time::sleep(PAUSE).await;
                }
                None => match listening(&self.url).await {
                    Ok(listener) => {
                        self.listener = Some(listener);
                        return Heard::MayHaveMissed;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "other servers are not heard; looking for the database again");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
    }
}

async fn listening(url: &url::Url) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect(url.as_str()).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
